// Calls lossd from Go: a batch's loss and gradient, by the proto alone.
package main

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"io/ioutil"
	"math"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "lossd/v1"
)

// Debian's gRPC 1.33 writes messages by the Protobuf API before 2020, which does
// not know those that Debian's protoc-gen-go makes: they need this codec.
type codec struct{}

func (codec) Marshal(v interface{}) ([]byte, error) { return proto.Marshal(v.(proto.Message)) }
func (codec) Unmarshal(bytes []byte, v interface{}) error {
	return proto.Unmarshal(bytes, v.(proto.Message))
}
func (codec) Name() string { return "proto" }

// Tensors lie row-major and little-endian in Raw.
func floats(values []float32, shape ...int64) *pb.Tensor {
	raw := make([]byte, 4*len(values))
	for i, value := range values {
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(value))
	}
	return &pb.Tensor{DataType: pb.DataType_DATA_TYPE_FLOAT32, Shape: shape, Contents: &pb.Tensor_Raw{Raw: raw}}
}

func toFloats(tensor *pb.Tensor) []float32 {
	raw := tensor.GetRaw()
	values := make([]float32, len(raw)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return values
}

func compute(client pb.LossServiceClient, request *pb.ComputeLossRequest) *pb.ComputeLossResponse {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	answer, err := client.ComputeLoss(ctx, request)
	if err != nil {
		fail(status.Convert(err))
	}
	return answer
}

// Says what failed and, from the google.rpc.ErrorInfo of lossd's own errors, why.
func fail(s *status.Status) {
	fmt.Fprintf(os.Stderr, "%v: %s\n", s.Code(), s.Message())
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			fmt.Fprintf(os.Stderr, "reason %s, %v\n", info.Reason, info.Metadata)
		}
	}
	os.Exit(1)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

// Sends a file with a serialized ComputeLossRequest; prints the answer's bits.
func replay(client pb.LossServiceClient, path string) {
	bytes, err := ioutil.ReadFile(path)
	check(err)
	request := &pb.ComputeLossRequest{}
	check(proto.Unmarshal(bytes, request))
	answer := compute(client, request)
	loss := "-"
	if answer.Loss != nil {
		loss = fmt.Sprintf("%016x", math.Float64bits(*answer.Loss))
	}
	fmt.Println(loss, hex.EncodeToString(answer.GetGradient().GetRaw()))
}

func main() {
	target := flag.String("target", "127.0.0.1:50051", "HOST:PORT of lossd")
	label := flag.Int64("label", 0, "the first row's label")
	flag.Parse()
	connection, err := grpc.Dial(*target, grpc.WithInsecure(),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(codec{}), grpc.MaxCallRecvMsgSize(math.MaxInt32)))
	check(err)
	defer connection.Close()
	client := pb.NewLossServiceClient(connection)
	if flag.NArg() > 0 {
		for _, path := range flag.Args() {
			replay(client, path)
		}
		return
	}
	answer := compute(client, &pb.ComputeLossRequest{
		Logits: floats([]float32{2, 1, 0.1, 0, 3, 0}, 2, 3),
		Labels: &pb.Tensor{Shape: []int64{2}, Contents: &pb.Tensor_Int64Values{
			Int64Values: &pb.Int64Values{Values: []int64{*label, 1}}}},
	})
	fmt.Println("loss", answer.GetLoss())
	gradient := toFloats(answer.Gradient)
	fmt.Println("gradient", gradient[:3])
	fmt.Println("        ", gradient[3:])
}

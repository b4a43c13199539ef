import com.google.protobuf.ByteString;
import google.rpc.ErrorDetails.ErrorInfo;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.protobuf.StatusProto;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.TimeUnit;
import lossd.v1.LossServiceGrpc;
import lossd.v1.LossServiceOuterClass.ComputeLossRequest;
import lossd.v1.LossServiceOuterClass.ComputeLossResponse;
import lossd.v1.LossServiceOuterClass.DataType;
import lossd.v1.LossServiceOuterClass.Int64Values;
import lossd.v1.LossServiceOuterClass.Tensor;

/** Calls lossd from Java: a batch's loss and gradient, by the proto alone. */
public final class Sample {
  private final LossServiceGrpc.LossServiceBlockingStub stub;

  private Sample(ManagedChannel channel) {
    stub = LossServiceGrpc.newBlockingStub(channel);
  }

  /** Tensors lie row-major and little-endian in `raw`. */
  private static Tensor floats(float[] values, long... shape) {
    ByteBuffer raw = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    raw.asFloatBuffer().put(values);
    return Tensor.newBuilder()
        .setDataType(DataType.DATA_TYPE_FLOAT32)
        .addAllShape(Arrays.stream(shape).boxed().toList())
        .setRaw(ByteString.copyFrom(raw))
        .build();
  }

  private static float[] toFloats(Tensor tensor) {
    ByteBuffer raw = tensor.getRaw().asReadOnlyByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
    float[] values = new float[raw.remaining() / 4];
    raw.asFloatBuffer().get(values);
    return values;
  }

  private ComputeLossResponse compute(ComputeLossRequest request) {
    return stub.withDeadlineAfter(10, TimeUnit.SECONDS).computeLoss(request);
  }

  private void show(long label) {
    ComputeLossResponse answer =
        compute(
            ComputeLossRequest.newBuilder()
                .setLogits(floats(new float[] {2, 1, 0.1f, 0, 3, 0}, 2, 3))
                .setLabels(
                    Tensor.newBuilder()
                        .addShape(2)
                        .setInt64Values(Int64Values.newBuilder().addValues(label).addValues(1)))
                .build());
    System.out.println("loss " + answer.getLoss());
    float[] gradient = toFloats(answer.getGradient());
    System.out.println("gradient " + Arrays.toString(Arrays.copyOfRange(gradient, 0, 3)));
    System.out.println("         " + Arrays.toString(Arrays.copyOfRange(gradient, 3, 6)));
  }

  /** Sends a file with a serialized ComputeLossRequest; prints the answer's bits. */
  private void replay(String path) throws Exception {
    byte[] bytes = Files.readAllBytes(Path.of(path));
    ComputeLossResponse answer = compute(ComputeLossRequest.parseFrom(bytes));
    String loss =
        answer.hasLoss() ? String.format("%016x", Double.doubleToRawLongBits(answer.getLoss())) : "-";
    byte[] gradient = answer.getGradient().getRaw().toByteArray();
    System.out.println(loss + " " + HexFormat.of().formatHex(gradient));
  }

  /** Says what failed and, from the google.rpc.ErrorInfo of lossd's own errors, why. */
  private static void explain(StatusRuntimeException error) throws Exception {
    System.err.println(error.getStatus().getCode() + ": " + error.getStatus().getDescription());
    com.google.rpc.Status status = StatusProto.fromThrowable(error);
    if (status == null) return;
    for (com.google.protobuf.Any detail : status.getDetailsList()) {
      if (!detail.is(ErrorInfo.class)) continue;
      ErrorInfo info = detail.unpack(ErrorInfo.class);
      System.err.println("reason " + info.getReason() + ", " + info.getMetadataMap());
    }
  }

  public static void main(String[] args) throws Exception {
    String target = "127.0.0.1:50051";
    long label = 0;
    List<String> files = new ArrayList<>();
    for (int i = 0; i < args.length; ++i) {
      switch (args[i]) {
        case "--target" -> target = args[++i];
        case "--label" -> label = Long.parseLong(args[++i]);
        default -> files.add(args[i]);
      }
    }
    ManagedChannel channel =
        NettyChannelBuilder.forTarget(target)
            .usePlaintext()
            .maxInboundMessageSize(Integer.MAX_VALUE)
            .build();
    int exitCode = 0;
    try {
      Sample sample = new Sample(channel);
      for (String file : files) sample.replay(file);
      if (files.isEmpty()) sample.show(label);
    } catch (StatusRuntimeException error) {
      explain(error);
      exitCode = 1;
    }
    channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
    System.exit(exitCode);
  }
}

"""Sends serialized requests by gRPC's own stubs; prints each answer's bits."""

import struct
import sys

import grpc

from lossd.v1 import loss_service_pb2 as pb


def bits_of(answer):
    loss = struct.pack(">d", answer.loss).hex() if answer.HasField("loss") else "-"
    return f"{loss} {answer.gradient.raw.hex()}"


def main(target, paths):
    unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(target, unlimited) as channel:
        compute = channel.unary_unary(
            "/lossd.v1.LossService/ComputeLoss",
            request_serializer=pb.ComputeLossRequest.SerializeToString,
            response_deserializer=pb.ComputeLossResponse.FromString,
        )
        for path in paths:
            with open(path, "rb") as file:
                request = pb.ComputeLossRequest.FromString(file.read())
            print(bits_of(compute(request, timeout=60)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

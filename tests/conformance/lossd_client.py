"""A started lossd and calls of it."""

import os
import signal
import subprocess

import grpc
import numpy as np

from lossd.v1 import loss_service_pb2 as pb

SERVICE = "/lossd.v1.LossService/"
CALL_TIMEOUT_S = 60
STOP_TIMEOUT_S = 60

DATA_TYPES = {
    np.dtype(np.float32): pb.DATA_TYPE_FLOAT32,
    np.dtype(np.float64): pb.DATA_TYPE_FLOAT64,
    np.dtype(np.int32): pb.DATA_TYPE_INT32,
    np.dtype(np.int64): pb.DATA_TYPE_INT64,
}
ELEMENT_TYPES = {value: key for key, value in DATA_TYPES.items()}


class LossdProcess:
    """The lossd binary on a free port of the loopback, stopped on exit."""

    def __init__(self, binary, *flags):
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("LOSSD_")
        }
        self._process = subprocess.Popen(
            [binary, "--listen", "127.0.0.1:0", *flags],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.address = self._wait_for_address()

    def _wait_for_address(self):
        start = "listening on "
        for line in self._process.stdout:
            if line.startswith(start):
                return line[len(start) :].strip()
        raise RuntimeError(f"lossd ended with {self._process.wait()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


class LossdClient:
    """Unary calls of one lossd; no generated stub is needed for them."""

    def __init__(self, address):
        options = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.enable_http_proxy", 0),
        ]
        channel = grpc.insecure_channel(address, options)
        self._compute_loss = channel.unary_unary(
            SERVICE + "ComputeLoss",
            request_serializer=pb.ComputeLossRequest.SerializeToString,
            response_deserializer=pb.ComputeLossResponse.FromString,
        )
        self._get_server_info = channel.unary_unary(
            SERVICE + "GetServerInfo",
            request_serializer=pb.GetServerInfoRequest.SerializeToString,
            response_deserializer=pb.GetServerInfoResponse.FromString,
        )

    def compute_loss(self, request):
        """Raises grpc.RpcError when the server refuses the request."""
        return self._compute_loss(request, timeout=CALL_TIMEOUT_S)

    def server_info(self):
        return self._get_server_info(pb.GetServerInfoRequest(), timeout=CALL_TIMEOUT_S)


def tensor_of(array):
    """The Tensor with the values of a NumPy array."""
    little_endian = array.astype(array.dtype.newbyteorder("<"), order="C")
    return pb.Tensor(
        data_type=DATA_TYPES[array.dtype],
        shape=array.shape,
        raw=little_endian.tobytes(),
    )


def array_of(tensor):
    """The NumPy array with the values of a Tensor."""
    element_type = ELEMENT_TYPES[tensor.data_type].newbyteorder("<")
    return np.frombuffer(tensor.raw, element_type).reshape(tuple(tensor.shape))

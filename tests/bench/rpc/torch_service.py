"""A gRPC service around PyTorch, for bench_rpc: bytes in, bytes out.

    torch_service.py THREADS ADDRESS...

Request: rows and classes as int64, int64 labels [rows], float32 logits [rows,
classes]. Response: the mean cross-entropy as float64, its float32 gradient. Prints
"listening on ADDRESS" for each address, and ends with stdin.
"""

import concurrent.futures
import struct
import sys
import warnings

import grpc
import torch
import torch.nn.functional as F

HEADER = struct.Struct("<qq")
WORKERS = 4


def compute(request, _):
    """The answer to one request. The tensors are views of the request's bytes."""
    rows, classes = HEADER.unpack_from(request)
    labels = torch.frombuffer(
        request, dtype=torch.int64, offset=HEADER.size, count=rows
    )
    offset = HEADER.size + labels.numel() * labels.element_size()
    logits = torch.frombuffer(request, dtype=torch.float32, offset=offset)
    logits = logits.reshape(rows, classes).requires_grad_()
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    return b"".join((struct.pack("<d", loss.item()), logits.grad.numpy().data))


def main():
    # The bytes are not written to.
    warnings.filterwarnings("ignore", message=".*buffer is not writable.*")
    torch.set_num_threads(int(sys.argv[1]))
    server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(WORKERS),
        options=[
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
        ],
    )
    handlers = {"Compute": grpc.unary_unary_rpc_method_handler(compute)}
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("torch.Loss", handlers),)
    )
    addresses = []
    for address in sys.argv[2:]:
        port = server.add_insecure_port(address)
        is_unix = address.startswith("unix:")
        addresses.append(address if is_unix else f"127.0.0.1:{port}")
    server.start()
    for address in addresses:
        print("listening on", address, flush=True)
    sys.stdin.read()
    server.stop(None)


if __name__ == "__main__":
    main()

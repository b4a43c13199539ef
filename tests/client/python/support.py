"""What the Python client's tests share: a started lossd, a scripted server, batches."""

import concurrent.futures
import os
import threading
import unittest

import grpc
import numpy as np

import lossd
from lossd_client import LossdProcess

BINARY = os.environ.get("LOSSD_BINARY", "build/release/bin/lossd")
SERVICE = "lossd.v1.LossService"


def start_server(module, *flags):
    """For a module's setUpModule: `module.server` and `module.client`, until it ends."""
    module["server"] = LossdProcess(BINARY, *flags)
    unittest.addModuleCleanup(module["server"].__exit__)
    module["client"] = lossd.Client(module["server"].address)
    unittest.addModuleCleanup(module["client"].close)


def draw(shape, dtype=np.float32, seed=1):
    """Logits, the same for the same seed."""
    return np.random.default_rng(seed).normal(0, 2, shape).astype(dtype)


def draw_labels(shape, classes, seed=2):
    return np.random.default_rng(seed).integers(0, classes, shape)


class ScriptedServer(grpc.GenericRpcHandler):
    """Answers each method of LossService by a function of (requests, context), which
    for a unary method gets the request's bytes and returns the answer's."""

    def __init__(self, **methods):
        self._methods = methods
        self.calls = []  # (method, seconds of its deadline or None)
        self._lock = threading.Lock()

    def service(self, details):
        service, _, method = details.method.lstrip("/").rpartition("/")
        run = self._methods.get(method) if service == SERVICE else None
        if run is None:
            return None

        def counted(request, context):
            with self._lock:
                self.calls.append((method, context.time_remaining()))
            return run(request, context)

        if method == "StreamLoss":
            return grpc.stream_stream_rpc_method_handler(counted)
        return grpc.unary_unary_rpc_method_handler(counted)

    def __enter__(self):
        self._server = grpc.server(
            concurrent.futures.ThreadPoolExecutor(4),
            options=[("grpc.max_receive_message_length", -1)])
        self._server.add_generic_rpc_handlers((self,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()
        return self

    def __exit__(self, *_):
        self._server.stop(None).wait()

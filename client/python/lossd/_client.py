"""The client whose methods block."""

import itertools
import random
from collections.abc import Callable
from typing import Any, Optional, TypeVar

import grpc
import numpy as np

from lossd import _connection, _retry
from lossd._arrays import Tensor
from lossd._batch import Batch, LossResult
from lossd._connection import Call
from lossd._kept_memory import KeptMemory
from lossd._methods import LossMethods
from lossd._transfer import ServerLimit, StreamAttempt, Transfer
from lossd.errors import CancelledError, Error, from_rpc
from lossd.options import Cancellation, RetryOptions, ServerInfo, TlsOptions

T = TypeVar("T")


class Client(LossMethods[LossResult, np.ndarray]):
    """A connection to one lossd (or to several behind one name), made when first used
    and made again whenever it was lost.

    target: HOST:PORT, unix:PATH or any other gRPC target; an http_proxy in the
        environment is not used
    timeout: seconds for each call that does not say its own, retries and waits
        included; None: as long as it takes
    retry: what to do after UNAVAILABLE
    tls: None is plaintext

    Threads: any number at once; each call blocks its own. Use it in a
        `with`, or close it.
    """

    def __init__(
        self,
        target: str = "127.0.0.1:50051",
        *,
        timeout: Optional[float] = 60.0,
        retry: RetryOptions = RetryOptions(),
        tls: Optional[TlsOptions] = None,
    ):
        self._target = _connection.check_target(target)
        self._default_timeout = _connection.check_timeout(timeout)
        self._retry = retry
        self._limit = ServerLimit()
        self._memory = KeptMemory()
        self._is_closed = False
        options = _connection.channel_options(retry, tls)
        if tls is None:
            self._channel = grpc.insecure_channel(target, options)
        else:
            self._channel = grpc.secure_channel(target, tls.credentials(), options)
        # Without serializers: bytes go out and come in as they are.
        self._methods = {
            name: self._channel.unary_unary(_connection.SERVICE + name)
            for name in ("ComputeLoss", "ComputeHessianVectorProduct", "GetServerInfo")
        }
        self._stream_loss = self._channel.stream_stream(
            _connection.SERVICE + "StreamLoss"
        )

    def close(self) -> None:
        """Ends the connection; calls under way raise CancelledError."""
        self._is_closed = True
        self._channel.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def server_info(self, *, timeout: Optional[float] = None) -> ServerInfo:
        """Asks the server what it is and takes."""
        call = Call.taken_from({"timeout": timeout}, self._default_timeout)
        return _connection.server_info(self._unary("GetServerInfo", b"", call))

    def _compute(self, batch: Batch, call: Call) -> LossResult:
        transfer = Transfer(batch, call.transfer, self._limit)
        while True:
            try:
                if transfer.streams:
                    return self._stream(batch, transfer.chunk_rows, call)
                answer = self._unary("ComputeLoss", batch.request(), call)
            except Error as error:
                if not transfer.goes_on_after(error):
                    raise
                continue
            result = batch.result(memoryview(answer))
            if call.progress is not None:
                call.progress(batch.rows, batch.rows)
            return result

    def _multiply(self, batch: Batch, vector: Tensor, call: Call) -> np.ndarray:
        request = batch.hessian_request(vector)
        return batch.product(self._unary("ComputeHessianVectorProduct", request, call))

    def _unary(self, method: str, request: bytes, call: Call) -> bytes:
        multi_callable = self._methods[method]
        metadata = _connection.request_metadata(request)

        def attempt() -> bytes:
            timeout = call.remaining()
            if call.cancellation is None:
                return multi_callable(request, timeout=timeout, metadata=metadata)
            future = multi_callable.future(request, timeout=timeout, metadata=metadata)
            return _until_cancelled(call.cancellation, future, future.result)

        return self._with_retries(call, attempt)

    def _stream(self, batch: Batch, chunk_rows: int, call: Call) -> LossResult:
        def attempt() -> LossResult:
            stream = StreamAttempt(batch, chunk_rows, call.progress, self._memory)
            answers = self._stream_loss(stream.messages(), timeout=call.remaining())

            def take_all() -> LossResult:
                for answer in answers:
                    stream.take(answer)
                return stream.result()

            try:
                return _until_cancelled(call.cancellation, answers, take_all)
            except grpc.RpcError:
                if stream.failure is not None:
                    raise stream.failure from None
                raise
            finally:
                answers.cancel()  # where it is not over: an answer was refused

        return self._with_retries(call, attempt)

    def _with_retries(self, call: Call, attempt: Callable[[], T]) -> T:
        """Runs `attempt` until it succeeds, fails with what is not to be retried, or
        there is neither an attempt left nor time for one."""
        for number in itertools.count(1):
            if call.cancellation is not None:
                call.cancellation.wait(0)
            try:
                return attempt()
            except grpc.RpcError as rpc_error:
                error = from_rpc(rpc_error)
            except grpc.FutureCancelledError:
                error = CancelledError("the call was cancelled")
            except ValueError as value_error:
                # What gRPC raises of a closed channel.
                if isinstance(value_error, Error) or not self._is_closed:
                    raise
                error = CancelledError("the client is closed")
            delay = _retry.retry_delay(self._retry, number, error, random.random())
            if delay is None or call.ends_within(delay):
                _retry.explain(error, self._target, number)
                raise error from None
            self._wait(delay, error, call.cancellation or Cancellation())
        raise AssertionError("not reached")

    def _wait(self, seconds: float, error: Error, cancellation: Cancellation) -> None:
        """Waits; meanwhile the channel connects, where that is what failed. It does so
        for calls only: one that waits for the connection is under way, too."""
        if error.is_from_server:
            cancellation.wait(seconds)
            return
        waiting = self._methods["GetServerInfo"].future(
            b"", timeout=seconds, wait_for_ready=True
        )
        try:
            cancellation.wait(seconds)
        finally:
            waiting.cancel()


def _until_cancelled(
    cancellation: Optional[Cancellation], call: Any, run: Callable[[], T]
) -> T:
    """Runs `run`, whose gRPC call `cancellation` cancels meanwhile."""
    if cancellation is None:
        return run()
    cancellation.begin(call.cancel)
    try:
        return run()
    finally:
        cancellation.end(call.cancel)

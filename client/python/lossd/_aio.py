"""The client whose methods are awaited."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
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
from lossd.errors import Error, InvalidArgumentError, from_rpc
from lossd.options import RetryOptions, ServerInfo, TlsOptions

T = TypeVar("T")


class AsyncClient(LossMethods[Awaitable[LossResult], Awaitable[np.ndarray]]):
    """Client for asyncio: the same arguments and methods, to be awaited.

    Arguments are looked at, and the time begins, when a method is called. A task that
    is cancelled cancels its call; the option `cancellation` is Client's alone. Messages
    are built on the event loop's thread: a millisecond for some 20 MB.

    Arrays must stay as they are until the call is over.

    Belongs to the event loop of its first call. Use it in an `async with`, or close it.
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
        self._options = _connection.channel_options(retry, tls)
        self._credentials = None if tls is None else tls.credentials()
        self._made: Optional[grpc.aio.Channel] = None

    @property
    def _channel(self) -> grpc.aio.Channel:
        """Made where an event loop runs: it binds itself to that one."""
        if self._made is None:
            if self._credentials is None:
                self._made = grpc.aio.insecure_channel(self._target, self._options)
            else:
                self._made = grpc.aio.secure_channel(
                    self._target, self._credentials, self._options
                )
        return self._made

    async def close(self) -> None:
        """Ends the connection; calls under way are cancelled."""
        if self._made is not None:
            await self._made.close()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()

    async def server_info(self, *, timeout: Optional[float] = None) -> ServerInfo:
        """Asks the server what it is and takes."""
        call = Call.taken_from({"timeout": timeout}, self._default_timeout)
        return _connection.server_info(await self._unary("GetServerInfo", b"", call))

    def _compute(self, batch: Batch, call: Call) -> Awaitable[LossResult]:
        _check_no_cancellation(call)
        return self._transfer(batch, Transfer(batch, call.transfer, self._limit), call)

    async def _transfer(
        self, batch: Batch, transfer: Transfer, call: Call
    ) -> LossResult:
        while True:
            try:
                if transfer.streams:
                    return await self._stream(batch, transfer.chunk_rows, call)
                answer = await self._unary("ComputeLoss", batch.request(), call)
            except Error as error:
                if not transfer.goes_on_after(error):
                    raise
                continue
            result = batch.result(memoryview(answer))
            if call.progress is not None:
                call.progress(batch.rows, batch.rows)
            return result

    def _multiply(
        self, batch: Batch, vector: Tensor, call: Call
    ) -> Awaitable[np.ndarray]:
        _check_no_cancellation(call)
        return self._product(batch, batch.hessian_request(vector), call)

    async def _product(self, batch: Batch, request: bytes, call: Call) -> np.ndarray:
        answer = await self._unary("ComputeHessianVectorProduct", request, call)
        return batch.product(answer)

    async def _unary(self, method: str, request: bytes, call: Call) -> bytes:
        metadata = _connection.request_metadata(request)
        multi_callable = self._channel.unary_unary(_connection.SERVICE + method)

        async def attempt() -> bytes:
            return await multi_callable(
                request, timeout=call.remaining(), metadata=metadata
            )

        return await self._with_retries(call, attempt)

    async def _stream(self, batch: Batch, chunk_rows: int, call: Call) -> LossResult:
        multi_callable = self._channel.stream_stream(_connection.SERVICE + "StreamLoss")

        async def attempt() -> LossResult:
            stream = StreamAttempt(batch, chunk_rows, call.progress, self._memory)
            answers = multi_callable(stream.messages(), timeout=call.remaining())
            try:
                async for answer in answers:
                    stream.take(answer)
                return stream.result()
            except (grpc.RpcError, asyncio.CancelledError):
                # gRPC cancels a call whose messages cannot be made.
                if stream.failure is not None:
                    raise stream.failure from None
                raise
            finally:
                answers.cancel()  # where it is not over: an answer was refused

        return await self._with_retries(call, attempt)

    async def _with_retries(
        self, call: Call, attempt: Callable[[], Awaitable[T]]
    ) -> T:
        """As Client's."""
        for number in itertools.count(1):
            try:
                return await attempt()
            except grpc.RpcError as rpc_error:
                error = from_rpc(rpc_error)
            delay = _retry.retry_delay(self._retry, number, error, random.random())
            if delay is None or call.ends_within(delay):
                _retry.explain(error, self._target, number)
                raise error from None
            await self._wait(delay, error)
        raise AssertionError("not reached")

    async def _wait(self, seconds: float, error: Error) -> None:
        """As Client's."""
        if error.is_from_server:
            await asyncio.sleep(seconds)
            return
        ask = self._channel.unary_unary(_connection.SERVICE + "GetServerInfo")
        waiting = ask(b"", timeout=seconds, wait_for_ready=True)
        try:
            await asyncio.sleep(seconds)
        finally:
            waiting.cancel()


def _check_no_cancellation(call: Call) -> None:
    if call.cancellation is not None:
        raise InvalidArgumentError(
            "cancellation: is Client's, want the task cancelled instead",
            field="cancellation",
        )

"""How a batch goes to the server: in one message or in chunks. No input or output here:
Client and AsyncClient share it."""

import functools
from collections.abc import Callable, Iterator
from typing import Optional

import grpc
import numpy as np

from lossd import _wire
from lossd._batch import Batch, LossResult
from lossd._kept_memory import KeptMemory
from lossd.errors import Error, InternalError, InvalidArgumentError
from lossd.v1 import loss_service_pb2 as pb

Progress = Callable[[int, int], object]

TRANSFERS = ("auto", "unary", "stream")
# As the C++ client's: from here on memory is bounded on both sides.
MIN_STREAMED_BYTES = 4 << 20
CHUNK_BYTES = 1 << 20
# The most bytes that a chunk's message has beside its rows.
CHUNK_HEAD_BYTES = 12
# Protobuf's own limit, less what shapes and lengths may take.
MAX_MESSAGE_BYTES = 2**31 - 1 - 64 * 1024


class ServerLimit:
    """The most bytes of a message that the server takes, as far as it has said; at
    first whatever a message can hold."""

    def __init__(self) -> None:
        self.bytes = MAX_MESSAGE_BYTES

    def learn(self, error: Error) -> bool:
        """Whether `error` says that a message was larger; if so, that is known now."""
        limit = error.metadata.get("max_request_bytes", "")
        is_limit = error.reason == "REQUEST_TOO_LARGE" and limit.isdecimal()
        if not is_limit or int(limit) < 1:
            return False
        self.bytes = int(limit)
        return True


def _no_stream(batch: Batch) -> str:
    """Why `batch` cannot be a stream; empty: it can."""
    if batch.axis != len(batch.logits.shape) - 1:
        return (
            f"class_axis = {batch.axis} of logits of shape {batch.logits.shape}, "
            "want the last for a stream: its chunks are of whole rows"
        )
    for name in ("probabilities", "log_probabilities"):
        if name in batch.outputs:
            return f"{name} were asked of a stream, want none: they are one message"
    return ""


class Transfer:
    """One batch on its way: which messages, and what after they were refused."""

    def __init__(self, batch: Batch, way: str, limit: ServerLimit):
        self._batch = batch
        self._limit = limit
        why_not = _no_stream(batch)
        if way == "stream" and why_not:
            raise InvalidArgumentError(why_not, field="transfer")
        self._may_turn = way == "auto" and not why_not
        self._bytes = batch.request_bytes()
        goes_whole = (
            batch.logits.nbytes < MIN_STREAMED_BYTES and self._bytes <= limit.bytes
        )
        self.streams = way == "stream" or (self._may_turn and not goes_whole)
        self.chunk_rows = self._chunk_rows()

    def _chunk_rows(self) -> int:
        row_bytes = self._batch.logits.nbytes // max(self._batch.rows, 1)
        most = min(CHUNK_BYTES, self._limit.bytes - CHUNK_HEAD_BYTES)
        return max(1, most // max(row_bytes, 1))

    def goes_on_after(self, error: Error) -> bool:
        """Whether to send the batch again, in another way that the server may take."""
        if self._limit.learn(error):
            if not self.streams:
                self.streams = self._may_turn
                self.chunk_rows = self._chunk_rows()
                return self.streams
            # Again, if that makes any message smaller that was too large.
            rows, self.chunk_rows = self.chunk_rows, self._chunk_rows()
            return self.chunk_rows < rows and self._header_fits()
        if self.streams and error.code == grpc.StatusCode.UNIMPLEMENTED:
            self.streams = not (self._may_turn and self._bytes <= MAX_MESSAGE_BYTES)
            return not self.streams
        return False

    def _header_fits(self) -> bool:
        return self._bytes - self._batch.logits.nbytes <= self._limit.bytes


@functools.cache
def _keep_freed_memory() -> None:
    """Once: frees one large block, whereupon glibc's malloc keeps what is smaller.

    gRPC builds each message in memory of its own, which malloc otherwise gives back to
    the system and gets again, page by page: 9,000 faults and a third of the time for a
    gradient of 51 MB. No page of the block is ever touched; other systems do not care.
    """
    bytes((32 << 20) - 8192)  # just below the largest block that malloc learns from


class StreamAttempt:
    """One StreamLoss: its messages, and what becomes of its answers.

    Each row is copied once on its way out, into its chunk's message, and each of the
    gradient once on its way in, into the result's array. `progress` is called with the
    rows done as their gradient comes; with no gradient wanted, as they are sent.
    """

    def __init__(
        self,
        batch: Batch,
        chunk_rows: int,
        progress: Optional[Progress],
        memory: KeptMemory,
    ):
        self._batch = batch
        self._chunk_rows = chunk_rows
        self._progress = progress
        self._gradient = batch.empty_gradient(memory) if batch.wants_gradient else None
        self._room = memoryview(b"")
        if self._gradient is not None:
            _keep_freed_memory()
            self._room = memoryview(self._gradient.reshape(-1).view(np.uint8))
        self._rows_sent = 0
        self._rows_answered = 0
        self._summary: Optional[memoryview] = None
        # What the caller's progress raised where gRPC asked for a message.
        self.failure: Optional[BaseException] = None

    def messages(self) -> Iterator[bytes]:
        yield self._batch.stream_header()
        for rows, message in self._batch.stream_chunks(self._chunk_rows):
            self._rows_sent = rows
            yield message
            if self._gradient is None:
                try:
                    self._report(rows)
                except BaseException as error:
                    self.failure = error
                    raise

    def _report(self, rows: int) -> None:
        if self._progress is not None:
            self._progress(rows, self._batch.rows)

    def take(self, answer: bytes) -> None:
        """Takes a StreamLossResponse. Raises InternalError: one that is no valid
        message, or none that should come now."""
        if self._summary is not None:
            raise InternalError("the server answered more after its summary")
        try:
            self._take(dict(_wire.read_fields(memoryview(answer))))
        except (_wire.WireError, TypeError):
            raise InternalError("the server's answer is no valid message") from None

    def _take(self, fields: dict) -> None:
        response = pb.StreamLossResponse
        if response.SUMMARY_FIELD_NUMBER in fields:
            self._take_summary(fields[response.SUMMARY_FIELD_NUMBER])
        elif response.GRADIENT_CHUNK_FIELD_NUMBER in fields:
            chunk = fields[response.GRADIENT_CHUNK_FIELD_NUMBER]
            self._take_gradient(dict(_wire.read_fields(chunk)))
        else:
            raise InternalError(
                "the server answered neither a gradient chunk nor a summary"
            )

    def _take_gradient(self, fields: dict) -> None:
        chunk = pb.GradientChunk
        first = _wire.signed(fields.get(chunk.FIRST_ROW_FIELD_NUMBER, 0))
        raw = fields.get(chunk.RAW_FIELD_NUMBER, memoryview(b""))
        if self._gradient is None:
            raise InternalError("the server answered a gradient chunk, want none")
        if first != self._rows_answered:
            raise InternalError(
                f"the server answered a gradient chunk from row {first}, "
                f"want row {self._rows_answered}"
            )
        row_bytes = self._gradient.itemsize * self._batch.classes
        rows, rest = divmod(len(raw), row_bytes)
        most = self._rows_sent - first
        if rest or not 0 < rows <= most:
            raise InternalError(
                f"the server answered {len(raw)} bytes of gradient from row {first}, "
                f"want a positive multiple of {row_bytes} up to {most * row_bytes}, "
                "the rows sent"
            )
        self._room[first * row_bytes : first * row_bytes + len(raw)] = raw
        self._rows_answered += rows
        self._report(self._rows_answered)

    def _take_summary(self, summary: memoryview) -> None:
        rows = self._rows_sent if self._gradient is None else self._rows_answered
        if rows < self._batch.rows:
            raise InternalError(
                f"the server sent its summary after {rows} of {self._batch.rows} rows"
            )
        self._summary = summary
        if self._batch.rows == 0:
            self._report(0)

    def result(self) -> LossResult:
        """What all the answers say."""
        if self._summary is None:
            raise InternalError(
                f"the server ended the stream without a summary, {self._rows_sent} of "
                f"{self._batch.rows} rows sent"
            )
        return self._batch.result(self._summary, self._gradient)

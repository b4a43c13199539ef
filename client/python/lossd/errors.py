"""The exceptions of lossd: one class per status code, all of them `lossd.Error`."""

from typing import Optional

import grpc

from lossd import _wire

_TYPE_URL = "type.googleapis.com/google.rpc."


class Error(Exception):
    """A call that failed: the server's answer, the network's, or a bad argument.

    message: what is wrong, with the first offender and both numbers; also str(error)
    code: the grpc.StatusCode
    reason: UPPER_SNAKE_CASE, one per kind of error; empty where the network failed or
        this library refused an argument itself
    field: the request's field at fault, a path; or this library's argument; empty: none
    metadata: the message's variable parts, limits among them, as strings
    retry_delay: what the server asked to wait, in seconds; None: it did not
    pushback_ms: the call's trailing metadata `grpc-retry-pushback-ms`; None: none
    """

    code = grpc.StatusCode.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        code: Optional[grpc.StatusCode] = None,
        reason: str = "",
        field: str = "",
        metadata: Optional[dict[str, str]] = None,
        retry_delay: Optional[float] = None,
        pushback_ms: Optional[str] = None,
    ):
        super().__init__(message)
        self.message = message
        self.code = type(self).code if code is None else code
        self.reason = reason
        self.field = field
        self.metadata = metadata or {}
        self.retry_delay = retry_delay
        self.pushback_ms = pushback_ms

    def __str__(self) -> str:
        return self.message

    @property
    def is_from_server(self) -> bool:
        """Whether a lossd said so, and not the network or this library."""
        return bool(self.reason) or self.pushback_ms is not None

    def explain(self, text: str) -> None:
        """Adds to the message what the network's own does not say."""
        self.message += f" ({text})"


class InvalidArgumentError(Error, ValueError):
    """A shape, label, option or logit out of its range, or of the wrong type."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class ResourceExhaustedError(Error):
    """Larger than the server, or one message, takes."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class UnavailableError(Error, ConnectionError):
    """No server there, none that TLS trusts, or it is overloaded or draining."""

    code = grpc.StatusCode.UNAVAILABLE


class DeadlineExceededError(Error, TimeoutError):
    """The timeout passed; the server's computation stopped, too."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class CancelledError(Error):
    """The call was cancelled; the server's computation stopped, too."""

    code = grpc.StatusCode.CANCELLED


class UnimplementedError(Error, NotImplementedError):
    """A loss, option or output that the server does not have."""

    code = grpc.StatusCode.UNIMPLEMENTED


class InternalError(Error):
    """The answer is not what was asked for, or the server failed."""

    code = grpc.StatusCode.INTERNAL


class PermissionDeniedError(Error, PermissionError):
    """The server's authorization policy forbids the call."""

    code = grpc.StatusCode.PERMISSION_DENIED


_CLASSES = {
    cls.code: cls
    for cls in (
        InvalidArgumentError,
        ResourceExhaustedError,
        UnavailableError,
        DeadlineExceededError,
        CancelledError,
        UnimplementedError,
        InternalError,
        PermissionDeniedError,
    )
}
for _class in (Error, *_CLASSES.values()):
    _class.__module__ = "lossd"  # as callers name them, and as tracebacks should


def from_rpc(error: grpc.RpcError) -> Error:
    """The exception for a call that gRPC says failed."""
    code = error.code()
    details: dict = {}
    for name, value in error.trailing_metadata() or ():
        if name == "grpc-status-details-bin":
            details.update(_read_details(value))
        elif name == "grpc-retry-pushback-ms":
            details["pushback_ms"] = value
    return _CLASSES.get(code, Error)(error.details() or "", code=code, **details)


def _text(data: memoryview) -> str:
    return bytes(data).decode("utf-8", "replace")


def _read_details(data: bytes) -> dict:
    """What a google.rpc.Status carries, as Error's arguments; bytes that are none of it
    carry nothing. Read by hand: the generated google.rpc modules that other packages
    bring would collide with a copy of ours."""
    details: dict = {}
    try:
        for number, value in _wire.read_fields(memoryview(data)):
            if number == 3:
                any_fields = dict(_wire.read_fields(value))
                read = _READERS.get(_text(any_fields.get(1, memoryview(b""))))
                if read:
                    read(any_fields.get(2, memoryview(b"")), details)
    except (_wire.WireError, TypeError):
        return {}
    return details


def _read_error_info(data: memoryview, details: dict) -> None:
    metadata = {}
    for number, value in _wire.read_fields(data):
        if number == 1:
            details["reason"] = _text(value)
        elif number == 3:
            entry = dict(_wire.read_fields(value))
            empty = memoryview(b"")
            metadata[_text(entry.get(1, empty))] = _text(entry.get(2, empty))
    # A map has no order on the wire.
    details["metadata"] = dict(sorted(metadata.items()))


def _read_bad_request(data: memoryview, details: dict) -> None:
    for number, value in _wire.read_fields(data):
        if number == 1 and "field" not in details:
            details["field"] = _text(dict(_wire.read_fields(value))[1])


def _read_retry_info(data: memoryview, details: dict) -> None:
    for number, value in _wire.read_fields(data):
        if number == 1:
            duration = dict(_wire.read_fields(value))
            seconds = _wire.signed(duration.get(1, 0))
            details["retry_delay"] = seconds + _wire.signed(duration.get(2, 0)) * 1e-9


_READERS = {
    _TYPE_URL + "ErrorInfo": _read_error_info,
    _TYPE_URL + "BadRequest": _read_bad_request,
    _TYPE_URL + "RetryInfo": _read_retry_info,
}

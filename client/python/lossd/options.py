"""How a client reaches its server, and what it does when that fails."""

import dataclasses
import math
import ssl
import threading
from collections.abc import Callable
from typing import Optional

import grpc

from lossd.errors import CancelledError, InvalidArgumentError


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetryOptions:
    """When to call again after UNAVAILABLE.

    The wait before attempt n + 1 is min(max_backoff, initial_backoff *
    multiplier^(n - 1)) seconds, times a random factor in [1 - jitter, 1 + jitter]; what
    the server asks for (google.rpc.RetryInfo, grpc-retry-pushback-ms) replaces it. A
    negative pushback ends the attempts; so does a wait that would reach the timeout.
    """

    max_attempts: int = 5  # calls in all, >= 1; 1: never retry
    initial_backoff: float = 0.1  # seconds, > 0
    max_backoff: float = 5.0  # seconds, >= initial_backoff
    multiplier: float = 2.0  # >= 1
    jitter: float = 0.2  # in [0, 1)

    def __post_init__(self) -> None:
        self._check("max_attempts", self.max_attempts >= 1, ">= 1")
        self._check(
            "initial_backoff",
            0 < self.initial_backoff <= self.max_backoff,
            f"in (0, {self.max_backoff}], the max_backoff",
        )
        finite = 1 <= self.multiplier < math.inf
        self._check("multiplier", finite, "finite and >= 1")
        self._check("jitter", 0 <= self.jitter < 1, "in [0, 1)")

    def _check(self, name: str, fits: bool, want: str) -> None:
        if not fits:
            raise InvalidArgumentError(
                f"retry.{name} = {getattr(self, name)}, want {want}",
                field=f"retry.{name}",
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TlsOptions:
    """TLS to the server. Files are in PEM and read once, when the client is made."""

    # Those whose signature a server's certificate must lead to; None: those that gRPC
    # trusts by itself.
    ca_file: Optional[str] = None
    # What the client shows of itself to a server that asks, and its private key,
    # without a password: both or neither.
    certificate_file: Optional[str] = None
    key_file: Optional[str] = None
    # The name that the server's certificate must bear; None: the target's.
    server_name: Optional[str] = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Raises InvalidArgumentError: a file that cannot be read or does not hold what
        it should; a certificate without its key, or the other way round."""
        if (self.certificate_file is None) != (self.key_file is None):
            missing, other = "key_file", self.certificate_file
            if self.key_file is not None:
                missing, other = "certificate_file", self.key_file
            raise InvalidArgumentError(
                f"tls.{missing}: missing, want what belongs to {other}",
                field=f"tls.{missing}",
            )
        roots, key, chain = map(self._read, ("ca_file", "key_file", "certificate_file"))
        self._check_contents()
        return grpc.ssl_channel_credentials(roots, key, chain)

    def _bad(self, name: str, want: str) -> InvalidArgumentError:
        return InvalidArgumentError(
            f"tls.{name} = {getattr(self, name)}, want {want}", field=f"tls.{name}"
        )

    def _read(self, name: str) -> Optional[bytes]:
        path = getattr(self, name)
        if path is None:
            return None
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError as error:
            raise self._bad(name, f"a file to read: {error.strerror}") from None

    def _check_contents(self) -> None:
        """Of files that it cannot use gRPC says "empty address list" in every call."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.ca_file is not None:
            try:
                context.load_verify_locations(self.ca_file)
            except ssl.SSLError:
                raise self._bad("ca_file", "certificates in PEM") from None
        if self.certificate_file is not None:
            try:
                # Nobody is asked for a password.
                context.load_cert_chain(
                    self.certificate_file, self.key_file, password=lambda: b""
                )
            except ssl.SSLError:
                want = (
                    "certificates in PEM, and tls.key_file their private key in PEM, "
                    "without a password"
                )
                raise self._bad("certificate_file", want) from None


class Cancellation:
    """Cancels calls from another thread: give it to them, then call cancel().

    Each raises CancelledError, at once and whatever it was doing; a call that gets a
    cancellation used before does not begin. With asyncio, cancel the task instead.
    """

    def __init__(self) -> None:
        self._cancelled = threading.Event()
        self._lock = threading.Lock()
        self._under_way: list[Callable[[], object]] = []

    def cancel(self) -> None:
        with self._lock:
            self._cancelled.set()
            under_way, self._under_way = self._under_way, []
        for cancel in under_way:
            cancel()

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def wait(self, seconds: float) -> None:
        """Waits; raises CancelledError where cancelled before the end."""
        if self._cancelled.wait(seconds):
            raise CancelledError("the call was cancelled")

    def begin(self, cancel: Callable[[], object]) -> None:
        """Has `cancel` called when cancelled, now or later, until `end`."""
        with self._lock:
            if not self._cancelled.is_set():
                self._under_way.append(cancel)
                return
        cancel()

    def end(self, cancel: Callable[[], object]) -> None:
        with self._lock:
            if cancel in self._under_way:
                self._under_way.remove(cancel)


@dataclasses.dataclass(frozen=True)
class ServerInfo:
    """What a server is and what it takes."""

    version: str  # as in "0.1.0"
    kernel: str  # the instruction set in use, as in "AVX2"
    compute_threads: int
    max_request_bytes: int
    memory_budget_bytes: int  # 0: not bounded
    losses: tuple[str, ...]  # those that work, by the contract's names
    data_types: tuple[str, ...]  # of logits, as in "float32"

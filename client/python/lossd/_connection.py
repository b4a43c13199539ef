"""What Client and AsyncClient share of a connection: its settings, and each call's."""

import dataclasses
import math
import time
from typing import Any, Optional

from lossd import _arrays
from lossd._batch import choice
from lossd._transfer import TRANSFERS, Progress
from lossd.errors import InvalidArgumentError
from lossd.options import Cancellation, RetryOptions, ServerInfo, TlsOptions
from lossd.v1 import loss_service_pb2 as pb

SERVICE = "/lossd.v1.LossService/"


def channel_options(retry: RetryOptions, tls: Optional[TlsOptions]) -> list[tuple]:
    """The settings of every client's channel, as the C++ client's."""
    reconnect_ms = int(1000 * min(retry.initial_backoff, 1.0))
    options: list[tuple[str, Any]] = [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
        # gRPC's own leave out requests over 256 KiB.
        ("grpc.enable_retries", 0),
        # A target of several addresses: calls go to all that answer, in turn.
        ("grpc.lb_policy_name", "round_robin"),
        # An http_proxy of the environment is for web pages.
        ("grpc.enable_http_proxy", 0),
        # A channel answers at once from its last failure until it tries to connect
        # again: by default our attempts would not reach a server that is back.
        ("grpc.initial_reconnect_backoff_ms", max(1, reconnect_ms)),
        ("grpc.max_reconnect_backoff_ms", 1000),
    ]
    if tls is not None and tls.server_name is not None:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    return options


def check_target(target: str) -> str:
    """`target`, which says something."""
    if not target:
        raise InvalidArgumentError("the target is empty", field="target")
    return target


def check_timeout(timeout: Optional[float]) -> Optional[float]:
    """`timeout`; None where a call may take as long as it wants."""
    if timeout is None or timeout == math.inf:
        return None
    if not timeout > 0:
        raise InvalidArgumentError(f"timeout = {timeout}, want > 0", field="timeout")
    return float(timeout)


@dataclasses.dataclass(frozen=True)
class Call:
    """What concerns a call and not its batch."""

    deadline: Optional[float]  # of time.monotonic()
    transfer: str = "auto"
    progress: Optional[Progress] = None
    cancellation: Optional[Cancellation] = None

    @classmethod
    def taken_from(cls, options: dict, default_timeout: Optional[float]) -> "Call":
        """Takes out of `options` what is of a call."""
        timeout = options.pop("timeout", None)
        seconds = default_timeout if timeout is None else check_timeout(timeout)
        return cls(
            deadline=None if seconds is None else time.monotonic() + seconds,
            transfer=choice("transfer", options.pop("transfer", "auto"), TRANSFERS),
            progress=options.pop("progress", None),
            cancellation=options.pop("cancellation", None),
        )

    def remaining(self) -> Optional[float]:
        """Seconds until the deadline, as gRPC takes them."""
        if self.deadline is None:
            return None
        return max(0.0, self.deadline - time.monotonic())

    def ends_within(self, seconds: float) -> bool:
        return self.deadline is not None and time.monotonic() + seconds >= self.deadline


def request_metadata(request: bytes) -> tuple:
    """A server with a memory budget need not guess."""
    return (("lossd-request-bytes", str(len(request))),)


def server_info(answer: bytes) -> ServerInfo:
    info = pb.GetServerInfoResponse.FromString(answer)
    return ServerInfo(
        version=info.version,
        kernel=info.kernel,
        compute_threads=info.compute_threads,
        max_request_bytes=info.max_request_bytes,
        memory_budget_bytes=info.memory_budget_bytes,
        losses=tuple(info.losses),
        data_types=tuple(_arrays.type_name(number) for number in info.data_types),
    )

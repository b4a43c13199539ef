"""When to call again, and how long to wait before."""

from typing import Optional

import grpc

from lossd.errors import Error
from lossd.options import RetryOptions


def retry_delay(
    options: RetryOptions, attempt: int, error: Error, random: float
) -> Optional[float]:
    """The seconds to wait after attempt number `attempt` (from 1) failed with `error`;
    None: give up. The pushback goes before RetryInfo; as gRPC has it, one that is
    negative or no number forbids to retry. What the server asks for is lengthened by
    the jitter, never shortened. REQUIRES: 0 <= random < 1.
    """
    if error.code != grpc.StatusCode.UNAVAILABLE or attempt >= options.max_attempts:
        return None
    asked = error.retry_delay
    if error.pushback_ms is not None:
        try:
            asked = int(error.pushback_ms) / 1000
        except ValueError:
            return None
        if asked < 0:
            return None
    if asked is not None:
        return asked * (1 + options.jitter * random)
    backoff = min(
        options.max_backoff,
        options.initial_backoff * options.multiplier ** (attempt - 1),
    )
    return backoff * (1 + options.jitter * (2 * random - 1))


def explain(error: Error, target: str, attempts: int) -> None:
    """Adds what the network's own messages do not say: the server and the effort."""
    if error.code in (
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    ):
        plural = "" if attempts == 1 else "s"
        error.explain(f"{target}, {attempts} attempt{plural}")

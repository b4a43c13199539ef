"""The Python client of lossd: batched losses and their gradients over gRPC.

    import numpy as np
    import lossd

    with lossd.Client("127.0.0.1:50051") as client:
        result = client.cross_entropy(np.float32([[2, 1, 0.1]]), [0])
        print(result.loss, result.gradient)

lossd.torch has the same losses for autograd. docs/languages/python.md has all of it.
"""

from lossd._aio import AsyncClient
from lossd._arrays import BFloat16
from lossd._batch import LossResult
from lossd._client import Client
from lossd.errors import (
    CancelledError,
    DeadlineExceededError,
    Error,
    InternalError,
    InvalidArgumentError,
    PermissionDeniedError,
    ResourceExhaustedError,
    UnavailableError,
    UnimplementedError,
)
from lossd.losses import (
    Huber,
    KlDivergence,
    Loss,
    MulticlassHinge,
    NegativeLogLikelihood,
    SigmoidCrossEntropy,
    SigmoidFocal,
    SoftmaxCrossEntropy,
    SoftmaxFocal,
    SquaredError,
)
from lossd.options import Cancellation, RetryOptions, ServerInfo, TlsOptions

__version__ = "0.1.0"

__all__ = [
    "AsyncClient",
    "BFloat16",
    "Cancellation",
    "CancelledError",
    "Client",
    "DeadlineExceededError",
    "Error",
    "Huber",
    "InternalError",
    "InvalidArgumentError",
    "KlDivergence",
    "Loss",
    "LossResult",
    "MulticlassHinge",
    "NegativeLogLikelihood",
    "PermissionDeniedError",
    "ResourceExhaustedError",
    "RetryOptions",
    "ServerInfo",
    "SigmoidCrossEntropy",
    "SigmoidFocal",
    "SoftmaxCrossEntropy",
    "SoftmaxFocal",
    "SquaredError",
    "TlsOptions",
    "UnavailableError",
    "UnimplementedError",
]

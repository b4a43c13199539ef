"""lossd's losses for PyTorch's autograd, under the names of torch.nn.functional.

    import lossd, lossd.torch

    lossd.torch.use(lossd.Client("127.0.0.1:50051"))
    loss = lossd.torch.cross_entropy(model(x), y)
    loss.backward()

Names, defaults and meaning are PyTorch's, as far as it has the loss; what PyTorch takes
by position after `weight` is by keyword here. Each call is one to the server, which
answers loss and gradient at once; backward() makes none. A second derivative
(create_graph=True) is one call more, a Hessian-vector product; there is no third, and
no second of multi_margin_loss.

Further keyword options are those of lossd.Client.compute_loss, but for outputs,
gradient_dtype and upstream_gradient, which are autograd's to choose, and `client`,
which goes before use()'s. non_finite is "propagate" here, as PyTorch does it.

Tensors: float16, bfloat16, float32 or float64; one of another device is copied to the
CPU, its results back. Only the logits get a gradient: labels and weights that require
one raise lossd.InvalidArgumentError. So does a target of another shape, which PyTorch
would broadcast.
"""

from typing import Any, Optional

import torch

from lossd import _named_losses as named
from lossd._autograd import apply as _apply
from lossd._autograd import use

__all__ = [
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "distillation_loss",
    "huber_loss",
    "mse_loss",
    "multi_margin_loss",
    "nll_loss",
    "sigmoid_focal_loss",
    "softmax_focal_loss",
    "use",
]


def cross_entropy(
    input: torch.Tensor,
    target: torch.Tensor,
    weight: Optional[torch.Tensor] = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    **options: Any,
) -> torch.Tensor:
    """torch.nn.functional.cross_entropy. lossd's own options: z_loss, logit_scale,
    logit_softcap."""
    return _apply(
        named.cross_entropy,
        input,
        ("target", target),
        ("weight", weight),
        ignore_index=ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
        **options,
    )


def nll_loss(
    input: torch.Tensor,
    target: torch.Tensor,
    weight: Optional[torch.Tensor] = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    **options: Any,
) -> torch.Tensor:
    """torch.nn.functional.nll_loss."""
    return _apply(
        named.nll_loss,
        input,
        ("target", target),
        ("weight", weight),
        ignore_index=ignore_index,
        reduction=reduction,
        **options,
    )


def binary_cross_entropy_with_logits(
    input: torch.Tensor,
    target: torch.Tensor,
    weight: Optional[torch.Tensor] = None,
    *,
    reduction: str = "mean",
    pos_weight: Optional[torch.Tensor] = None,
    **options: Any,
) -> torch.Tensor:
    """torch.nn.functional.binary_cross_entropy_with_logits. lossd's own option:
    label_smoothing."""
    return _apply(
        named.binary_cross_entropy_with_logits,
        input,
        ("target", target),
        ("weight", weight),
        reduction=reduction,
        pos_weight=pos_weight,
        **options,
    )


def softmax_focal_loss(
    input: torch.Tensor,
    target: torch.Tensor,
    gamma: float = 2.0,
    *,
    weight: Optional[torch.Tensor] = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    **options: Any,
) -> torch.Tensor:
    """lossd.Client.softmax_focal_loss."""
    return _apply(
        named.softmax_focal_loss,
        input,
        ("target", target),
        ("gamma", gamma),
        weight=weight,
        ignore_index=ignore_index,
        reduction=reduction,
        **options,
    )


def sigmoid_focal_loss(
    input: torch.Tensor,
    target: torch.Tensor,
    gamma: float = 2.0,
    *,
    alpha: Optional[float] = None,
    reduction: str = "mean",
    **options: Any,
) -> torch.Tensor:
    """lossd.Client.sigmoid_focal_loss: unlike torchvision's, no alpha and the mean
    unless asked for otherwise."""
    return _apply(
        named.sigmoid_focal_loss,
        input,
        ("target", target),
        ("gamma", gamma),
        alpha=alpha,
        reduction=reduction,
        **options,
    )


def distillation_loss(
    input: torch.Tensor,
    teacher: torch.Tensor,
    temperature: float = 1.0,
    *,
    targets_are_logits: bool = False,
    reduction: str = "mean",
    **options: Any,
) -> torch.Tensor:
    """lossd.Client.distillation_loss, of the student's logits, not
    log-probabilities."""
    return _apply(
        named.distillation_loss,
        input,
        ("teacher", teacher),
        ("temperature", temperature),
        targets_are_logits=targets_are_logits,
        reduction=reduction,
        **options,
    )


def multi_margin_loss(
    input: torch.Tensor,
    target: torch.Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Optional[torch.Tensor] = None,
    *,
    reduction: str = "mean",
    **options: Any,
) -> torch.Tensor:
    """torch.nn.functional.multi_margin_loss."""
    return _apply(
        named.multi_margin_loss,
        input,
        ("target", target),
        ("p", p),
        ("margin", margin),
        ("weight", weight),
        reduction=reduction,
        **options,
    )


def mse_loss(
    input: torch.Tensor,
    target: torch.Tensor,
    *,
    reduction: str = "mean",
    **options: Any,
) -> torch.Tensor:
    """torch.nn.functional.mse_loss."""
    return _apply(
        named.mse_loss, input, ("target", target), reduction=reduction, **options
    )


def huber_loss(
    input: torch.Tensor,
    target: torch.Tensor,
    *,
    reduction: str = "mean",
    delta: float = 1.0,
    **options: Any,
) -> torch.Tensor:
    """torch.nn.functional.huber_loss."""
    return _apply(
        named.huber_loss,
        input,
        ("target", target),
        reduction=reduction,
        delta=delta,
        **options,
    )

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

import dataclasses
from typing import Any, Callable, Optional

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from lossd import _named_losses as named
from lossd._arrays import BFloat16
from lossd._batch import Batch
from lossd._client import Client
from lossd._connection import Call
from lossd.errors import InvalidArgumentError

_default_client: Optional[Client] = None
_CALL_OPTIONS = ("timeout", "transfer", "progress", "cancellation")
_OF_AUTOGRAD = ("outputs", "gradient_dtype", "upstream_gradient")


def use(client: Optional[Client]) -> None:
    """Has every call without a `client` of its own go to this one."""
    global _default_client
    _default_client = client


def _to_array(tensor: torch.Tensor) -> Any:
    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:
        bits = tensor.contiguous().view(torch.int16).numpy().view(np.uint16)
        return BFloat16(bits)
    return tensor.numpy()


def _to_tensor(array: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    # PyTorch has no read-only tensors: a view of an answer becomes an array of its own.
    array = array if array.flags.writeable else array.copy()
    if like.dtype == torch.bfloat16:
        bits = torch.from_numpy(array.view(np.int16))
        return bits.view(torch.bfloat16).to(like.device)
    return torch.from_numpy(array).to(like.device)


def _plain(name: str, value: Any) -> Any:
    """An argument beside the logits, as lossd takes it."""
    if not isinstance(value, torch.Tensor):
        return value
    if value.requires_grad:
        raise InvalidArgumentError(
            f"{name} requires a gradient, want it detached: lossd has the logits' "
            "alone",
            field=name,
        )
    return _to_array(value)


@dataclasses.dataclass(frozen=True)
class _Problem:
    """A loss as a function of its logits."""

    client: Client
    make: Callable[..., Batch]  # of the logits
    call_options: dict

    def call(self, *names: str) -> Call:
        options = {k: v for k, v in self.call_options.items() if k in names}
        return Call.taken_from(options, self.client._default_timeout)

    def multiply(self, logits: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
        """The Hessian times `vector`."""
        batch = self.make(_to_array(logits))
        call = self.call("timeout", "cancellation")
        product = self.client._multiply(batch, batch.vector(_to_array(vector)), call)
        return _to_tensor(product, logits)


def _like_logits(upstream: torch.Tensor, class_axis: Optional[int]) -> torch.Tensor:
    """A factor of each row as one of each logit."""
    return upstream if class_axis is None else upstream.unsqueeze(class_axis)


class _Loss(torch.autograd.Function):
    """The loss; its gradient is computed with it."""

    @staticmethod
    def forward(
        ctx: Any, logits: torch.Tensor, problem: _Problem, wants_gradient: bool
    ):
        outputs = ("loss", "gradient") if wants_gradient else ("loss",)
        batch = problem.make(_to_array(logits), outputs=outputs)
        result = problem.client._compute(batch, problem.call(*_CALL_OPTIONS))
        by_row = batch.reduction == "none" and not batch.element_rows
        ctx.problem, ctx.class_axis = problem, batch.axis if by_row else None
        if wants_gradient:
            ctx.save_for_backward(logits, _to_tensor(result.gradient, logits))
        if batch.reduction == "none":
            return _to_tensor(result.loss, logits)
        return torch.tensor(result.loss, dtype=logits.dtype, device=logits.device)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor):
        logits, gradient = ctx.saved_tensors
        of_logits = _Gradient.apply(
            logits, upstream, gradient, ctx.problem, ctx.class_axis
        )
        return of_logits, None, None


class _Gradient(torch.autograd.Function):
    """`upstream` times the gradient, which is a function of the logits itself."""

    @staticmethod
    def forward(
        ctx: Any,
        logits: torch.Tensor,
        upstream: torch.Tensor,
        gradient: torch.Tensor,
        problem: _Problem,
        class_axis: Optional[int],
    ):
        ctx.save_for_backward(logits, upstream, gradient)
        ctx.problem, ctx.class_axis = problem, class_axis
        return _like_logits(upstream, class_axis) * gradient

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, vector: torch.Tensor):
        logits, upstream, gradient = ctx.saved_tensors
        of_logits = of_upstream = None
        if ctx.needs_input_grad[0]:
            product = ctx.problem.multiply(logits, vector)
            of_logits = _like_logits(upstream, ctx.class_axis) * product
        if ctx.needs_input_grad[1]:
            products = gradient * vector
            if ctx.class_axis is not None:
                products = products.sum(ctx.class_axis)
            of_upstream = products.sum_to_size(upstream.shape)
        return of_logits, of_upstream, None, None, None


def _apply(
    make: Callable[..., Batch], logits: torch.Tensor, *arguments: Any, **options: Any
) -> torch.Tensor:
    """The loss that `make` makes of these arguments. `arguments`: (name, value)."""
    client = options.pop("client", None) or _default_client
    if client is None:
        raise InvalidArgumentError(
            "no client: call lossd.torch.use(lossd.Client(...)) first", field="client"
        )
    for name in _OF_AUTOGRAD:
        if name in options:
            raise TypeError(f"{name} is autograd's to choose, want lossd.Client for it")
    call_options = {k: options.pop(k) for k in _CALL_OPTIONS if k in options}
    options = {name: _plain(name, value) for name, value in options.items()}
    values = [_plain(name, value) for name, value in arguments]

    def make_of(array: Any, **more: Any) -> Batch:
        return make(array, *values, **{"non_finite": "propagate", **options, **more})

    wants_gradient = torch.is_grad_enabled() and logits.requires_grad
    return _Loss.apply(logits, _Problem(client, make_of, call_options), wants_gradient)


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

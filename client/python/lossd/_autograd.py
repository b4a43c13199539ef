"""lossd's losses as functions that PyTorch's autograd goes through."""

import dataclasses
from typing import Any, Callable, Optional

import numpy as np
import torch
from torch.autograd.function import once_differentiable

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


def apply(
    make: Callable[..., Batch], logits: torch.Tensor, *arguments: Any, **options: Any
) -> torch.Tensor:
    """The loss that `make` makes of these arguments. `arguments`: (name, value)."""
    client = options.pop("client", None) or _default_client
    if client is None:
        raise InvalidArgumentError(
            "no client: call lossd.torch.use(lossd.Client(...)) first", field="client"
        )
    if not isinstance(client, Client):
        raise InvalidArgumentError(
            f"client: a {type(client).__name__}, want a lossd.Client", field="client"
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

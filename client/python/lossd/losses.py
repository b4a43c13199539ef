"""The losses of the contract and their options: plain values.

None is not sent: the server's default holds, which is what docs/losses.md gives beside
the formulas and ranges. Sizes and ranges are the server's to check.
"""

import dataclasses
import operator
from typing import Any, ClassVar, Optional

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from lossd import _arrays
from lossd.errors import InvalidArgumentError
from lossd.v1 import loss_service_pb2 as pb


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Loss:
    """A loss with its options."""

    name: ClassVar[str]  # the field of LossSpec's oneof


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SoftmaxCrossEntropy(Loss):
    """-ln softmax(z)_y. Labels: class indices, or probabilities."""

    name = "softmax_cross_entropy"
    label_smoothing: float = 0.0  # the share spread over all classes; in [0, 1]
    class_weights: Any = None  # [classes]; a factor for each class's term
    ignore_index: Optional[int] = None  # only with class indices
    z_loss: float = 0.0  # adds z_loss * (ln sum_j exp(z_j))^2
    logit_scale: Optional[float] = None  # z -> scale z; None: 1
    logit_softcap: Optional[float] = None  # before it, z -> cap tanh(z / cap)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SigmoidCrossEntropy(Loss):
    """The mean over the classes of binary cross-entropy. Labels: targets in [0, 1]."""

    name = "sigmoid_cross_entropy"
    positive_weights: Any = None  # [classes]; factors of positive targets' terms
    label_smoothing: float = 0.0  # moves targets towards 1/2; in [0, 1]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class NegativeLogLikelihood(Loss):
    """-z_y: the logits are log-probabilities already. Labels: class indices."""

    name = "negative_log_likelihood"
    class_weights: Any = None
    ignore_index: Optional[int] = None


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class KlDivergence(Loss):
    """KL(teacher || student) at temperature T, times T^2. Labels: the teacher."""

    name = "kl_divergence"
    temperature: float = 1.0  # T
    targets_are_logits: bool = False  # or else probabilities, taken as they are


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SoftmaxFocal(Loss):
    """-(1 - p_y)^gamma ln p_y. Labels: class indices."""

    name = "softmax_focal"
    gamma: float = 2.0
    class_weights: Any = None
    ignore_index: Optional[int] = None


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SigmoidFocal(Loss):
    """Binary focal loss, the mean over the classes. Labels: targets in [0, 1]."""

    name = "sigmoid_focal"
    gamma: float = 2.0
    alpha: Optional[float] = None  # of positive targets, 1 - alpha of negative ones


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MulticlassHinge(Loss):
    """The mean over c != y of max(0, margin - z_y + z_c)^power. Labels: indices."""

    name = "multiclass_hinge"
    margin: float = 1.0
    power: int = 1  # 1 or 2


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SquaredError(Loss):
    """The mean over the classes of (z - t)^2. Labels: targets."""

    name = "squared_error"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Huber(Loss):
    """Quadratic up to |z - t| = delta, linear beyond; the mean over the classes."""

    name = "huber"
    delta: float = 1.0


LOSSES = tuple(Loss.__subclasses__())


_WANTED = {
    FieldDescriptor.CPPTYPE_BOOL: (bool, "a bool"),
    FieldDescriptor.CPPTYPE_DOUBLE: (float, "a number"),
    FieldDescriptor.CPPTYPE_INT32: (operator.index, "an integer of 32 bits"),
    FieldDescriptor.CPPTYPE_INT64: (operator.index, "an integer of 64 bits"),
}


def _set_number(message: Message, field: FieldDescriptor, loss: Loss) -> None:
    value = getattr(loss, field.name)
    convert, want = _WANTED[field.cpp_type]
    try:
        setattr(message, field.name, convert(value))
    except (TypeError, ValueError, OverflowError):
        raise InvalidArgumentError(
            f"{loss.name}.{field.name} = {value!r}, want {want}", field=field.name
        ) from None


def loss_to_proto(loss: Loss) -> pb.LossSpec:
    """The LossSpec of `loss`."""
    if not isinstance(loss, LOSSES):
        raise InvalidArgumentError(
            f"loss = {loss!r}, want one of lossd's, such as lossd.Huber(delta=0.5)",
            field="loss",
        )
    spec = pb.LossSpec()
    message = getattr(spec, loss.name)
    message.SetInParent()
    for field in message.DESCRIPTOR.fields:
        if getattr(loss, field.name) is None:
            continue
        if field.message_type is None:
            _set_number(message, field, loss)
            continue
        tensor = _arrays.double_tensor(field.name, getattr(loss, field.name))
        getattr(message, field.name).MergeFrom(tensor.to_proto())
    return spec

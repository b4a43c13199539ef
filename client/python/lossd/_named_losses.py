"""The losses under PyTorch's names and with its meaning, as batches of the contract.

What differs from the contract (docs/losses.md) is resolved here, exactly where floats
allow it: classes on axis 1; an ignore_index of -100; sums and elements where lossd has
means over classes, by sending every element as a row of one class; a weight for each
element, as row weights beside the divisor that PyTorch divides by.

`options` are those of Client.compute_loss that concern the batch.
"""

import math
from typing import Any, Optional

import numpy as np

from lossd import _arrays, losses
from lossd._arrays import Tensor
from lossd._batch import Batch, class_axis_of, to_number
from lossd.errors import InvalidArgumentError


def _doubles(name: str, values: Any, shape: tuple[int, ...]) -> np.ndarray:
    """`values`, broadcast to `shape`."""
    array = _arrays.double_tensor(name, values).doubles()
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise InvalidArgumentError(
            f"{name} has shape {array.shape}, want one that broadcasts to {shape}",
            field=name,
        ) from None


def _row_weights(options: dict, shape: tuple[int, ...]) -> Optional[np.ndarray]:
    """Takes the row weights out of `options`, in the rows' shape."""
    values = options.pop("row_weights", None)
    if values is None:
        return None
    array = _arrays.double_tensor("row_weights", values).doubles()
    if array.size != math.prod(shape):
        raise InvalidArgumentError(
            f"row_weights has shape {array.shape}, want {shape}", field="row_weights"
        )
    return array.reshape(shape)


def _with_pytorch_axis(logits: Tensor, options: dict) -> dict:
    axis = 1 if len(logits.shape) > 1 else 0
    return {"class_axis": axis, **options}


def _over_classes(
    loss: losses.Loss, logits: Any, labels: Any, reduction: str, options: dict
) -> Batch:
    tensor = _arrays.float_tensor("logits", logits)
    options = _with_pytorch_axis(tensor, options)
    return Batch(loss, tensor, labels, reduction=reduction, **options)


def cross_entropy(
    logits: Any,
    labels: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    *,
    z_loss: float = 0.0,
    logit_scale: Optional[float] = None,
    logit_softcap: Optional[float] = None,
    **options: Any,
) -> Batch:
    tensor = _arrays.label_tensor(labels)
    loss = losses.SoftmaxCrossEntropy(
        label_smoothing=label_smoothing,
        class_weights=weight,
        # As in PyTorch, without effect on probabilities.
        ignore_index=ignore_index if tensor.has_integers else None,
        z_loss=z_loss,
        logit_scale=logit_scale,
        logit_softcap=logit_softcap,
    )
    return _over_classes(loss, logits, tensor, reduction, options)


def nll_loss(
    log_probabilities: Any,
    labels: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    **options: Any,
) -> Batch:
    loss = losses.NegativeLogLikelihood(class_weights=weight, ignore_index=ignore_index)
    return _over_classes(loss, log_probabilities, labels, reduction, options)


def softmax_focal_loss(
    logits: Any,
    labels: Any,
    gamma: float = 2.0,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    **options: Any,
) -> Batch:
    loss = losses.SoftmaxFocal(
        gamma=gamma, class_weights=weight, ignore_index=ignore_index
    )
    return _over_classes(loss, logits, labels, reduction, options)


def distillation_loss(
    logits: Any,
    teacher: Any,
    temperature: float = 1.0,
    targets_are_logits: bool = False,
    reduction: str = "mean",
    **options: Any,
) -> Batch:
    loss = losses.KlDivergence(
        temperature=temperature, targets_are_logits=targets_are_logits
    )
    return _over_classes(loss, logits, teacher, reduction, options)


def multi_margin_loss(
    logits: Any,
    labels: Any,
    p: int = 1,
    margin: float = 1.0,
    weight: Any = None,
    reduction: str = "mean",
    **options: Any,
) -> Batch:
    """PyTorch divides a row's sum by C, lossd by C - 1; a weight multiplies the row of
    its label and is in no denominator."""
    tensor = _arrays.float_tensor("logits", logits)
    options = _with_pytorch_axis(tensor, options)
    axis = class_axis_of(tensor, options["class_axis"])
    classes = tensor.shape[axis]
    rows_shape = tensor.shape[:axis] + tensor.shape[axis + 1 :]
    rows = _row_weights(options, rows_shape)
    if rows is None:
        rows = np.ones(rows_shape)
    if reduction == "mean" and options.get("divisor") is None:
        options["divisor"] = rows.sum() or None
    factors = rows * ((classes - 1) / classes if classes else 0.0)
    labels = _arrays.label_tensor(labels)
    if weight is not None:
        factors = factors * _weights_of_labels(weight, labels, classes, rows_shape)
    options["row_weights"] = factors
    loss = losses.MulticlassHinge(margin=margin, power=p)
    return Batch(loss, tensor, labels, reduction=reduction, **options)


def _weights_of_labels(
    weight: Any, labels: Tensor, classes: int, rows_shape: tuple[int, ...]
) -> np.ndarray:
    weight = _doubles("weight", weight, (classes,))
    if not labels.has_integers or labels.shape != rows_shape:
        return np.float64(1)  # the server says what is wrong with the labels
    return weight[np.clip(labels.values, 0, classes - 1)]


def binary_cross_entropy_with_logits(
    logits: Any,
    labels: Any,
    weight: Any = None,
    reduction: str = "mean",
    pos_weight: Any = None,
    *,
    label_smoothing: float = 0.0,
    **options: Any,
) -> Batch:
    tensor = _arrays.float_tensor("logits", logits)
    if pos_weight is None or _is_per_class(pos_weight, tensor, options):
        if pos_weight is None or (reduction == "mean" and weight is None):
            loss = losses.SigmoidCrossEntropy(
                positive_weights=pos_weight, label_smoothing=label_smoothing
            )
            return _over_elements(loss, tensor, labels, weight, reduction, options)
    # Any other pos_weight w goes into rows of one element: with targets t it is
    # P = w t, N = 1 - t, the same as the weight P + N and the target P / (P + N).
    labels = _arrays.label_tensor(labels)
    if labels.has_integers:
        # The server says that it wants targets.
        return Batch(losses.SigmoidCrossEntropy(), tensor, labels, **options)
    targets = labels.doubles()
    smoothing = float(label_smoothing)
    targets = (1 - smoothing) * targets + smoothing / 2
    positive = _doubles("pos_weight", pos_weight, targets.shape) * targets
    both = positive + (1 - targets)
    targets = np.divide(positive, both, out=np.zeros_like(both), where=both != 0)
    loss = losses.SigmoidCrossEntropy()
    weight = both if weight is None else both * _doubles("weight", weight, both.shape)
    return _over_elements(loss, tensor, targets, weight, reduction, options)


def _is_per_class(pos_weight: Any, logits: Tensor, options: dict) -> bool:
    axis = options.get("class_axis", -1)
    rank = len(logits.shape)
    # PyTorch's vector lies along the last axis, unless another one is named.
    return -rank <= axis < rank and np.shape(pos_weight) == (logits.shape[axis],)


def sigmoid_focal_loss(
    logits: Any,
    labels: Any,
    gamma: float = 2.0,
    alpha: Optional[float] = None,
    reduction: str = "mean",
    **options: Any,
) -> Batch:
    loss = losses.SigmoidFocal(gamma=gamma, alpha=alpha)
    return _over_elements(loss, logits, labels, None, reduction, options)


def mse_loss(
    logits: Any, labels: Any, reduction: str = "mean", **options: Any
) -> Batch:
    loss = losses.SquaredError()
    return _over_elements(loss, logits, labels, None, reduction, options)


def huber_loss(
    logits: Any,
    labels: Any,
    reduction: str = "mean",
    delta: float = 1.0,
    **options: Any,
) -> Batch:
    loss = losses.Huber(delta=delta)
    return _over_elements(loss, logits, labels, None, reduction, options)


def _over_elements(
    loss: losses.Loss,
    logits: Any,
    labels: Any,
    weight: Any,
    reduction: str,
    options: dict,
) -> Batch:
    """The mean over all elements is lossd's; a sum, the elements' own losses and
    weights of elements take a row for each."""
    tensor = _arrays.float_tensor("logits", logits)
    has_rows = len(tensor.shape) > 0 and math.prod(tensor.shape) > 0
    if reduction == "mean" and weight is None and has_rows:
        return Batch(loss, tensor, labels, reduction=reduction, **options)
    options = dict(options)
    if tensor.shape:
        axis = class_axis_of(tensor, options.pop("class_axis", -1))
        classes = tensor.shape[axis]
    else:
        axis, classes = 0, 1
    rows_shape = tensor.shape[:axis] + tensor.shape[axis + 1 :]
    row_weights = _row_weights(options, rows_shape)
    if row_weights is not None:
        row_weights = np.expand_dims(row_weights, axis)
        row_weights = np.broadcast_to(row_weights, tensor.shape)
    if reduction == "mean":
        if options.get("divisor") is not None:
            options["divisor"] = classes * to_number("divisor", options["divisor"])
        elif row_weights is None:
            options["divisor"] = math.prod(tensor.shape) or None
        else:
            options["divisor"] = row_weights.sum() or None
    if weight is not None:
        weight = _doubles("weight", weight, tensor.shape)
        row_weights = weight if row_weights is None else weight * row_weights
    return Batch(
        loss,
        tensor.with_last_axis(),
        _arrays.label_tensor(labels).with_last_axis(),
        reduction=reduction,
        class_axis=-1,
        row_weights=row_weights,
        element_rows=True,
        **options,
    )

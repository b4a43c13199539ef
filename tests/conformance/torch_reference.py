"""What PyTorch answers to a case, in float64."""

import dataclasses

import numpy as np
import torch
from torch.nn import functional as F


@dataclasses.dataclass
class Reference:
    """Losses and gradient as float64 arrays, and how far off they may be."""

    loss: "float | None"  # None for the reduction "none"
    row_losses: np.ndarray
    gradient: np.ndarray
    # PyTorch rounds terms of this size on the way to a row's loss: what cancels
    # leaves errors relative to it, not to the result.
    row_unit: float


def doubles(array):
    return torch.from_numpy(array.astype(np.float64))


def to_torch_layout(case, tensor):
    """Moves the class axis to where PyTorch wants it: 1, or 0 of a single row."""
    if tensor.dim() == 1:
        return tensor
    # The gradient of nll_loss in two dimensions fails on anything else.
    return tensor.movedim(case.axis, 1).contiguous()


def per_class(case, name):
    """An option of [classes], or None."""
    values = case.option(name)
    return None if values is None else doubles(values)


def index_options(case):
    """class_weights and ignore_index under PyTorch's names."""
    options = {"weight": per_class(case, "class_weights")}
    if "ignore_index" in case.options:
        options["ignore_index"] = case.options["ignore_index"]
    return options


def index_labels(case):
    return torch.from_numpy(case.labels.astype(np.int64))


def capped(case, z):
    """logit_softcap, and -inf a mask put on after it."""
    if "logit_softcap" not in case.options:
        return z
    cap = case.options["logit_softcap"]
    return torch.where(torch.isinf(z), z.detach(), cap * torch.tanh(z / cap))


def softmax_cross_entropy(case, z, reduction):
    z = capped(case, z)
    options = {"label_smoothing": case.option("label_smoothing", 0.0)}
    if case.has_indices:
        target = index_labels(case)
        options.update(index_options(case))
    else:
        target = to_torch_layout(case, doubles(case.labels))
        options["weight"] = per_class(case, "class_weights")
    return F.cross_entropy(
        to_torch_layout(case, z), target, reduction=reduction, **options
    )


def negative_log_likelihood(case, z, reduction):
    return F.nll_loss(
        to_torch_layout(case, z),
        index_labels(case),
        reduction=reduction,
        **index_options(case),
    )


def over_elements(function, case, z, targets, reduction):
    """A loss of each element: PyTorch's mean is over all of them, its sum not
    over the classes' number, by which lossd divides a row's."""
    if reduction == "mean":
        return function(z, targets, reduction="mean")
    if reduction == "sum":
        return function(z, targets, reduction="sum") / case.classes
    return function(z, targets, reduction="none").mean(-1)


def reduced(rows, reduction):
    """For losses whose rows have no weights."""
    return {"mean": torch.mean, "sum": torch.sum, "none": lambda x: x}[reduction](rows)


def classes_last(case, tensor):
    return tensor.movedim(case.axis, -1)


def sigmoid_cross_entropy(case, z, reduction):
    smoothing = case.option("label_smoothing", 0.0)
    targets = classes_last(case, doubles(case.labels))
    targets = targets * (1 - smoothing) + smoothing / 2

    def function(z, targets, reduction):
        return F.binary_cross_entropy_with_logits(
            z,
            targets,
            pos_weight=per_class(case, "positive_weights"),
            reduction=reduction,
        )

    return over_elements(function, case, classes_last(case, z), targets, reduction)


def kl_divergence(case, z, reduction):
    temperature = case.option("temperature", 1.0)
    teacher = doubles(case.labels)
    if case.option("targets_are_logits"):
        teacher = F.softmax(teacher / temperature, case.axis)
    student = F.log_softmax(z / temperature, case.axis)
    rows = F.kl_div(student, teacher, reduction="none").sum(case.axis)
    return reduced(temperature**2 * rows, reduction)


def softmax_focal(case, z, reduction):
    """Not in PyTorch: the formula, over the denominator of nll_loss."""
    gamma = case.option("gamma", 2.0)
    log_p = F.log_softmax(z, case.axis)
    # nll_loss takes w_y and the sign from here, and leaves ignored rows out.
    terms = (-torch.expm1(log_p)) ** gamma * log_p
    return negative_log_likelihood(case, terms, reduction)


def sigmoid_focal(case, z, reduction):
    """Not in PyTorch: the formula of RetinaNet."""
    targets = doubles(case.labels)
    terms = F.binary_cross_entropy_with_logits(z, targets, reduction="none")
    wrong = torch.sigmoid(z) * (1 - targets) + torch.sigmoid(-z) * targets  # 1 - p_t
    terms = wrong ** case.option("gamma", 2.0) * terms
    if "alpha" in case.options:
        alpha = case.options["alpha"]
        terms = terms * (alpha * targets + (1 - alpha) * (1 - targets))
    return reduced(terms.mean(case.axis), reduction)


def multiclass_hinge(case, z, reduction):
    rows = F.multi_margin_loss(
        classes_last(case, z).reshape(-1, case.classes),
        index_labels(case).reshape(-1),
        p=case.option("power", 1),
        margin=case.option("margin", 1.0),
        reduction=reduction,
    )
    # PyTorch divides by all classes, lossd by those that are not the label.
    rows = rows * case.classes / (case.classes - 1)
    return rows.reshape(case.labels.shape) if reduction == "none" else rows


def squared_error(case, z, reduction):
    z, targets = classes_last(case, z), classes_last(case, doubles(case.labels))
    return over_elements(F.mse_loss, case, z, targets, reduction)


def huber(case, z, reduction):
    def function(z, targets, reduction):
        delta = case.option("delta", 1.0)
        return F.huber_loss(z, targets, reduction=reduction, delta=delta)

    z, targets = classes_last(case, z), classes_last(case, doubles(case.labels))
    return over_elements(function, case, z, targets, reduction)


ANSWERED = {
    function.__name__: function
    for function in (
        softmax_cross_entropy,
        negative_log_likelihood,
        sigmoid_cross_entropy,
        kl_divergence,
        softmax_focal,
        sigmoid_focal,
        multiclass_hinge,
        squared_error,
        huber,
    )
}


def row_unit(case):
    """See Reference: the factors of a row's terms, each at least 1."""
    unit = max(1.0, case.option("temperature", 1.0)) ** 2
    for name in ("class_weights", "positive_weights"):
        unit *= max(1.0, case.option(name, np.ones(1)).max())
    if case.loss == "multiclass_hinge":
        unit *= (1 + case.option("margin", 1.0)) ** case.option("power", 1)
    return unit


def answer(case):
    """PyTorch's answer to `case`."""
    function = ANSWERED[case.loss]
    z = doubles(case.logits).requires_grad_()
    loss = function(case, z, case.reduction)
    # The gradient of each row's own loss is that of their sum.
    (gradient,) = torch.autograd.grad(loss.sum(), z)
    with torch.no_grad():
        row_losses = function(case, z, "none")
    return Reference(
        loss=None if case.reduction == "none" else loss.item(),
        row_losses=row_losses.numpy(),
        gradient=gradient.numpy(),
        row_unit=row_unit(case),
    )

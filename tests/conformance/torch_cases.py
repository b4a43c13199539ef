"""Random cases for losses that PyTorch knows, too."""

import dataclasses
import math
import zlib

import numpy as np

from lossd.v1 import loss_service_pb2 as pb
from lossd_client import tensor_of

SEED = 20230613
REDUCTIONS = {
    "mean": pb.REDUCTION_MEAN,
    "sum": pb.REDUCTION_SUM,
    "none": pb.REDUCTION_NONE,
}
MAX_LOGITS = 4000


@dataclasses.dataclass
class Case:
    """One request, in NumPy's terms."""

    name: str  # LOSS/NUMBER, from which all of it is drawn
    loss: str
    logits: np.ndarray
    labels: np.ndarray  # indices, or targets of the logits' shape
    class_axis: "int | None"  # as sent; None: left out
    reduction: str
    options: dict  # LossSpec's fields; arrays where these are Tensors

    @property
    def axis(self):
        """The class axis, counted from the front."""
        given = -1 if self.class_axis is None else self.class_axis
        return given % self.logits.ndim

    @property
    def classes(self):
        return self.logits.shape[self.axis]

    @property
    def has_indices(self):
        return self.labels.dtype.kind == "i"

    def option(self, name, default=None):
        return self.options.get(name, default)

    def counted(self):
        """Which rows are not ignored."""
        if not self.has_indices:
            shape = np.delete(self.logits.shape, self.axis)
            return np.ones(shape, dtype=bool)
        return self.labels != self.option("ignore_index", self.classes)

    def divisor(self):
        """What the reduction divides the sum of the row losses by."""
        counted = self.counted()
        if self.reduction != "mean":
            return 1.0
        weights = self.option("class_weights")
        if not self.has_indices or weights is None:
            return float(counted.sum())
        return math.fsum(weights[self.labels[counted]])

    def request(self):
        """The same as a ComputeLossRequest."""
        request = pb.ComputeLossRequest(
            reduction=REDUCTIONS[self.reduction],
            class_axis=self.class_axis,
            outputs=[pb.OUTPUT_LOSS, pb.OUTPUT_GRADIENT, pb.OUTPUT_ROW_LOSSES],
            labels=tensor_of(self.labels),
            logits=tensor_of(self.logits),
        )
        loss = getattr(request.loss, self.loss)
        loss.SetInParent()
        for name, value in self.options.items():
            if isinstance(value, np.ndarray):
                getattr(loss, name).CopyFrom(tensor_of(value))
            else:
                setattr(loss, name, value)
        return request

    def __str__(self):
        options = {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in self.options.items()
        }
        return (
            f"{self.name}: logits {self.logits.dtype} {list(self.logits.shape)}, "
            f"class_axis {self.class_axis}, labels {self.labels.dtype}, "
            f"reduction {self.reduction}, options {options}"
        )


class Draw:
    """Draws the parts of one case."""

    def __init__(self, loss, number):
        self.name = f"{loss}/{number}"
        self.rng = np.random.default_rng([SEED, zlib.crc32(self.name.encode())])

    def chance(self, probability):
        return self.rng.random() < probability

    def choice(self, values):
        return values[self.rng.integers(len(values))]

    def float_type(self):
        return self.choice([np.float32, np.float64])

    def layout(self, min_classes, min_rows):
        """A shape of rank 1 to 5 and the class axis as it is sent."""
        rank = int(self.choice([1, 2, 2, 2, 3, 3, 4, 5]))
        axis = int(self.choice([rank - 1, min(1, rank - 1), self.rng.integers(rank)]))
        classes = int(self.choice([1, 2, 3, 5, 10, self.rng.integers(1, 300)]))
        shape = [0] * rank
        shape[axis] = max(classes, min_classes)
        for other in range(rank):
            if other != axis:
                left = MAX_LOGITS // max(1, math.prod(s for s in shape if s))
                shape[other] = int(self.rng.integers(1, max(2, min(8, left))))
        if rank > 1 and min_rows == 0 and self.chance(0.01):
            shape[0 if axis != 0 else 1] = 0
        forms = [axis, axis - rank]
        return shape, self.choice(forms + [None] if axis == rank - 1 else forms)

    def normal(self, shape, element_type=None):
        scale = self.choice([0.1, 1.0, 3.0])
        return (scale * self.rng.standard_normal(shape)).astype(
            element_type or self.float_type()
        )

    def probabilities(self, shape, axis, element_type=None):
        """Rows along `axis` that add up to 1, some with one class alone."""
        scale = self.choice([0.5, 2.0])
        powers = np.exp(scale * self.rng.standard_normal(shape))
        if self.chance(0.2):
            powers *= powers == powers.max(axis, keepdims=True)
        rows = powers / powers.sum(axis, keepdims=True)
        return rows.astype(element_type or self.float_type())

    def indices(self, shape, axis):
        index_type = self.choice([np.int32, np.int64])
        return self.rng.integers(
            shape[axis], size=np.delete(shape, axis), dtype=index_type
        )

    def class_weights(self, classes):
        """Factors, now and then 0 for some class."""
        weights = self.rng.uniform(0.1, 3.0, classes)
        if self.chance(0.2):
            weights[self.rng.integers(classes)] = 0
        return weights.astype(self.float_type())

    def unit_interval(self):
        return float(self.choice([0.1, 1.0, self.rng.random()]))


def ignore_some(draw, labels, classes, options):
    """Chooses an ignore_index and gives it to some of the rows, or to all."""
    ignored = int(draw.choice([-100, -1, classes, 255, draw.rng.integers(classes)]))
    options["ignore_index"] = ignored
    share = draw.choice([0.0, 0.2, 0.2, 0.7, 1.0])
    labels[draw.rng.random(labels.shape) < share] = ignored


def add_index_options(draw, case):
    """The options of all losses that class indices have."""
    if draw.chance(0.4):
        ignore_some(draw, case.labels, case.classes, case.options)
    if draw.chance(0.4):
        weights = draw.class_weights(case.classes)
        # A mean over weights of nothing but 0 is 0/0: in PyTorch for the
        # gradient, too, where lossd says 0.
        if not weights[case.labels[case.counted()]].sum() > 0:
            weights[:] = 1
        case.options["class_weights"] = weights


def new_case(draw, loss, min_classes=1, min_rows=0):
    """A case with logits and class indices, without options."""
    shape, class_axis = draw.layout(min_classes, min_rows)
    axis = (-1 if class_axis is None else class_axis) % len(shape)
    return Case(
        name=draw.name,
        loss=loss,
        logits=draw.normal(shape),
        labels=draw.indices(shape, axis),
        class_axis=class_axis,
        reduction=str(draw.choice(list(REDUCTIONS))),
        options={},
    )


def target_type(draw, case):
    """The type of float targets: mostly the logits'."""
    return case.logits.dtype if draw.chance(0.8) else draw.float_type()


def rule_out_classes(draw, case):
    """Sets some logits to -inf, but never a label's."""
    ruled_out = draw.rng.random(case.logits.shape) < 0.3
    label = np.expand_dims(case.labels, case.axis)
    np.put_along_axis(ruled_out, label.astype(np.int64), False, case.axis)
    case.logits[ruled_out] = -np.inf


def softmax_cross_entropy(draw):
    case = new_case(draw, "softmax_cross_entropy")
    if draw.chance(0.25):
        case.labels = draw.probabilities(
            case.logits.shape, case.axis, target_type(draw, case)
        )
        if draw.chance(0.4):
            case.options["class_weights"] = draw.class_weights(case.classes)
    else:
        if draw.chance(0.1):
            rule_out_classes(draw, case)
        add_index_options(draw, case)
    # PyTorch makes NaN of a smoothed target on a class of -inf.
    if draw.chance(0.4) and not np.isinf(case.logits).any():
        case.options["label_smoothing"] = draw.unit_interval()
    if draw.chance(0.3):
        case.options["logit_softcap"] = float(
            draw.choice([1.0, 2.0, 30.0, 50.0, draw.rng.uniform(0.5, 5.0)])
        )
    return case


def negative_log_likelihood(draw):
    case = new_case(draw, "negative_log_likelihood")
    logits = case.logits.astype(np.float64)
    total = np.log(np.exp(logits).sum(case.axis, keepdims=True))
    case.logits = (logits - total).astype(case.logits.dtype)
    add_index_options(draw, case)
    return case


def sigmoid_cross_entropy(draw):
    case = new_case(draw, "sigmoid_cross_entropy")
    targets = draw.rng.random(case.logits.shape)
    if draw.chance(0.5):
        targets = np.round(targets)
    case.labels = targets.astype(target_type(draw, case))
    if draw.chance(0.4):
        case.options["positive_weights"] = draw.class_weights(case.classes)
    if draw.chance(0.4):
        case.options["label_smoothing"] = draw.unit_interval()
    return case


def kl_divergence(draw):
    case = new_case(draw, "kl_divergence")
    shape, element_type = case.logits.shape, target_type(draw, case)
    if draw.chance(0.5):
        case.options["targets_are_logits"] = True
        case.labels = draw.normal(shape, element_type)
    else:
        case.labels = draw.probabilities(shape, case.axis, element_type)
    if draw.chance(0.7):
        case.options["temperature"] = draw.rng.uniform(0.5, 5.0)
    return case


def softmax_focal(draw):
    # One class alone has probability 1, where autograd makes NaN of 0 * inf.
    case = new_case(draw, "softmax_focal", min_classes=2)
    add_index_options(draw, case)
    if draw.chance(0.8):
        case.options["gamma"] = float(
            draw.choice([0, 0.5, 1, 2, draw.rng.uniform(0, 5)])
        )
    return case


def sigmoid_focal(draw):
    case = new_case(draw, "sigmoid_focal")
    targets = draw.rng.integers(2, size=case.logits.shape)
    if draw.chance(0.5):
        targets = draw.rng.random(case.logits.shape)
    case.labels = targets.astype(target_type(draw, case))
    if draw.chance(0.8):
        case.options["gamma"] = float(
            draw.choice([0, 0.5, 1, 2, draw.rng.uniform(0, 5)])
        )
    if draw.chance(0.6):
        case.options["alpha"] = draw.rng.random()
    return case


def multiclass_hinge(draw):
    # One class alone has no other: PyTorch's mean is 0, lossd's is one of none.
    case = new_case(draw, "multiclass_hinge", min_classes=2, min_rows=1)
    if draw.chance(0.6):
        case.options["margin"] = draw.rng.uniform(0.1, 3.0)
    if draw.chance(0.6):
        case.options["power"] = int(draw.choice([1, 2]))
    return case


def squared_error(draw):
    case = new_case(draw, "squared_error")
    case.labels = draw.normal(case.logits.shape, target_type(draw, case))
    return case


def huber(draw):
    case = new_case(draw, "huber")
    case.labels = draw.normal(case.logits.shape, target_type(draw, case))
    if draw.chance(0.7):
        case.options["delta"] = draw.rng.uniform(0.1, 3.0)
    return case


DRAWN = {
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


def draw_case(loss, number):
    """The case LOSS/NUMBER: the same whenever it is drawn."""
    return DRAWN[loss](Draw(loss, number))

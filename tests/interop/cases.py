"""The requests that every language sends: small batches, and one that streams."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Case:
    """A batch; options and fields go by the proto's names, arrays as they are."""

    name: str
    logits: np.ndarray
    labels: np.ndarray
    loss: str = "softmax_cross_entropy"
    options: dict = dataclasses.field(default_factory=dict)  # of the loss
    fields: dict = dataclasses.field(default_factory=dict)  # of the request


_RANDOM = np.random.default_rng(20260)
_ROWS, _CLASSES = 5, 7


def _logits(*shape, dtype=np.float32):
    return (4 * _RANDOM.standard_normal(shape or (_ROWS, _CLASSES))).astype(dtype)


def _labels(*shape, classes=_CLASSES, dtype=np.int64):
    return _RANDOM.integers(0, classes, shape or (_ROWS,)).astype(dtype)


def _shares(*shape, dtype=np.float32):
    return _RANDOM.random(shape or (_ROWS, _CLASSES)).astype(dtype)


def _weights(count):
    return 0.25 + _RANDOM.random(count)


CASES = [
    Case("float32", _logits(), _labels()),
    Case("float64", _logits(dtype=np.float64), _labels(dtype=np.int32)),
    Case(
        "smoothing_weights",
        _logits(),
        _labels(),
        options={"label_smoothing": 0.1, "class_weights": _weights(_CLASSES)},
    ),
    Case(
        "ignore_index",
        _logits(),
        np.array([1, -100, 3, -100, 6]),
        options={"ignore_index": -100},
    ),
    Case(
        "z_loss_scale_cap",
        _logits(dtype=np.float64),
        _labels(),
        options={"z_loss": 1e-4, "logit_scale": 0.7, "logit_softcap": 3.0},
    ),
    Case("soft_targets", _logits(), _shares()),
    Case("class_axis_1", _logits(2, 4, 3), _labels(2, 3, classes=4), fields={"class_axis": 1}),
    Case(
        "sum_weighted_rows",
        _logits(),
        _labels(),
        fields={
            "reduction": "sum",
            "row_weights": _weights(_ROWS),
            "upstream_gradient": _RANDOM.standard_normal(_ROWS),
        },
    ),
    Case("divisor", _logits(), _labels(), fields={"divisor": 12.5}),
    Case("gradient_float64", _logits(), _labels(), fields={"gradient_data_type": "float64"}),
    Case(
        "none_huber",
        _logits(),
        _logits(),
        loss="huber",
        options={"delta": 0.5},
        fields={"reduction": "none"},
    ),
    Case(
        "sigmoid_targets",
        _logits(),
        _shares(),
        loss="sigmoid_cross_entropy",
        options={"positive_weights": _weights(_CLASSES), "label_smoothing": 0.05},
    ),
    Case(
        "nll",
        -np.abs(_logits()),
        _labels(),
        loss="negative_log_likelihood",
        options={"class_weights": _weights(_CLASSES)},
    ),
    Case(
        "kl_logits",
        _logits(),
        _logits(),
        loss="kl_divergence",
        options={"temperature": 2.0, "targets_are_logits": True},
    ),
    Case("softmax_focal", _logits(), _labels(), loss="softmax_focal", options={"gamma": 1.5}),
    Case(
        "sigmoid_focal",
        _logits(),
        _shares(),
        loss="sigmoid_focal",
        options={"gamma": 0.5, "alpha": 0.25},
    ),
    Case(
        "hinge",
        _logits(),
        _labels(),
        loss="multiclass_hinge",
        options={"margin": 0.5, "power": 2},
    ),
    Case("squared_error", _logits(dtype=np.float64), _logits(dtype=np.float64), loss="squared_error"),
    # 4.8 MB of logits: the clients that have a stream take it.
    Case("streamed", _logits(300, 4000), _labels(300, classes=4000)),
]

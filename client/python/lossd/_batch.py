"""One batch and what is asked of it, as messages; and its answer, as arrays."""

import dataclasses
import math
from collections.abc import Iterable, Iterator
from typing import Any, Optional, Union

import numpy as np

from lossd import _arrays, _wire
from lossd._arrays import Tensor
from lossd._kept_memory import KeptMemory
from lossd.errors import InternalError, InvalidArgumentError
from lossd.losses import Loss, loss_to_proto
from lossd.v1 import loss_service_pb2 as pb

Bytes = Union[bytes, memoryview]

_REDUCTIONS = {
    "mean": pb.REDUCTION_MEAN,
    "sum": pb.REDUCTION_SUM,
    "none": pb.REDUCTION_NONE,
}
_NON_FINITE = {
    "reject": pb.NON_FINITE_POLICY_REJECT,
    "propagate": pb.NON_FINITE_POLICY_PROPAGATE,
}
_OUTPUTS = {
    name.removeprefix("OUTPUT_").lower(): number
    for name, number in pb.Output.items()
    if number != pb.OUTPUT_UNSPECIFIED
}


@dataclasses.dataclass(frozen=True, eq=False)
class LossResult:
    """The results of one batch; None where not asked for.

    Arrays that came in one message are read-only views of it; a gradient that came in
    chunks is an array of its own. bfloat16 comes as its bits, uint16.
    """

    # float64, nats; with reduction "none" each row's, of the labels' shape.
    loss: Union[float, np.ndarray, None]
    gradient: Optional[np.ndarray]  # as the logits; with "none" of each row's own loss
    row_count: int  # rows that counted: not ignored
    correct_count: int  # of these, rows whose prediction is the label
    divisor: float  # what the mean divided by; 1 otherwise
    row_losses: Optional[np.ndarray] = None  # nats, of the logits' type
    log_sum_exp: Optional[np.ndarray] = None  # per row, of the logits' type
    predictions: Optional[np.ndarray] = None  # per row, int64; the lowest on ties
    probabilities: Optional[np.ndarray] = None  # as the logits
    log_probabilities: Optional[np.ndarray] = None  # as the logits


def choice(name: str, value: Any, choices: Iterable[str]) -> Any:
    """`value`, or InvalidArgumentError: none of the choices."""
    if value not in choices:
        raise InvalidArgumentError(
            f"{name} = {value!r}, want one of {', '.join(choices)}", field=name
        )
    return value


def to_number(name: str, value: Any) -> float:
    """`value`, or InvalidArgumentError: no number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InvalidArgumentError(
            f"{name} = {value!r}, want a number", field=name
        ) from None


def class_axis_of(logits: Tensor, axis: int) -> int:
    """`axis` counted from the front."""
    rank = len(logits.shape)
    if rank == 0:
        raise InvalidArgumentError("logits: a scalar, want rank >= 1", field="logits")
    if not -rank <= axis < rank:
        raise InvalidArgumentError(
            f"class_axis = {axis}, want [{-rank}, {rank}), an axis of logits of shape "
            f"{logits.shape}",
            field="class_axis",
        )
    return axis % rank


def _outputs_of(outputs: Iterable[str]) -> tuple[str, ...]:
    if isinstance(outputs, str):
        outputs = (outputs,)
    return tuple(choice("outputs", name, _OUTPUTS) for name in dict.fromkeys(outputs))


class Batch:
    """A ComputeLossRequest whose tensors are views of the caller's arrays.

    element_rows: the logits have got a last axis of 1 class, which results have not.
    """

    def __init__(
        self,
        loss: Loss,
        logits: Any,
        labels: Any,
        *,
        reduction: str = "mean",
        class_axis: int = -1,
        divisor: Optional[float] = None,
        row_weights: Any = None,
        upstream_gradient: Any = None,
        outputs: Iterable[str] = ("loss", "gradient"),
        gradient_dtype: Any = None,
        non_finite: str = "reject",
        element_rows: bool = False,
    ):
        self.logits = _arrays.float_tensor("logits", logits)
        self.axis = class_axis_of(self.logits, class_axis)
        self.labels = _arrays.label_tensor(labels)
        self.reduction = choice("reduction", reduction, _REDUCTIONS)
        self.outputs = _outputs_of(outputs)
        self.element_rows = element_rows
        gradient_type = _arrays.float_type("gradient_dtype", gradient_dtype)
        self.gradient_type = gradient_type or self.logits.data_type
        sent = set(self.outputs)
        if reduction == "none" and "loss" in sent:
            sent.add("row_losses")
        policy = _NON_FINITE[choice("non_finite", non_finite, _NON_FINITE)]
        self._fields = pb.ComputeLossRequest(
            loss=loss_to_proto(loss),
            reduction=_REDUCTIONS[reduction],
            class_axis=self.axis,
            # Nothing asked for is an empty list to us, and a default to the server.
            outputs=sorted(_OUTPUTS[name] for name in sent) or [pb.OUTPUT_LOSS],
            gradient_data_type=gradient_type,
            non_finite_policy=policy,
        )
        if divisor is not None:
            self._fields.divisor = to_number("divisor", divisor)
        self._tensors = {pb.ComputeLossRequest.LABELS_FIELD_NUMBER: self.labels}
        for name, values in (
            ("row_weights", row_weights),
            ("upstream_gradient", upstream_gradient),
        ):
            if values is not None:
                number = pb.ComputeLossRequest.DESCRIPTOR.fields_by_name[name].number
                self._tensors[number] = _arrays.double_tensor(name, values)

    @property
    def classes(self) -> int:
        return self.logits.shape[self.axis]

    @property
    def rows_shape(self) -> tuple[int, ...]:
        shape = self.logits.shape
        return shape[: self.axis] + shape[self.axis + 1 :]

    @property
    def rows(self) -> int:
        return math.prod(self.rows_shape)

    @property
    def wants_gradient(self) -> bool:
        return "gradient" in self.outputs

    def _pieces(self) -> list[Bytes]:
        """The request but for its logits: they have the highest number, so they end
        it."""
        pieces: list[Bytes] = [self._fields.SerializeToString()]
        for number in sorted(self._tensors):
            pieces += self._tensors[number].pieces(number)
        return pieces

    def _whole(self) -> list[Bytes]:
        number = pb.ComputeLossRequest.LOGITS_FIELD_NUMBER
        return self._pieces() + self.logits.pieces(number)

    def request(self) -> bytes:
        """The ComputeLossRequest: the one copy of logits and labels on their way
        out."""
        return b"".join(self._whole())

    def request_bytes(self) -> int:
        """The request's length, without making it."""
        return sum(map(len, self._whole()))

    def hessian_request(self, vector: Tensor) -> bytes:
        """The ComputeHessianVectorProductRequest."""
        request = pb.ComputeHessianVectorProductRequest
        return b"".join(
            _nested(request.BASE_FIELD_NUMBER, self._whole())
            + vector.pieces(request.VECTOR_FIELD_NUMBER)
        )

    def stream_header(self) -> bytes:
        """The StreamLossRequest with all but the logits' elements."""
        head = self.logits.head()
        head = _wire.key(pb.ComputeLossRequest.LOGITS_FIELD_NUMBER, len(head)) + head
        number = pb.StreamLossRequest.HEADER_FIELD_NUMBER
        return b"".join(_nested(number, self._pieces() + [head]))

    def stream_chunks(self, chunk_rows: int) -> Iterator[tuple[int, bytes]]:
        """StreamLossRequests with the logits of `chunk_rows` rows each, and how many
        rows have come with each. REQUIRES: the class axis last."""
        raw = self.logits.raw()
        row_bytes = len(raw) // max(self.rows, 1)
        for first in range(0, self.rows, chunk_rows):
            end = min(first + chunk_rows, self.rows)
            piece = raw[first * row_bytes : end * row_bytes]
            chunk = [_wire.key(pb.LogitsChunk.RAW_FIELD_NUMBER, len(piece)), piece]
            yield end, b"".join(_nested(pb.StreamLossRequest.CHUNK_FIELD_NUMBER, chunk))

    def _without_class_of_one(self, array: np.ndarray) -> np.ndarray:
        return array[..., 0] if self.element_rows else array

    def empty_gradient(self, memory: KeptMemory) -> np.ndarray:
        """Room for a gradient that comes in chunks, [rows, classes]."""
        elements = np.dtype(_arrays.element_type(self.gradient_type))
        return memory.empty((self.rows, self.classes), elements)

    def result(
        self, answer: memoryview, streamed_gradient: Optional[np.ndarray] = None
    ) -> LossResult:
        """The LossResult of a ComputeLossResponse. Raises InternalError: one that is no
        valid message or not what was asked for."""
        try:
            numbers, arrays = self._read(answer)
        except (_wire.WireError, TypeError):
            raise InternalError("the server's answer is no valid message") from None
        if streamed_gradient is not None:
            arrays["gradient"] = streamed_gradient.reshape(self.logits.shape)
        if self.wants_gradient and "gradient" not in arrays:
            raise InternalError("the server answered no gradient")
        for name in ("gradient", "probabilities", "log_probabilities"):
            if name in arrays:
                arrays[name] = self._without_class_of_one(arrays[name])
        loss = numbers.loss if numbers.HasField("loss") else None
        if self.reduction == "none" and "loss" in self.outputs:
            loss = arrays.get("row_losses")
        if "row_losses" not in self.outputs:
            arrays.pop("row_losses", None)
        return LossResult(
            loss=loss if "loss" in self.outputs else None,
            gradient=arrays.pop("gradient", None),
            row_count=numbers.row_count,
            correct_count=numbers.correct_count,
            divisor=numbers.divisor,
            **arrays,
        )

    def _read(self, answer: memoryview) -> tuple[pb.ComputeLossResponse, dict]:
        logits_type = self.logits.data_type
        tensors = {
            5: ("row_losses", self.rows_shape, logits_type),
            6: ("log_sum_exp", self.rows_shape, logits_type),
            7: ("predictions", self.rows_shape, pb.DATA_TYPE_INT64),
            13: ("log_probabilities", self.logits.shape, logits_type),
            14: ("probabilities", self.logits.shape, logits_type),
            15: ("gradient", self.logits.shape, self.gradient_type),
        }
        numbers = pb.ComputeLossResponse()
        arrays = {}
        for number, value in _wire.read_fields(answer):
            if number in tensors:
                name, shape, data_type = tensors[number]
                arrays[name] = _arrays.array_of(name, value, shape, data_type)
            elif number == 1:
                numbers.loss = _wire.double(value)
            elif number == 2:
                numbers.correct_count = _wire.signed(value)
            elif number == 3:
                numbers.row_count = _wire.signed(value)
            elif number == 4:
                numbers.divisor = _wire.double(value)
        return numbers, arrays

    def product(self, answer: bytes) -> np.ndarray:
        """The array of a ComputeHessianVectorProductResponse."""
        shape, data_type = self.logits.shape, self.logits.data_type
        wanted = pb.ComputeHessianVectorProductResponse.PRODUCT_FIELD_NUMBER
        try:
            for number, value in _wire.read_fields(memoryview(answer)):
                if number == wanted:
                    array = _arrays.array_of("product", value, shape, data_type)
                    return self._without_class_of_one(array)
        except (_wire.WireError, TypeError):
            raise InternalError("the server's answer is no valid message") from None
        raise InternalError("the server answered no product")

    def vector(self, values: Any) -> Tensor:
        """What a Hessian is multiplied by, as it is sent."""
        tensor = _arrays.float_tensor("vector", values)
        return tensor.with_last_axis() if self.element_rows else tensor


def _nested(number: int, pieces: list[Bytes]) -> list[Bytes]:
    return [_wire.key(number, sum(map(len, pieces))), *pieces]

"""NumPy arrays as the contract's tensors, and back."""

import math
from typing import Any, NamedTuple, Union

import numpy as np

from lossd import _wire
from lossd.errors import InternalError, InvalidArgumentError
from lossd.v1 import loss_service_pb2 as pb

FLOAT_TYPES = ("float16", "float32", "float64")
_DATA_TYPES = {
    "float32": pb.DATA_TYPE_FLOAT32,
    "float64": pb.DATA_TYPE_FLOAT64,
    "float16": pb.DATA_TYPE_FLOAT16,
    "bfloat16": pb.DATA_TYPE_BFLOAT16,
    "int32": pb.DATA_TYPE_INT32,
    "int64": pb.DATA_TYPE_INT64,
}
_NAMES = {number: name for name, number in _DATA_TYPES.items()}
# As they lie in memory: NumPy has no bfloat16, its bits are uint16.
_ELEMENTS = {
    number: np.dtype("<u2" if name == "bfloat16" else name).newbyteorder("<")
    for number, name in _NAMES.items()
}


class BFloat16:
    """Marks an array of uint16 as bfloat16 bits: logits, targets, weights, vectors.

    Results of that type come as uint16 arrays; in float32 they are
    (bits.astype(np.uint32) << 16).view(np.float32).
    """

    def __init__(self, bits: Any):
        self.bits = np.asarray(bits)
        if self.bits.dtype != np.uint16:
            raise InvalidArgumentError(
                f"bfloat16 bits are of dtype {self.bits.dtype}, want uint16"
            )


class Tensor(NamedTuple):
    """Elements as they are sent: C-contiguous and little-endian."""

    values: np.ndarray
    data_type: int

    @property
    def nbytes(self) -> int:
        return self.values.nbytes

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    @property
    def has_integers(self) -> bool:
        return self.data_type in (pb.DATA_TYPE_INT32, pb.DATA_TYPE_INT64)

    def doubles(self) -> np.ndarray:
        """The elements as float64."""
        values = self.values
        if self.data_type == pb.DATA_TYPE_BFLOAT16:
            values = (values.astype(np.uint32) << 16).view(np.float32)
        return values.astype(np.float64)

    def raw(self) -> memoryview:
        """The elements' bytes: a view."""
        return memoryview(self.values.reshape(-1).view(np.uint8))

    def head(self) -> bytes:
        """The Tensor message without its contents."""
        return pb.Tensor(
            data_type=self.data_type, shape=self.shape
        ).SerializeToString()

    def to_proto(self) -> pb.Tensor:
        """The Tensor message, for what is small: copies the elements."""
        return pb.Tensor(
            data_type=self.data_type, shape=self.shape, raw=self.values.tobytes()
        )

    def pieces(self, number: int) -> list[Union[bytes, memoryview]]:
        """The Tensor message as field `number` of another: bytes to be joined."""
        raw = self.raw()
        head = self.head() + _wire.key(pb.Tensor.RAW_FIELD_NUMBER, len(raw))
        return [_wire.key(number, len(head) + len(raw)) + head, raw]

    def with_last_axis(self) -> "Tensor":
        """The same elements, each a row of its own."""
        return Tensor(self.values[..., np.newaxis], self.data_type)


def _sendable(values: np.ndarray) -> np.ndarray:
    """`values` itself where it lies as it is sent, or else a copy that does."""
    little_endian = values.dtype.newbyteorder("<")
    return np.asarray(values, little_endian, order="C")


def float_tensor(name: str, values: Any) -> Tensor:
    """`values` of a float type as they are. Copies what is not contiguous."""
    if isinstance(values, Tensor):
        return values
    if isinstance(values, BFloat16):
        return Tensor(_sendable(values.bits), pb.DATA_TYPE_BFLOAT16)
    array = np.asarray(values)
    if array.dtype.name not in FLOAT_TYPES:
        raise InvalidArgumentError(
            f"{name}: of dtype {array.dtype}, want float16, float32, float64 or "
            "lossd.BFloat16",
            field=name,
        )
    return Tensor(_sendable(array), _DATA_TYPES[array.dtype.name])


def double_tensor(name: str, values: Any) -> Tensor:
    """Factors: what is no float64 becomes one."""
    if isinstance(values, (Tensor, BFloat16)):
        return float_tensor(name, values)
    try:
        return Tensor(_sendable(np.asarray(values, np.float64)), pb.DATA_TYPE_FLOAT64)
    except (TypeError, ValueError) as error:
        message = f"{name}: {error}, want numbers"
        raise InvalidArgumentError(message, field=name) from None


def label_tensor(values: Any) -> Tensor:
    """Class indices, integers that become int64 where they are no int32, or targets."""
    if isinstance(values, (Tensor, BFloat16)):
        return float_tensor("labels", values)
    array = np.asarray(values)
    if array.size == 0 and not isinstance(values, np.ndarray):
        array = array.astype(np.int64)  # an empty list says nothing of its type
    if array.dtype.name == "int32":
        return Tensor(_sendable(array), pb.DATA_TYPE_INT32)
    if array.dtype.kind in "iu" and np.can_cast(array.dtype, np.int64):
        return Tensor(_sendable(array.astype(np.int64, copy=False)), pb.DATA_TYPE_INT64)
    if array.dtype.name not in FLOAT_TYPES:
        raise InvalidArgumentError(
            f"labels: of dtype {array.dtype}, want integers up to int64 for class "
            "indices, or floats for targets",
            field="labels",
        )
    return float_tensor("labels", array)


def float_type(name: str, dtype: Any) -> int:
    """The DataType that a NumPy type, its name or "bfloat16" stands for."""
    if dtype is None:
        return pb.DATA_TYPE_UNSPECIFIED
    if isinstance(dtype, str) and dtype == "bfloat16":
        return pb.DATA_TYPE_BFLOAT16
    try:
        found = np.dtype(dtype).name
    except TypeError:
        found = repr(dtype)
    if found not in FLOAT_TYPES:
        raise InvalidArgumentError(
            f"{name} = {found}, want float16, float32, float64 or bfloat16", field=name
        )
    return _DATA_TYPES[found]


def element_type(data_type: int) -> np.dtype:
    """The NumPy type that holds elements of a DataType."""
    return _ELEMENTS[data_type]


def type_name(data_type: int) -> str:
    return _NAMES.get(data_type, f"data type {data_type}")


def array_of(
    name: str, data: memoryview, want: tuple[int, ...], data_type: int
) -> np.ndarray:
    """The array of a Tensor message: a read-only view of its bytes.

    Raises InternalError: another shape or type than asked for.
    """
    found_type, shape, raw = 0, [], memoryview(b"")
    for number, value in _wire.read_fields(data):
        if number == pb.Tensor.DATA_TYPE_FIELD_NUMBER:
            found_type = value
        elif number == pb.Tensor.SHAPE_FIELD_NUMBER and isinstance(value, int):
            shape.append(_wire.signed(value))
        elif number == pb.Tensor.SHAPE_FIELD_NUMBER:
            shape.extend(_wire.read_packed(value))
        elif number == pb.Tensor.RAW_FIELD_NUMBER:
            raw = value
    elements = element_type(data_type)
    if (found_type, tuple(shape), len(raw)) != (
        data_type,
        want,
        math.prod(want) * elements.itemsize,
    ):
        raise InternalError(
            f"the server answered {name} of shape {tuple(shape)} with {len(raw)} bytes "
            f"of {type_name(found_type)}, want shape {want} of {type_name(data_type)}"
        )
    return np.frombuffer(raw, elements).reshape(want)

"""Protobuf's wire format, as far as tensors need it.

Large tensors go from arrays into a request, and from an answer into arrays, without
a message between: protobuf's own classes would copy them once more each way.
Everything that is small goes through the generated messages.
"""

import struct
from collections.abc import Iterator
from typing import Union

VARINT, FIXED64, LENGTH_DELIMITED, FIXED32 = 0, 1, 2, 5

Field = tuple[int, Union[int, memoryview]]


class WireError(ValueError):
    """Bytes that are no valid message."""


def varint(value: int) -> bytes:
    """`value` as protobuf writes an int64: its two's complement, 7 bits a byte."""
    value &= 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def key(number: int, length: int) -> bytes:
    """What goes before the `length` bytes of field `number`."""
    return varint(number << 3 | LENGTH_DELIMITED) + varint(length)


def read_varint(data: memoryview, at: int) -> tuple[int, int]:
    """The varint at `at`, unsigned, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise WireError("a varint is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
    raise WireError("a varint is longer than 10 bytes")


def read_fields(data: memoryview) -> Iterator[Field]:
    """Each field of a message: its number, and its varint or a view of its bytes."""
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise WireError("a field has number 0")
        if kind == VARINT:
            value, at = read_varint(data, at)
            yield number, value
            continue
        if kind == LENGTH_DELIMITED:
            length, at = read_varint(data, at)
        elif kind == FIXED64:
            length = 8
        elif kind == FIXED32:
            length = 4
        else:
            raise WireError(f"a field has wire type {kind}")
        if length > len(data) - at:
            raise WireError("a field is longer than its message")
        yield number, data[at : at + length]
        at += length


def signed(value: int) -> int:
    """The int64 of an unsigned varint."""
    return value - (1 << 64) if value >> 63 else value


def read_packed(data: memoryview) -> Iterator[int]:
    """The int64 values of a packed field."""
    at = 0
    while at < len(data):
        value, at = read_varint(data, at)
        yield signed(value)


def double(data: memoryview) -> float:
    return struct.unpack("<d", data)[0]

"""Arrays and plain values as they cross the wall."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, get_args

import msgspec
import numpy as np

from autograder.errors import MalformedReply
from autograder.wire.messages import Array, DType, Items, Ref, Table, Value

MAX_RANK = 16
_LARGEST_SIZE = 1 << 40


def pack_array(array: np.ndarray[Any, Any]) -> Array:
    """Return the array as a wire value.

    Raises:
        TypeError: If its dtype is not one of `DType`.
    """
    name = array.dtype.name
    if name not in get_args(DType):
        raise TypeError(f"arrays of dtype {name} are not sent")
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return Array(dtype=name, shape=list(array.shape), data=little.tobytes())


def unpack_array(array: Array) -> np.ndarray[Any, Any]:
    """Return a NumPy array over the bytes; nothing is allocated before the sizes agree.

    Raises:
        MalformedReply: If shape and bytes do not fit, or a truth value is neither 0 nor 1.
    """
    if len(array.shape) > MAX_RANK or min(array.shape, default=0) < 0 or _extent(array.shape) > _LARGEST_SIZE:
        raise MalformedReply("The answer is not an array: its shape makes no sense.")
    dtype = np.dtype(array.dtype).newbyteorder("<")
    if math.prod(array.shape) * dtype.itemsize != len(array.data):
        raise MalformedReply("The answer is not an array: it does not carry as many values as its shape says.")
    if array.dtype == "bool" and array.data.strip(b"\x00\x01"):
        raise MalformedReply("The answer is not an array: some of its truth values are neither true nor false.")
    return np.frombuffer(array.data, dtype=dtype).reshape(array.shape)


def _extent(shape: list[int]) -> int:
    """Return the product of the axes that are not empty: NumPy overflows on it even if there is no value."""
    return math.prod(size for size in shape if size)


def to_value(value: object) -> Value:
    """Return plain Python and NumPy data as a wire value.

    Raises:
        TypeError: For anything else.
    """
    if value is None or isinstance(value, (bool, Array, Items, Table, Ref)):
        return value
    if isinstance(value, (int, float, str)):
        return _plain(value)
    if isinstance(value, np.generic):
        return to_value(value.item())
    if isinstance(value, np.ndarray):
        return pack_array(value)
    if isinstance(value, (list, tuple)):
        return Items([to_value(item) for item in value])
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return Table({str.__str__(key): to_value(item) for key, item in value.items()})
    raise TypeError(f"{type(value).__name__} is not sent")


def _plain(value: float | str) -> float | str:
    """Return a value as one of Python's own kind, if its kind is made of that, such as `np.float64` or `np.str_`."""
    if isinstance(value, int):
        return int.__int__(value)
    return float.__float__(value) if isinstance(value, float) else str.__str__(value)


def refs_in(value: object) -> Iterator[int]:
    """Yield the numbers of all references in a question, an answer, or any part of one."""
    if isinstance(value, Ref):
        yield value.id
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from refs_in(item)
    elif isinstance(value, dict):
        yield from refs_in(tuple(value.values()))
    elif isinstance(value, msgspec.Struct) and not isinstance(value, Array):
        yield from refs_in(msgspec.structs.astuple(value))


def from_value(value: Value) -> Any:  # noqa: ANN401 - the caller checks what came
    """Return a wire value as plain Python: arrays as NumPy, lists as tuples, tables as dicts."""
    if isinstance(value, Array):
        return unpack_array(value)
    if isinstance(value, Items):
        return tuple(from_value(item) for item in value.items)
    if isinstance(value, Table):
        return {key: from_value(item) for key, item in value.items.items()}
    return value

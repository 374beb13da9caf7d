"""What crosses the wall: length-prefixed MessagePack frames of strict types.

Both sides use this module. The grader treats every reply as hostile: frames are bounded before
they are read and again before they are decoded (`bounds`), decoded against the types below, and
arrays are refused unless they carry exactly the bytes that their dtype and shape announce. There
is no pickle in either direction.
"""

from __future__ import annotations

import math
import os
import select
import struct
import time
from typing import Annotated, Any, Literal, TypeVar, get_args

import msgspec
import numpy as np

from autograder.bounds import check_bounds
from autograder.errors import MalformedReply, StudentDied, StudentTimeout

DType = Literal[
    "bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64",
    "float16", "float32", "float64",
]  # fmt: skip
MAX_RANK = 16
MAX_REQUEST_BYTES = 1 << 30
_HEADER = struct.Struct("<I")
_CHUNK = 1 << 20
_LARGEST_SIZE = 1 << 40
_Words = Annotated[str, msgspec.Meta(max_length=4096)]


class Array(msgspec.Struct, frozen=True, tag="array", forbid_unknown_fields=True):
    """A numeric array: little-endian, row-major bytes."""

    dtype: DType
    shape: list[int]
    data: bytes


class Items(msgspec.Struct, frozen=True, tag="items", forbid_unknown_fields=True):
    """A list or a tuple."""

    items: list[Value]


class Table(msgspec.Struct, frozen=True, tag="table", forbid_unknown_fields=True):
    """A mapping with string keys."""

    items: dict[str, Value]


class Ref(msgspec.Struct, frozen=True, tag="ref", forbid_unknown_fields=True):
    """Something that stays in the student's process.

    Attributes:
        id: Number by which later requests name it.
        kind: `layer`, `model`, `function` or `object`.
        type_name: Name of its class.
    """

    id: int
    kind: Literal["layer", "model", "function", "object"]
    type_name: _Words


Value = None | bool | int | float | str | Array | Items | Table | Ref


class Load(msgspec.Struct, frozen=True, tag="load"):
    """Import the student's module, then put the given helpers over its own of the same names.

    Attributes:
        given: Text of the released module.
        own: False leaves the student's module out: it is missing, or ended the process before.
    """

    given: str
    own: bool = True


class StandIn(msgspec.Struct, frozen=True, tag="stand_in"):
    """Replace names of the student's module by those of a reference module."""

    source: str
    names: list[str]


class Call(msgspec.Struct, frozen=True, tag="call"):
    """Call a function, or make an object of a class.

    Attributes:
        space: Where the name is looked up. Functions of the module get arrays as tensors, the notebook's as NumPy's.
    """

    space: Literal["module", "notebook"]
    name: str
    args: list[Value]
    kwargs: dict[str, Value]


class Apply(msgspec.Struct, frozen=True, tag="apply"):
    """Call a layer or a model on arrays. `training=None` leaves the flag out."""

    target: Ref
    args: list[Value]
    training: bool | None = None


class Gradients(msgspec.Struct, frozen=True, tag="gradients"):
    """Gradients of `sum(output * cotangent)` by the inputs and by each trainable weight."""

    target: Ref
    args: list[Value]
    cotangent: Array
    training: bool | None = None


class Describe(msgspec.Struct, frozen=True, tag="describe"):
    """List the weights and, for a model, the layers."""

    target: Ref


class SetWeights(msgspec.Struct, frozen=True, tag="set_weights"):
    """Assign all weights, in the order that `Describe` lists them."""

    target: Ref
    weights: list[Array]


class Node(msgspec.Struct, frozen=True):
    """One call in a small graph: something applied to earlier tensors.

    Attributes:
        name: In the student's module; `keras.<Name>` is a layer class of Keras itself.
        inputs: Indices of earlier tensors: first the graph's inputs, then the nodes.
        init: Given: the name is a layer class made with these arguments, then called.
    """

    name: str
    inputs: list[int]
    args: list[Value]
    kwargs: dict[str, Value]
    init: list[Value] | None = None


class BuildModel(msgspec.Struct, frozen=True, tag="build_model"):
    """Build `keras.Model(inputs, last node)` through the functional API."""

    inputs: list[list[int | None]]
    nodes: list[Node]


class Count(msgspec.Struct, frozen=True, tag="count"):
    """Count the parameters of a model that is built from variables without memory."""

    name: str
    kwargs: dict[str, Value]


class Cell(msgspec.Struct, frozen=True):
    """One notebook cell to run.

    Attributes:
        weightless: Only build models in it that are counted, as `Count` does; see `autograder.weightless`.
    """

    id: str
    source: str
    weightless: bool = False


class RunCells(msgspec.Struct, frozen=True, tag="run_cells"):
    """Run cells one after another in the notebook's namespace; an error ends only its own cell."""

    cells: list[Cell]


class Read(msgspec.Struct, frozen=True, tag="read"):
    """Read a variable of the notebook."""

    name: str


class Train(msgspec.Struct, frozen=True, tag="train"):
    """Call the notebook's training function and observe Keras and the carbon tracker while it runs."""

    name: str
    args: list[Value]
    kwargs: dict[str, Value]


Question = (
    Load | StandIn | Call | Apply | Gradients | Describe | SetWeights | BuildModel | Count | RunCells | Read | Train
)


class Request(msgspec.Struct, frozen=True):
    """A question with a number that the answer must repeat."""

    id: int
    question: Question


class Answer(msgspec.Struct, frozen=True, tag="answer", forbid_unknown_fields=True):
    """The question was answered."""

    id: int
    value: Value


class Raised(msgspec.Struct, frozen=True, tag="raised", forbid_unknown_fields=True):
    """The student's code raised.

    Attributes:
        line: Line of the student's file or cell, 0 where unknown.
        place: File or cell, and function, where it was raised.
    """

    id: int
    exception: _Words
    message: _Words
    place: _Words = ""
    line: int = 0


class Ready(msgspec.Struct, frozen=True, tag="ready", forbid_unknown_fields=True):
    """First frame of a student process, sent before it reads a byte of the submission."""

    layers: list[str]
    tensorflow: str
    device: str


class Refused(msgspec.Struct, frozen=True, tag="refused", forbid_unknown_fields=True):
    """First frame when a layer of confinement could not be put up."""

    layer: str
    reason: str


Reply = Answer | Raised | Ready | Refused

_Message = TypeVar("_Message")
_encoder = msgspec.msgpack.Encoder()
_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


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
        raise MalformedReply("The answer is no array: its shape makes no sense.")
    dtype = np.dtype(array.dtype).newbyteorder("<")
    if math.prod(array.shape) * dtype.itemsize != len(array.data):
        raise MalformedReply("The answer is no array: it does not carry as many values as its shape says.")
    if array.dtype == "bool" and array.data.strip(b"\x00\x01"):
        raise MalformedReply("The answer is no array: some of its truth values are neither true nor false.")
    return np.frombuffer(array.data, dtype=dtype).reshape(array.shape)


def _extent(shape: list[int]) -> int:
    """Return the product of the axes that are not empty: NumPy overflows on it even where there is no value."""
    return math.prod(size for size in shape if size)


def to_value(value: object) -> Value:
    """Return plain Python and NumPy data as a wire value.

    Raises:
        TypeError: For anything else.
    """
    if value is None or isinstance(value, (bool, int, float, str, Array, Items, Table, Ref)):
        return value
    if isinstance(value, np.generic):
        return to_value(value.item())
    if isinstance(value, np.ndarray):
        return pack_array(value)
    if isinstance(value, (list, tuple)):
        return Items([to_value(item) for item in value])
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return Table({key: to_value(item) for key, item in value.items()})
    raise TypeError(f"{type(value).__name__} is not sent")


def from_value(value: Value) -> Any:  # noqa: ANN401 - the caller checks what came
    """Return a wire value as plain Python: arrays as NumPy, lists as tuples, tables as dicts."""
    if isinstance(value, Array):
        return unpack_array(value)
    if isinstance(value, Items):
        return tuple(from_value(item) for item in value.items)
    if isinstance(value, Table):
        return {key: from_value(item) for key, item in value.items.items()}
    return value


def encode_frame(message: Request | Reply) -> bytes:
    """Return one frame: four bytes of length, little-endian, then MessagePack."""
    body = _encoder.encode(message)
    return _HEADER.pack(len(body)) + body


def decode_request(body: bytes) -> Request:
    """Return the request in a frame's body (student side).

    Raises:
        MalformedReply: If it is anything but a request.
    """
    return _decode(_requests, body)


def decode_reply(body: bytes) -> Reply:
    """Return the reply in a frame's body (grader side).

    Raises:
        MalformedReply: If it is anything but a reply.
    """
    return _decode(_replies, body)


def _decode(decoder: msgspec.msgpack.Decoder[_Message], body: bytes) -> _Message:
    check_bounds(body)
    try:
        return decoder.decode(body)
    except ValueError as error:  # msgspec's own errors and those of text that is no UTF-8
        raise MalformedReply("Your code's answer could not be read.") from error


def write_frame(descriptor: int, frame: bytes, deadline: float | None = None) -> None:
    """Write a whole frame.

    Args:
        descriptor: Open for writing; non-blocking where a deadline is given.
        frame: From `encode_frame`.
        deadline: `time.monotonic()` after which to give up, or None to wait for ever.

    Raises:
        StudentTimeout: If the other side did not take the frame in time.
        StudentDied: If nobody reads any more.
    """
    view = memoryview(frame)
    while view:
        _wait(descriptor, select.POLLOUT, deadline)
        try:
            view = view[os.write(descriptor, view[:_CHUNK]) :]
        except BlockingIOError:
            continue
        except BrokenPipeError as error:
            raise StudentDied("Your code's process ended before it answered.") from error


def read_frame(descriptor: int, limit: int, deadline: float | None = None) -> bytes:
    """Read one frame's body.

    Args:
        descriptor: Open for reading; non-blocking where a deadline is given.
        limit: Largest body, in bytes; a longer one is refused before it is read.
        deadline: `time.monotonic()` after which to give up, or None to wait for ever.

    Raises:
        StudentTimeout: If the frame was not whole in time, however it trickled.
        StudentDied: If the other side closed.
        MalformedReply: If the frame is larger than `limit`.
    """
    (length,) = _HEADER.unpack(_read_exactly(descriptor, _HEADER.size, deadline))
    if length > limit:
        raise MalformedReply(f"Your code's answer is too large (more than {limit >> 20} MiB).")
    return _read_exactly(descriptor, length, deadline)


def _read_exactly(descriptor: int, size: int, deadline: float | None) -> bytes:
    received = bytearray()
    while len(received) < size:
        _wait(descriptor, select.POLLIN, deadline)
        try:
            chunk = os.read(descriptor, min(size - len(received), _CHUNK))
        except BlockingIOError:
            continue
        if not chunk:
            raise StudentDied("Your code's process ended before it answered.")
        received += chunk
    return bytes(received)


def _wait(descriptor: int, event: int, deadline: float | None) -> None:
    poller = select.poll()
    poller.register(descriptor, event)
    left = None if deadline is None else deadline - time.monotonic()
    if (left is not None and left <= 0) or not poller.poll(None if left is None else left * 1000):
        raise StudentTimeout("No answer came in time.")

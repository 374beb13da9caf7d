"""The messages: questions of the grader, replies of a student process, and the values that they hold."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from autograder.results import Environment

DType = Literal[
    "bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64",
    "float16", "float32", "float64",
]  # fmt: skip
_Words = Annotated[str, msgspec.Meta(max_length=4096)]


class Array(msgspec.Struct, frozen=True, tag="array", forbid_unknown_fields=True):
    """A numeric array: little-endian, row-major bytes."""

    dtype: DType
    shape: list[int]
    data: bytes


class Items(msgspec.Struct, frozen=True, tag="items", forbid_unknown_fields=True, omit_defaults=True):
    """A list or a tuple.

    Attributes:
        is_list: Whether a question asks with a list. Of an answer it says nothing: the grader reads tuples.
    """

    items: list[Value]
    is_list: bool = False


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
        name: The module's name.
        given: Text of the released module.
        own: False leaves the student's module out: it is missing, or ended the process before.
        modules: Texts of the given modules by name: they are imported, whatever files of these names were handed in.
        seconds: After so many the student's module is interrupted, if it lets itself be; 0 for never.
        environment: Variables of the environment that are set first.
    """

    name: str
    given: str
    own: bool = True
    modules: dict[str, str] = {}
    seconds: float = 0.0
    environment: dict[str, str] = {}


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


class Wrap(msgspec.Struct, frozen=True, tag="wrap"):
    """Hold a function of the module as a layer that calls it, so that it can be asked whatever a layer can."""

    name: str


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


class GetWeights(msgspec.Struct, frozen=True, tag="get_weights"):
    """Read all weights, in the order that `Describe` lists them."""

    target: Ref


class Node(msgspec.Struct, frozen=True):
    """One call in a small graph: something applied to earlier tensors.

    Attributes:
        name: In the student's module; `keras.<Name>` is a layer class of Keras itself, `grader.<Name>` the grader's.
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


class RunCell(msgspec.Struct, frozen=True, tag="run_cell"):
    """Run one cell in the notebook's namespace.

    Attributes:
        weightless: Only build models in it that are counted, as `Count` does; see `private_names.shortcuts`.
        seconds: After so many it is interrupted, if the code in it lets itself be; 0 for never.
        to_its_end: Go on after a statement that raises; the first error comes at the end.
    """

    id: str
    source: str
    weightless: bool = False
    seconds: float = 0.0
    to_its_end: bool = False


class Restart(msgspec.Struct, frozen=True, tag="restart"):
    """Forget all that the notebook's cells have defined."""


class Lacking(msgspec.Struct, frozen=True, tag="lacking"):
    """Say which of these names neither the notebook nor Python itself has."""

    names: list[str]


class Read(msgspec.Struct, frozen=True, tag="read"):
    """Read a variable of the notebook."""

    name: str


class Assign(msgspec.Struct, frozen=True, tag="assign"):
    """Set variables of the notebook."""

    variables: dict[str, Value]


class Forget(msgspec.Struct, frozen=True, tag="forget"):
    """Forget some variables of the notebook, and the files that were not handed in."""

    names: list[str]


class Train(msgspec.Struct, frozen=True, tag="train"):
    """Call the notebook's training function and observe Keras, the carbon tracker and saved weights while it runs.

    Attributes:
        folder: Made before, for the function to write to.
        inner: Another function of the notebook, whose calls are observed, too.
    """

    name: str
    args: list[Value]
    kwargs: dict[str, Value]
    folder: str | None = None
    inner: str | None = None


class OtherKeras(msgspec.Struct, frozen=True, tag="other_keras"):
    """Say which layers of another Keras than the course's were made since this was asked last."""


Question = (
    Load | StandIn | Call | Wrap | Apply | Gradients | Describe | SetWeights | GetWeights | BuildModel | Count
    | RunCell | Restart | Lacking | Read | Assign | Forget | Train | OtherKeras
)  # fmt: skip


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
        exception: Name of its class.
        message: Its own text.
        missing: The name that a NameError misses; empty for other exceptions.
        place: File or cell, and function, where it was raised.
        line: Line of the student's file or cell, 0 if unknown.
        interrupted: It ran longer than the question allows; nothing of its own went wrong.
    """

    id: int
    exception: _Words
    message: _Words
    missing: _Words = ""
    place: _Words = ""
    line: int = 0
    interrupted: bool = False


class Ready(msgspec.Struct, frozen=True, tag="ready", forbid_unknown_fields=True):
    """First frame of a student process, sent before it reads a byte of the submission."""

    environment: Environment


class Refused(msgspec.Struct, frozen=True, tag="refused", forbid_unknown_fields=True):
    """First frame of a student process that could not put up a layer of confinement."""

    layer: str
    reason: str


Reply = Answer | Raised | Ready | Refused

"""What hidden checks are written with: the remote submission, and comparisons that explain.

A check is a plain pytest function in `autograder/checks/<assignment>/test_<task>.py`:

    @pytest.mark.check("The weights of each query sum to 1.", weight=1)
    def test_weights_sum_to_one(student, rng): ...

`student` is a `Student`, `rng` a NumPy generator seeded for this submission and this check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from autograder import wire
from autograder.checking.comparisons import Floats, fail, fail_for_kind
from autograder.checking.testimony import (
    MOST_SCALARS,
    Counts,
    Description,
    GradientsFound,
    TrainOutcome,
    Weight,
    read,
    read_arrays,
    read_training,
)
from autograder.errors import StudentDied, StudentFault, StudentRaised
from autograder.results import Picture

Ask = Callable[[wire.Question, float | None], Any]
_Made = TypeVar("_Made")

MOST_PICTURES = 2
"""Pictures that one check may attach; further ones are dropped."""


@dataclass(frozen=True)
class SubLayer:
    """One layer of a model, or inside another layer.

    Attributes:
        kind: Name of its class.
        weights: Indices into the model's list of weights.
        settings: Plain numbers such as `rate`, `epsilon`, `units`.
        layer: To call it by itself.
    """

    kind: str
    weights: tuple[int, ...]
    settings: Mapping[str, float]
    layer: Layer


class Layer:
    """A Keras layer or model that lives in the student's process."""

    def __init__(self, ask: Ask, ref: wire.Ref) -> None:
        self._ask = ask
        self.ref = ref

    def __call__(self, *inputs: Floats, training: bool | None = None) -> Any:  # noqa: ANN401 - compared later
        """Return the output on these arrays: an array, or a tuple of arrays."""
        return self._ask(wire.Apply(self.ref, [wire.to_value(array) for array in inputs], training), None)

    def weights(self, most: int = MOST_SCALARS) -> tuple[Weight, ...]:
        """Return all variables in Keras' order.

        Raises:
            CheckFailed: If they hold more than `most` values: what a submission says of itself takes no memory here.
        """
        weights = self.describe().weights
        scalars = sum(weight.size for weight in weights)
        if scalars > most:
            fail(f"There are {scalars:,} weights, far more than expected.", "wrong_number_of_weights")
        return weights

    def parts(self) -> tuple[SubLayer, ...]:
        """Return the model's layers in order, or a layer's sub-layers."""
        rows = self.describe().layers
        return tuple(SubLayer(row.kind, row.weights, row.settings, Layer(self._ask, row.ref)) for row in rows)

    def describe(self) -> Description:
        """Return what the layer says of its weights and layers."""
        return read(self._ask(wire.Describe(self.ref), None), Description)

    def set_weights(self, arrays: Sequence[Floats]) -> None:
        """Assign all variables, in the order of `weights`."""
        self._ask(wire.SetWeights(self.ref, [wire.pack_array(np.asarray(array, np.float32)) for array in arrays]), None)

    def get_weights(self) -> tuple[Any, ...]:
        """Return the values of all variables, in the order of `weights`."""
        return read_arrays(self._ask(wire.GetWeights(self.ref), None))

    def gradients(
        self, *inputs: Floats, cotangent: Floats, training: bool | None = None
    ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return gradients of `sum(output * cotangent)` by the inputs and by the trainable weights.

        A gradient that does not exist is None.
        """
        packed = [wire.to_value(array) for array in inputs]
        answer = self._ask(wire.Gradients(self.ref, packed, wire.pack_array(cotangent), training), None)
        found = read(answer, GradientsFound)
        return found.inputs, found.weights


class Student:
    """The submission, on the other side of the wall.

    Args:
        ask: Asks one question with an optional limit in seconds.
        run_answers: Runs the notebook up to this task's answer cells; once more with variables, if any.
        training_seconds: Wall-clock limit of `train` and of `count`.
        process: Returns what stands for the student process that answers now; another one after it ended.
    """

    def __init__(
        self,
        ask: Ask,
        run_answers: Callable[[Mapping[str, wire.Value]], None],
        training_seconds: float,
        process: Callable[[], object] = lambda: None,
    ) -> None:
        self._asks = ask
        self._run_answers = run_answers
        self._training_seconds = training_seconds
        self._process = process
        self._made: dict[tuple[object, ...], Any] = {}
        self._described: dict[tuple[object, int], Any] = {}
        self._given: set[tuple[object, int]] = set()
        self._pictures: list[Picture] = []
        self._other_keras = False

    def _ask(self, question: wire.Question, seconds: float | None) -> Any:  # noqa: ANN401 - compared by the callers
        """Ask, but for a layer's description that came before and that nothing asked since can have changed."""
        if not isinstance(question, wire.Describe):
            if not isinstance(question, (wire.Read, wire.SetWeights)):
                self._described.clear()
            return self._ask_now(question, seconds)
        key = (self._process(), question.target.id)
        if key not in self._described:
            self._described[key] = self._ask_now(question, seconds)
        return self._described[key]

    def _ask_now(self, question: wire.Question, seconds: float | None) -> Any:  # noqa: ANN401 - as above
        """Ask about nothing but what the process that answers has given.

        Raises:
            StudentDied: If the process that had given it has ended.
        """
        if not {(self._process(), ref) for ref in wire.refs_in(question)} <= self._given:
            raise StudentDied("Your code's process ended before this check, and with it what it had made for it.")
        answer = self._asks(question, seconds)
        self._given.update((self._process(), ref) for ref in wire.refs_in(answer))
        return answer

    def once(self, make: Callable[..., _Made], *args: object) -> _Made:
        """Return `make(student, *args)`, made once for all checks of a task, and again in another student process.

        Building a model costs more than asking it, and finding that nothing explains it costs most: where making it
        ended in a fault, it does so for all checks. Each check gives such a model weights of its own.
        """
        key = (self._process(), make, *args)
        if key not in self._made:
            try:
                self._made[key] = make(self, *args)
            except StudentFault as fault:
                self._made[key] = fault
        made: _Made | StudentFault = self._made[key]
        if isinstance(made, StudentFault):
            raise made
        return made

    def makes_layers_of_another_keras(self) -> bool:
        """Whether this task's questions made layers that cannot work within tf_keras, as far as the process says."""
        if not self._other_keras:
            with suppress(StudentFault):
                found = self._asks(wire.OtherKeras(), None)
                self._other_keras = isinstance(found, tuple) and len(found) > 0
        return self._other_keras

    def show(self, picture: Picture | None) -> None:
        """Attach a picture to the check that runs; see `pictures`. None attaches nothing."""
        if picture is not None:
            self._pictures.append(picture)

    def take_pictures(self) -> tuple[Picture, ...]:
        """Return the pictures that were shown since the last call."""
        taken, self._pictures = self._pictures[:MOST_PICTURES], []
        return tuple(taken)

    def call(self, name: str, *args: object, **kwargs: object) -> Any:  # noqa: ANN401 - compared later
        """Call a function of the student's module with arrays (as tensors) and plain values."""
        return self._ask(wire.Call("module", name, _values(args), _table(kwargs)), None)

    def layer(self, name: str, *args: object, **kwargs: object) -> Layer:
        """Make a layer, or anything Keras, of the student's module.

        Raises:
            CheckFailed: If what comes back is neither a layer nor a model.
        """
        made = self.call(name, *args, **kwargs)
        if isinstance(made, wire.Ref) and made.kind in ("layer", "model"):
            return Layer(self._ask, made)
        fail_for_kind(f"`{name}` must be a tf_keras layer or return a tf_keras model", made)

    def as_layer(self, name: str) -> Layer:
        """Return a layer that calls a function of the student's module: with a phase, or for its gradients."""
        held = self._ask(wire.Wrap(name), None)
        if not isinstance(held, wire.Ref):
            fail(f"`{name}` must be a function.")
        return Layer(self._ask, held)

    def call_notebook(self, name: str, *args: object, **kwargs: object) -> Any:  # noqa: ANN401 - compared later
        """Run the notebook up to this task's cells and call one of its functions with NumPy arrays and plain values.

        Raises:
            CheckFailed: If the notebook does not define it.
        """
        self._run_answers({})
        with _expecting("function", name):
            return self._ask(wire.Call("notebook", name, _values(args), _table(kwargs)), None)

    def adopt(self, answer: object, what: str) -> Layer:
        """Return the layer or model that came back in an answer.

        Args:
            answer: What came.
            what: Names it in messages, such as `vit`.

        Raises:
            CheckFailed: If it is neither a layer nor a model.
        """
        if isinstance(answer, wire.Ref) and answer.kind in ("layer", "model"):
            return Layer(self._ask, answer)
        fail_for_kind(f"`{what}` must be a tf_keras layer or model", answer)

    def model(self, inputs: Sequence[Sequence[int | None]], *nodes: wire.Node) -> Layer:
        """Build `Model(inputs, nodes applied in turn)` through the functional API; shapes without the batch."""
        made = self._ask(wire.BuildModel([list(shape) for shape in inputs], list(nodes)), None)
        if not isinstance(made, wire.Ref):
            fail("No model came back.")
        return Layer(self._ask, made)

    def count(self, name: str, **kwargs: object) -> Counts:
        """Return how many parameters the model that `name` makes has; no weights are made."""
        question = wire.Count(name, _table(kwargs))
        return read(self._ask(question, self._training_seconds), Counts)  # twelve layers take a while

    def answer_with(self, **variables: object) -> None:
        """Run the answer cells that this task needs with these variables; `variable` reads what they make."""
        self._run_answers(_table(variables))

    def variable(self, name: str) -> Any:  # noqa: ANN401 - compared later
        """Run the notebook up to this task's cells and return one of its variables.

        Raises:
            CheckFailed: If the notebook does not define it.
        """
        self._run_answers({})
        with _expecting("variable", name):
            return self._ask(wire.Read(name), None)

    def train(
        self, name: str, *args: object, folder: str | None = None, inner: str | None = None, **kwargs: object
    ) -> TrainOutcome:
        """Run the notebook up to this task's cells, call its training function and return what was observed.

        A `folder` is made before, for the function to write to. Calls of the function named `inner` are observed, too.
        """
        self._run_answers({})
        question = wire.Train(name, _values(args), _table(kwargs), folder, inner)
        with _expecting("function", name):
            return read_training(self._ask(question, self._training_seconds))


@contextmanager
def _expecting(kind: str, name: str) -> Iterator[None]:
    """Fail with the name that the notebook must define, if the student process misses just that one."""
    try:
        yield
    except StudentRaised as error:
        if error.missing == name:
            fail(f"The notebook must define a {kind} named `{name}`, and yours does not. {error.hint}".strip())
        raise


def node(name: str, inputs: Sequence[int], *args: object, **kwargs: object) -> wire.Node:
    """Return one function call in a graph: earlier tensors first, then plain arguments."""
    return wire.Node(name, list(inputs), _values(args), _table(kwargs))


def apply(name: str, inputs: Sequence[int], init: Sequence[object] = (), **kwargs: object) -> wire.Node:
    """Return one layer in a graph, such as `keras.Dense`, made with the arguments `init`, called on earlier tensors."""
    return wire.Node(name, list(inputs), [], _table(kwargs), init=_values(init))


def _values(args: Sequence[object]) -> list[wire.Value]:
    return [_value(arg) for arg in args]


def _table(kwargs: Mapping[str, object]) -> dict[str, wire.Value]:
    return {key: _value(arg) for key, arg in kwargs.items()}


def _value(argument: object) -> wire.Value:
    if isinstance(argument, Layer):
        return argument.ref
    if isinstance(argument, (list, tuple)):
        return wire.Items([_value(item) for item in argument], is_list=isinstance(argument, list))
    return wire.to_value(argument)

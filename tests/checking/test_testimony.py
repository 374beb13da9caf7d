"""What a student process says about itself: read into records, or refused with the one sentence."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autograder import wire
from autograder.checking.remote import Layer, Student
from autograder.checking.testimony import MOST_SCALARS, UNREADABLE_ANSWER, read_training
from autograder.errors import MalformedReply, StudentDied, StudentFault

REF = wire.Ref(7, "layer", "Dense")
WEIGHT = {"name": "kernel:0", "shape": (3, 4), "dtype": "float32", "trainable": True}
LAYER = {"class": "Dense", "ref": wire.Ref(8, "layer", "Dense"), "weights": (0,), "units": 4}
DESCRIPTION = {"weights": (WEIGHT,), "layers": (LAYER,)}
OUTCOME = {"history": {"loss": (0.5, 0.25)}, "events": ("fit begins", "fit ends"), "saved": ("a/best.h5",)}


def answering(*answers: object) -> Student:
    """Return a submission that gives these answers in turn."""
    following = iter(answers)
    return Student(lambda question, seconds: next(following), lambda variables: None, 1.0)


def described(description: object) -> Layer:
    """Return a layer that is described so."""
    return answering(REF, description).layer("Dense")


def test_weights_and_parts_are_records() -> None:
    layer = described(DESCRIPTION)
    (weight,) = layer.weights()
    assert (weight.name, weight.shape, weight.trainable, weight.size) == ("kernel:0", (3, 4), True, 12)
    (part,) = layer.parts()
    assert (part.kind, part.weights, part.settings) == ("Dense", (0,), {"units": 4.0})


SHAPES: list[Any] = [
    (math.inf,), (-1,), (1.5,), (True,), ("3",), "34", None, 3, (1 << 41,), (1,) * 17, (1 << 64,), np.zeros(2),
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=[f"{shape}"[:12] for shape in SHAPES])
def test_shapes_that_make_no_sense_are_refused(shape: object) -> None:
    with pytest.raises(MalformedReply, match=UNREADABLE_ANSWER):
        described({"weights": ({**WEIGHT, "shape": shape},), "layers": ()}).weights()


@pytest.mark.parametrize(
    "change",
    [
        {"weights": (1,)}, {"weights": (-1,)}, {"weights": (0.0,)}, {"weights": np.zeros(1, np.int64)},
        {"ref": 8}, {"ref": None}, {"class": None}, {"class": "x" * 5000},
        {"rate": math.nan}, {"epsilon": math.inf}, {"units": "4"}, {"axis": (1,)}, {"rate": True},
    ],
    ids=str,
)  # fmt: skip
def test_layers_that_make_no_sense_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(MalformedReply, match=UNREADABLE_ANSWER):
        described({"weights": (WEIGHT,), "layers": ({**LAYER, **change},)}).parts()


@pytest.mark.parametrize(
    "description", [None, (), {}, {"weights": ()}, {"weights": None, "layers": ()}, "text", 3, np.zeros(3)], ids=str
)
def test_what_describes_nothing_is_refused(description: object) -> None:
    with pytest.raises(MalformedReply, match=UNREADABLE_ANSWER):
        described(description).weights()


def test_claimed_sizes_take_no_memory() -> None:
    huge = described({"weights": ({**WEIGHT, "shape": (MOST_SCALARS, 2)},), "layers": ()})
    with pytest.raises(StudentFault, match="far more than expected"):
        huge.weights()


@pytest.mark.parametrize(
    "counts", [None, 5, {"total": 3}, {"total": 3, "trainable": -1}, {"total": 3, "trainable": 2.5}]
)
def test_counts_are_whole_numbers(counts: object) -> None:
    assert answering({"total": 3, "trainable": 2}).count("make").trainable == 2
    with pytest.raises(MalformedReply, match=UNREADABLE_ANSWER):
        answering(counts).count("make")


def test_gradients_are_arrays_or_none() -> None:
    given = {"inputs": (np.ones(2),), "weights": (None,)}
    inputs, weights = answering(REF, given).layer("Dense").gradients(np.ones(2), cotangent=np.ones(2))
    assert inputs[0].sum() == 2
    assert weights == (None,)
    for wrong in (None, (), {"inputs": 3, "weights": ()}, {"inputs": (3.0,), "weights": ()}, {"inputs": ()}):
        with pytest.raises(MalformedReply, match=UNREADABLE_ANSWER):
            answering(REF, wrong).layer("Dense").gradients(np.ones(2), cotangent=np.ones(2))


def test_curves_that_are_none_are_left_out() -> None:
    curves = {"loss": (1, math.nan), "a": 3.0, "b": ("x",), "c": (True,), "d": np.zeros(2), "e": ()}
    outcome = read_training({**OUTCOME, "history": curves})
    assert outcome.history == {"loss": (1.0, None), "e": ()}
    assert read_training(OUTCOME).saved == ("a/best.h5",)


@pytest.mark.parametrize(
    "change",
    [{"history": 3}, {"history": np.zeros(3)}, {"events": (3,)}, {"events": None}, {"saved": (None,)}, {"saved": 1}],
    ids=str,
)
def test_outcomes_that_make_no_sense_are_refused(change: dict[str, object]) -> None:
    assert read_training(OUTCOME).events == ("fit begins", "fit ends")
    with pytest.raises(MalformedReply, match=UNREADABLE_ANSWER):
        read_training({**OUTCOME, **change})


USES: dict[str, Callable[[Student, Layer], object]] = {
    "called": lambda student, layer: layer(np.ones(1)),
    "described": lambda student, layer: layer.weights(),
    "an argument": lambda student, layer: student.call("f", [layer]),
    "a named argument": lambda student, layer: student.call("f", by=layer),
}


@pytest.mark.parametrize("use", USES)
def test_nothing_is_asked_of_what_another_process_gave(use: str) -> None:
    process = ["first"]
    asked: list[wire.Question] = []

    def ask(question: wire.Question, seconds: float | None) -> object:
        asked.append(question)
        return REF if len(asked) == 1 else DESCRIPTION

    student = Student(ask, lambda variables: None, 1.0, lambda: process[0])
    layer = student.layer("Dense")
    USES[use](student, layer)
    process[0] = "second"
    before = len(asked)
    with pytest.raises(StudentDied):
        USES[use](student, layer)
    assert len(asked) == before

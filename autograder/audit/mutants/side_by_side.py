"""Put right work and a change of it side by side: same weights, same inputs, and no check in between.

Both are looked at in processes of their own, behind the wall, by text of the assignment's that runs there. What was
seen are arrays, numbers and words by aspect; random outputs are compared as distributions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograder import wire
from autograder.config import Settings
from autograder.course.assignment import MODULE
from autograder.course.submission import Snapshot
from autograder.errors import StudentFault, StudentRaised
from autograder.grading.reference import Reference
from autograder.grading.student_process import StudentProcess
from autograder.grading.zygote_client import Zygote

Looks = Mapping[str, Any]
"""What was seen, by aspect. An aspect whose look ended in an exception holds `{"raises": its class}`."""
SECONDS = 60.0
"""How long a change may take for all that is looked at; the slowest right work takes a tenth."""
CLOSE = 3e-5
"""Largest difference of two equal arrays, in parts of the largest value; float32 in another order makes up to 1e-5."""
DIRECTIONS = 24
OFTEN = 0.12
"""Difference of the shares of samples that repeat another; by chance 0.03 at most."""
SURE = 3.3
"""Of Kolmogorov and Smirnov's statistic for two samples, by chance beyond it once in 1e9 comparisons."""


@dataclass(frozen=True)
class Unseen:
    """That nothing of a submission could be looked at, and in words why."""

    words: str


@dataclass(frozen=True)
class Gap:
    """How two values differ.

    Attributes:
        words: In words.
        off: By how much, in parts of the largest value, if both are arrays of one shape and type.
        is_failure: Whether the change has no value here: it raises, or has nothing.
    """

    words: str
    off: float = math.inf
    is_failure: bool = False


@dataclass(frozen=True)
class Difference:
    """One aspect in which a change is unlike its original, and how.

    Attributes:
        aspect: None stands for all of them: at least one of the two could not be looked at.
        gap: How they differ in it.
    """

    aspect: str | None
    gap: Gap


class Viewer:
    """Looks at submissions behind the wall.

    Args:
        zygote: To fork processes from.
        reference: The instructor's texts.
        settings: Layers and limits.
        texts: What runs behind the wall before a look: it defines what can be called.
    """

    def __init__(self, zygote: Zygote, reference: Reference, settings: Settings, texts: Sequence[str]) -> None:
        self._zygote = zygote
        self._reference = reference
        self._settings = settings
        self._texts = texts

    def look(self, snapshot: Snapshot, first_cell: str, call: str) -> Looks | Unseen:
        """Return what a submission does.

        Args:
            snapshot: The submission.
            first_cell: The notebook's imports, and what else comes first.
            call: What is looked at, such as `look_at_mlp()`; lines before it may set what it depends on.
        """
        process = StudentProcess(self._zygote, snapshot, self._settings)
        try:
            return self._look(process, first_cell, call)
        except StudentRaised as raised:
            return Unseen(f"raises {raised.exception}")
        except StudentFault as fault:
            return Unseen(fault.message)
        finally:
            process.stop()

    def _look(self, process: StudentProcess, first_cell: str, call: str) -> Looks | Unseen:
        process.ask(wire.Load(MODULE, self._reference.given, True, self._reference.modules), SECONDS)
        *before, last = call.split("\n")
        for text in (first_cell, *self._texts, "\n".join([*before, f"seen = {last}"])):
            process.ask(wire.RunCell("look", text), SECONDS)
        seen = process.ask(wire.Read("seen"), SECONDS)
        return seen if isinstance(seen, dict) else Unseen("gives nothing that can be looked at")


def differences(right: Looks | Unseen, changed: Looks | Unseen) -> tuple[Difference, ...]:
    """Return in which aspects two submissions differ, but for those in which right work raises: what is right there?"""
    if isinstance(changed, Unseen) or isinstance(right, Unseen):
        words = changed.words if isinstance(changed, Unseen) else "nothing is like it"
        return () if right == changed else (Difference(None, Gap(words, is_failure=True)),)
    aspects = (aspect for aspect in dict.fromkeys([*right, *changed]) if not _raises(right.get(aspect)))
    found = ((aspect, gap_between(right.get(aspect), changed.get(aspect))) for aspect in aspects)
    return tuple(Difference(aspect, gap) for aspect, gap in found if gap is not None)


def gap_between(right: Any, changed: Any) -> Gap | None:  # noqa: ANN401 - what was seen
    """Return how two values differ; None if they do not."""
    if _raises(changed):
        return _gap_of_others(right, changed)
    if isinstance(right, dict) and right.keys() == {"many", "few"} and isinstance(changed, dict):
        words = _words_of_samples(right, changed)
        return Gap(words) if words else None
    if isinstance(right, np.ndarray) and isinstance(changed, np.ndarray):
        return _gap_of_arrays(right, changed)
    if isinstance(right, dict) and isinstance(changed, dict):
        pairs = ((key, gap_between(right.get(key), changed.get(key))) for key in dict.fromkeys([*right, *changed]))
        return _widest(Gap(f"{key}: {gap.words}", gap.off) for key, gap in pairs if gap is not None)
    if isinstance(right, tuple) and isinstance(changed, tuple):
        if len(right) != len(changed):
            return Gap(f"{len(changed)} values for {len(right)}")
        return _widest(gap for gap in map(gap_between, right, changed) if gap is not None)
    if isinstance(right, float) and isinstance(changed, float):
        is_close = np.isclose(right, changed, rtol=1e-4, atol=1e-6, equal_nan=True)
        return None if is_close else Gap(f"{changed:.6g} for {right:.6g}", abs(changed - right) / max(abs(right), 1e-3))
    return _gap_of_others(right, changed)


def _widest(gaps: Iterable[Gap]) -> Gap | None:
    """Return the first of the widest gaps; None if there is none."""
    return max(gaps, key=lambda gap: gap.off, default=None)


def _gap_of_others(right: object, changed: object) -> Gap | None:
    """Return how two values differ that are only equal or not."""
    if type(right) is type(changed) and right == changed:
        return None
    return Gap(f"{_brief(changed)} for {_brief(right)}", is_failure=changed is None or _raises(changed))


def _raises(value: object) -> bool:
    return isinstance(value, dict) and value.keys() == {"raises"}


def _gap_of_arrays(right: np.ndarray[Any, Any], changed: np.ndarray[Any, Any]) -> Gap | None:
    if right.shape != changed.shape:
        return Gap(f"shape {changed.shape} for {right.shape}")
    if right.dtype != changed.dtype:
        return Gap(f"{changed.dtype} for {right.dtype}")
    off = largest_off(right, changed)
    return Gap(f"off by {off:.2g} of the largest value", off) if off > CLOSE else None


def largest_off(right: np.ndarray[Any, Any], changed: np.ndarray[Any, Any]) -> float:
    """Return the largest difference of two arrays of one shape, in parts of the largest value."""
    one, two = right.astype(float), changed.astype(float)
    if not np.array_equal(np.isfinite(one), np.isfinite(two)):
        return float("inf")
    finite = np.isfinite(one)
    scale = max(float(np.abs(one[finite]).max(initial=0.0)), 1e-3)
    return float(np.abs(one[finite] - two[finite]).max(initial=0.0)) / scale


def _words_of_samples(right: Mapping[str, Any], changed: Mapping[str, Any]) -> str:
    """Compare outputs in training as distributions, and in which of them the same is drawn; empty if alike."""
    one, two = right["many"], changed.get("many")
    if not isinstance(one, np.ndarray) or not isinstance(two, np.ndarray) or one.shape != two.shape:
        return "samples of another shape" if type(one) is type(two) else f"{_brief(two)} for samples"
    if not np.isfinite(one).all() or not np.isfinite(two).all():
        return "" if np.isfinite(one).all() == np.isfinite(two).all() else "samples that are not finite"
    if _shared(right["few"]) != _shared(changed["few"]):
        return "drawn once for several items, or once for several calls"
    if abs(_repeated(one) - _repeated(two)) > OFTEN:
        return "values in training come again more often, or less"
    steps = max((_step(first, second) for first, second in _projections(one, two)), default=0.0)
    return f"another distribution in training (statistic {steps:.1f})" if steps > SURE else ""


def _shared(few: np.ndarray[Any, Any]) -> tuple[bool, bool]:
    """Whether all items of a call are alike, and all calls; `few` is (calls, items, ...)."""
    items = np.abs(few - few[:, :1]).max() < 1e-5 * max(1e-3, np.abs(few).max())
    calls = np.abs(few - few[:1]).max() < 1e-5 * max(1e-3, np.abs(few).max())
    return bool(items), bool(calls)


def _repeated(samples: np.ndarray[Any, Any]) -> float:
    """Return the share of samples that came before: what is dropped leaves few values, noise leaves many."""
    flat = samples.reshape(len(samples), -1)
    sums = flat @ np.random.default_rng(2).normal(size=flat.shape[1])
    scale = max(float(np.abs(sums).max(initial=0.0)), 1e-3)
    return 1 - len(np.unique(np.round(sums / scale, 4))) / len(sums)


def _projections(one: np.ndarray[Any, Any], two: np.ndarray[Any, Any]) -> Iterator[tuple[np.ndarray[Any, Any], ...]]:
    """Yield single outputs of both, then sums of all with random factors, rounded so that equal values are equal."""
    flat, other = one.reshape(len(one), -1), two.reshape(len(two), -1)
    scale = max(float(np.abs(flat).max(initial=0.0)), 1e-3)
    factors = np.random.default_rng(1).normal(size=(flat.shape[1], DIRECTIONS))
    places = np.linspace(0, flat.shape[1] - 1, min(DIRECTIONS, flat.shape[1])).astype(int)
    for first, second in ((flat[:, places], other[:, places]), (flat @ factors, other @ factors)):
        for column in range(first.shape[1]):
            yield np.round(first[:, column] / scale, 3), np.round(second[:, column] / scale, 3)


def _step(one: np.ndarray[Any, Any], two: np.ndarray[Any, Any]) -> float:
    """Return Kolmogorov and Smirnov's statistic; of values on the border of two roundings the smaller one counts."""
    both = np.unique(np.concatenate([one, two]))
    below = [np.searchsorted(np.sort(sample), both + 1.5e-3) / len(sample) for sample in (one, two)]
    until = [np.searchsorted(np.sort(sample), both - 1.5e-3) / len(sample) for sample in (one, two)]
    off = np.maximum(0.0, np.maximum(until[0] - below[1], until[1] - below[0]))
    return float(off.max(initial=0.0) * (len(one) / 2) ** 0.5)


def _brief(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, np.ndarray):
        return f"an array {value.shape}"
    text = f"raises {value['raises']}" if isinstance(value, dict) and _raises(value) else str(value)
    return text if len(text) < 60 else f"{text[:57]}..."

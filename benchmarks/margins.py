"""How near the comparisons of hidden checks were to another verdict, seen from outside while checks run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import msgspec
import numpy as np

from autograder.checking import comparisons, dropout, gradients, readings
from autograder.checking.comparisons import Floats
from autograder.checking.dropout import Kept, Masks, frequency_errors, independence_errors
from autograder.grading import check_runner
from autograder.results import CheckResult


class Seen(msgspec.Struct, omit_defaults=True):
    """What one check showed in one draw, or the worst of many.

    Attributes:
        taken: Share of the tolerance that an answer needed which agreed.
        refused: Times the tolerance by which an answer was off that did not agree.
        right: Standard errors of the masks that came.
        more: The same for as many masks with a third more dropout, drawn here.
        shared: The same for one mask for all samples, drawn here.
        lost: How the check ended, if not well.
    """

    taken: float = 0.0
    refused: float = float("inf")
    right: float = 0.0
    more: float = float("inf")
    shared: float = float("inf")
    lost: str = ""

    def widen(self, other: Seen) -> None:
        """Take the worse of each figure."""
        self.taken, self.right = max(self.taken, other.taken), max(self.right, other.right)
        self.refused, self.more = min(self.refused, other.refused), min(self.more, other.more)
        self.shared = min(self.shared, other.shared)


@dataclass
class Watcher:
    """Notes how near the checks' comparisons were, without changing any.

    Attributes:
        rng: Draws wrong masks to put beside the right ones.
        checks: What each check has shown, by id.
    """

    rng: np.random.Generator
    checks: dict[str, Seen] = field(default_factory=dict)
    _now: Seen = field(default_factory=Seen)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look on while it is open."""
        agrees = self._beside(comparisons.agrees, self._see_answer)
        end: Callable[..., check_runner.CheckEnding] = check_runner._Plugin._ending

        def filing(plugin: check_runner._Plugin, *about: Any) -> check_runner.CheckEnding:  # noqa: ANN401 - pytest's
            ending = end(plugin, *about)
            self._file(ending.result)
            return ending

        with ExitStack() as stack:
            for place, name, stand_in in (
                (comparisons, "agrees", agrees),
                (readings, "agrees", agrees),
                (gradients, "relative_error", self._beside(gradients.relative_error, self._see_gradient)),
                (dropout, "frequency_errors", self._beside(frequency_errors, self._see_frequency)),
                (dropout, "independence_errors", self._beside(independence_errors, self._see_masks)),
                (check_runner._Plugin, "_ending", filing),
            ):
                stack.enter_context(mock.patch.object(place, name, stand_in))
            yield

    def _beside(self, function: Callable[..., Any], see: Callable[..., None]) -> Callable[..., Any]:
        def both(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the function takes and returns
            found = function(*args, **kwargs)
            see(found, *args, **kwargs)
            return found

        return both

    def _file(self, result: CheckResult) -> None:
        if result.outcome != "passed":
            self._now.lost = f"{result.outcome}: {result.message}"
        self.checks[result.id], self._now = self._now, Seen()

    def _see_answer(
        self, agrees: bool, got: object, value: Floats, tolerance: float = comparisons.FLOAT32_TOLERANCE
    ) -> None:
        if tolerance < comparisons.FLOAT32_TOLERANCE:  # the oracle beside itself in float32: no answer
            return
        if isinstance(got, np.ndarray) and got.shape == np.shape(value):
            with np.errstate(all="ignore"):
                bound = tolerance * max(1.0, float(np.max(np.abs(value), initial=0)))
                off = float(np.max(np.abs(np.subtract(got, value, dtype=np.float64)), initial=0))
                self._see(agrees, off / bound)

    def _see_gradient(self, error: float, *about: object) -> None:
        self._see(error <= gradients.TOLERANCE, error / gradients.TOLERANCE)

    def _see(self, agrees: bool, share: float) -> None:
        self._now.widen(Seen(taken=_short(share)) if agrees else Seen(refused=_short(share)))

    def _see_frequency(self, errors: float, kept: Masks, share: float) -> None:
        """Note the standard errors of how often units were kept, and of a third more dropout in its place."""
        more = np.asarray(self.rng.random(kept.shape) < 1 - (1 - share) * 4 / 3)
        self._now.widen(Seen(right=_short(errors), more=_short(frequency_errors(more, share))))

    def _see_masks(self, errors: Sequence[float], kept: Kept) -> None:
        """Note the standard errors of these masks, and of one mask for all samples in their place.

        A shared mask that keeps nearly all units, or nearly none, is independent by what it shows: how often it keeps
        them gives it away.
        """
        if kept.share in (0.0, 1.0):  # hardly any was seen
            return
        shape = kept.units.shape[2:]
        same = np.broadcast_to(self.rng.random(shape) < kept.share, kept.units.shape)
        often = frequency_errors(same[kept.shown], kept.share)
        shared = max(often, *independence_errors(Kept(same, kept.shown)))
        self._now.widen(Seen(right=_short(max(errors)), shared=_short(shared)))


def _short(value: float) -> float:
    """Return a figure with three digits, which keeps the file small."""
    return float(f"{value:.3g}")

"""The result of grading one submission: plain records, rendered elsewhere.

The JSON form is a stable contract (`"schema": 1`); other tools read it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import msgspec

Outcome = Literal["passed", "failed", "error", "skipped"]

SCHEMA = 1
READING_CHECK = "submission"
"""Name of the one check that each task has where the submission could not be read at all."""

Numbers = tuple[float | None, ...]
"""Rounded numbers of a bounded size; None stands for what was none, or was not finite."""


class AttentionPicture(msgspec.Struct, frozen=True, kw_only=True, tag="attention"):
    """Attention weights of one batch element, rows are queries, columns keys.

    Attributes:
        got: What the submission gave.
        right: What the definition gives for the same input.
    """

    got: tuple[Numbers, ...]
    right: tuple[Numbers, ...]


class PatchPicture(msgspec.Struct, frozen=True, kw_only=True, tag="patches"):
    """The patches of one image, row by row: which of them are wrong, and whose pixels they hold.

    Attributes:
        columns: Patches in one row of the image.
        wrong: Whether a patch is not what it should be.
        origins: Number of the right patch, from 0, whose pixels stand there in whatever order; None if no single one's.
    """

    columns: int
    wrong: tuple[bool, ...]
    origins: tuple[int | None, ...]


class CurvePicture(msgspec.Struct, frozen=True, kw_only=True, tag="curves"):
    """How training went: Keras' name of a curve to one number for each epoch."""

    curves: dict[str, Numbers]


Picture = AttentionPicture | PatchPicture | CurvePicture


@dataclass(frozen=True)
class CheckId:
    """Names a check: as text `<task>::<name>` or `<task>::<name>[<case>]`, such as `attention::scores_are_scaled`.

    Attributes:
        task: Of which the check is a part.
        name: Of the check among those of its task.
        case: Of a check that is tried with several inputs, which of them; else empty.
    """

    task: str
    name: str
    case: str = ""

    @classmethod
    def parse(cls, text: str) -> CheckId:
        """Return the id that a text stands for; without a task in it, all of it is the name."""
        task, separator, rest = text.partition("::")
        if not separator:
            task, rest = "", text
        name, _, case = rest.partition("[")
        if len(case) < 2 or not case.endswith("]"):
            return cls(task, rest)
        return cls(task, name, case[:-1])

    def __str__(self) -> str:
        return f"{self.task}::{self.within_task}" if self.task else self.within_task

    @property
    def within_task(self) -> str:
        """What tells it from the task's other checks."""
        return f"{self.name}[{self.case}]" if self.case else self.name

    @property
    def without_case(self) -> CheckId:
        """The check itself, whichever input it is tried with."""
        return CheckId(self.task, self.name)


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one hidden check found.

    Attributes:
        id: A `CheckId` as text.
        sentence: What the check asks for, as students read it.
        outcome: `error` is an internal error: it earns nothing, and its task is held.
        weight: Share of this check within its task; positive.
        message: Why points were lost; empty when passed.
        misconception: Slug of the recognised mistake, if any.
        duration: Seconds of wall-clock time.
        pictures: What helps to see it; never a hidden input.
    """

    id: str
    sentence: str = ""
    outcome: Outcome
    weight: float
    message: str = ""
    misconception: str | None = None
    duration: float = 0.0
    pictures: tuple[Picture, ...] = ()

    @property
    def check_id(self) -> CheckId:
        """Its id, taken apart."""
        return CheckId.parse(self.id)

    @property
    def misconceptions(self) -> tuple[str, ...]:
        """The recognised mistakes: an answer that fits two has both, joined by a plus in the JSON."""
        return tuple(self.misconception.split("+")) if self.misconception else ()


class TaskResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one automatic task earned.

    Attributes:
        carried_forward: An earlier part was wrong, and this task was graded with a
            stand-in.
        held: Whether the points wait for a person, since a check ended in an internal error. It
            follows from the checks; the JSON has it only where it is true.
    """

    id: str
    score: float
    max_score: float
    carried_forward: bool = False
    checks: tuple[CheckResult, ...] = ()
    held: bool | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        """Let `held` follow from the checks, whatever was read or given."""
        has_error = any(check.outcome == "error" for check in self.checks)
        msgspec.structs.force_setattr(self, "held", True if has_error else msgspec.UNSET)


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """Which submission was graded: digest of its files, and the student where known."""

    digest: str
    student: str | None = None


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """What it was graded on.

    Attributes:
        sandbox: The layers of confinement that held; empty with `--sandbox none`.
    """

    tensorflow: str
    device: str
    sandbox: tuple[str, ...]

    @property
    def ran_on_cpu(self) -> bool:
        """Whether a submission was run, and on the CPU; one that cannot be read is not run at all."""
        return self.tensorflow != "" and self.device == "cpu"


class SubmissionResult(msgspec.Struct, frozen=True, kw_only=True):
    """The whole outcome of one submission. `score` counts the automatic tasks only.

    Attributes:
        notes: What the student should know of the hand-in as a whole, such as a missing notebook.
    """

    schema: int = SCHEMA
    assignment: str
    submission: Submission
    score: float
    max_score: float
    environment: Environment
    tasks: tuple[TaskResult, ...]
    notes: tuple[str, ...] = ()

    @property
    def has_error(self) -> bool:
        """Whether any check ended in an internal error, so that a task is held."""
        return any(task.held for task in self.tasks)

    @property
    def is_unreadable(self) -> bool:
        """Whether the submission could not be read at all, so that nothing in it was checked."""
        return all(check.check_id == CheckId(task.id, READING_CHECK) for task in self.tasks for check in task.checks)

    def task(self, task_id: str) -> TaskResult | None:
        """Return the task with this id, or None."""
        return next((task for task in self.tasks if task.id == task_id), None)


def said_once(checks: Iterable[CheckResult]) -> list[CheckResult]:
    """Return the checks without repetitions: one that is tried with several inputs may say the same of each."""
    return list({(check.sentence, check.outcome, check.message): check for check in reversed(list(checks))}.values())[
        ::-1
    ]


def task_score(checks: tuple[CheckResult, ...], max_score: float) -> float:
    """Return the weighted share of passed checks, in points; a task without checks earns none.

    A check that ended in an internal error, or was skipped, earns nothing and still counts in the whole: points
    come from what passed, never from what could not be tried.

    Args:
        checks: All checks of one task.
        max_score: Points of the task.
    """
    if not checks:
        return 0.0
    passed = sum(check.weight for check in checks if check.outcome == "passed")
    return round(max_score * passed / sum(check.weight for check in checks), 2)


def to_json(result: SubmissionResult) -> bytes:
    """Return the result as indented JSON with a final newline."""
    return msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n"


def from_json(data: bytes) -> SubmissionResult:
    """Return the result that `to_json` wrote.

    Raises:
        msgspec.ValidationError: If it is no result of this schema.
    """
    return msgspec.json.decode(data, type=SubmissionResult)

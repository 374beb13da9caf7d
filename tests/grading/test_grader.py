"""The order of one submission's processes, and what of several attempts at a task counts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from autograder.course.assignment import Task
from autograder.course.solution_regions import is_unwritten, is_unwritten_cell
from autograder.course.submission import Snapshot
from autograder.grading import carried_forward, grader
from autograder.grading.check_runner import CheckEnding
from autograder.grading.processor_share import Patience
from autograder.results import CheckResult, TaskResult
from tests.tiny import TinyCourse

TASKS = {"first": (), "second": ("first",), "third": ("first", "second"), "alone": ()}
"""Tasks and what they build on."""


UNWRITTEN = """
def part(x):
    \"\"\"Do something.\"\"\"
    if x is None:
        raise ValueError
    raise NotImplementedError("part is not written yet")


def half(x):
    if x:
        return x
    raise NotImplementedError


class Layer:
    def __init__(self):
        super().__init__()

    def call(self, x):
        y = x
        raise NotImplementedError


def written(x):
    return x
"""


class World:
    """Live submissions without processes, and hidden checks whose outcomes are set.

    Args:
        course: Any course.
        passed: For `own`, `stand-ins` and `alternatives`, and each task: which of two checks pass there.
    """

    def __init__(self, course: TinyCourse, passed: dict[str, dict[str, str]]) -> None:
        checks = course.assignment.tasks[0].checks
        tasks = [Task(name, name, 2.0, (), (), builds_on, checks) for name, builds_on in TASKS.items()]
        self.passed = passed
        self.log: list[str] = []
        self.exceptions: dict[str, str] = {}
        self.case: Any = SimpleNamespace(
            assignment=SimpleNamespace(
                tasks=tasks, task=lambda name: tasks[list(TASKS).index(name)], checks_dir=checks.parent
            ),
            reference=SimpleNamespace(stand_ins_for=self.stand_ins_for, helpers=frozenset(), parts=frozenset()),
            time=SimpleNamespace(patience=Patience()),
            snapshot=Snapshot({"utilities.py": UNWRITTEN.encode()}, "tiny.ipynb"),
            notebook=SimpleNamespace(cells=()),
        )

    def stand_ins_for(self, wrong: tuple[Task, ...]) -> tuple[NamedStandIns, ...]:
        """Return two choices."""
        names = "+".join(task.id for task in wrong)
        return NamedStandIns(f"stand-ins for {names}"), NamedStandIns(f"alternatives for {names}")

    def provides(self, task: str, name: str) -> None:
        """Let a task be about a part of the module."""
        tasks = self.case.assignment.tasks
        place = list(TASKS).index(task)
        tasks[place] = replace(tasks[place], provides=(name,))

    def submission(self, case: object, name: str = "own") -> NamedSubmission:
        """Return a live submission."""
        return NamedSubmission(self.log, name)

    def endings(
        self, task: Task, student: str, seed: bytes, without: frozenset[str] = frozenset()
    ) -> tuple[CheckEnding, ...]:
        """Run two checks, `a` and `b`."""
        wanted = [name for name in "ab" if name not in without]
        self.log.append(f"{student}: {task.id} {''.join(wanted)}")
        passed = self.passed.get(student.split()[0], {}).get(task.id, "")
        results = [
            CheckResult(
                id=name, outcome="passed" if name in passed else "failed", weight=1.0, message=f"from {student}"
            )
            for name in wanted
        ]
        exception = self.exceptions.get(task.id, "")
        return tuple(CheckEnding(result, (result.message,), exception) for result in results)

    def grade(self, cached: Callable[..., TaskResult | None] = grader.nothing_cached) -> dict[str, TaskResult]:
        """Return the results of all tasks."""
        own: Any = self.submission(self.case)
        checks: Any = self
        return {task.id: task for task in grader._SubmissionGrading(self.case, own, checks, b"seed").grade_all(cached)}


class NamedStandIns(str):
    """Takes the place of stand-ins, by a name."""

    cells: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


class NamedSubmission:
    """Takes the place of a live submission; checks see its name."""

    def __init__(self, log: list[str], name: str) -> None:
        self.log = log
        self.name = name

    def student(self, task: Task, *, hurried: bool = False) -> str:
        """Return the name."""
        return self.name

    def close(self) -> None:
        """Note it."""
        self.log.append(f"{self.name} ends")


@pytest.fixture
def world(tiny_course: TinyCourse, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, dict[str, str]]], World]:
    def make(passed: dict[str, dict[str, str]]) -> World:
        world = World(tiny_course, passed)
        monkeypatch.setattr(carried_forward, "LiveSubmission", world.submission)
        return world

    return make


MakeWorld = Callable[[dict[str, dict[str, str]]], World]
FULL = dict.fromkeys(TASKS, "ab")


def test_right_work_needs_one_process(world: MakeWorld) -> None:
    right = world({"own": FULL})
    assert {task.score for task in right.grade().values()} == {2.0}
    assert right.log == ["own: first ab", "own: second ab", "own: third ab", "own: alone ab", "own ends"]


def test_the_own_process_ends_before_one_with_stand_ins_begins(world: MakeWorld) -> None:
    wrong = world(
        {"own": {"alone": "ab"}, "stand-ins": {"second": "a"}, "alternatives": {"second": "b", "third": "ab"}}
    )
    results = wrong.grade()
    assert wrong.log == [
        "own: first ab", "own: second ab", "own: third ab", "own: alone ab", "own ends",
        "stand-ins for first: second ab", "alternatives for first: second b",
        "stand-ins for first: third ab", "alternatives for first: third ab",
        "stand-ins for first ends", "alternatives for first ends",
    ]  # fmt: skip
    assert {name: (task.score, task.carried_forward) for name, task in results.items()} == {
        "first": (0.0, False), "second": (2.0, True), "third": (2.0, True), "alone": (2.0, False),
    }  # fmt: skip


def test_more_stand_ins_need_another_process(world: MakeWorld) -> None:
    wrong = world({"own": {"alone": "ab"}, "stand-ins": {"third": "ab"}})
    wrong.grade()
    assert wrong.log[5:] == [
        "stand-ins for first: second ab", "alternatives for first: second ab",
        "stand-ins for first ends", "alternatives for first ends",
        "stand-ins for first+second: third ab", "stand-ins for first+second ends",
    ]  # fmt: skip


def test_what_passed_alone_is_not_run_again(world: MakeWorld) -> None:
    wrong = world({"own": {"second": "a", "third": "ab", "alone": "ab"}, "stand-ins": {"second": ""}})
    results = wrong.grade()
    assert wrong.log[5:7] == ["stand-ins for first: second b", "alternatives for first: second b"]
    assert [(check.id, check.outcome) for check in results["second"].checks] == [("a", "passed"), ("b", "failed")]
    assert not results["third"].carried_forward


def test_what_is_cached_is_not_run_again(world: MakeWorld) -> None:
    known = TaskResult(id="first", score=2.0, max_score=2.0)
    right = world({"own": FULL})
    results = right.grade(lambda task, wrong: known if task.id == "first" else None)
    assert results["first"] is known
    assert right.log == ["own: second ab", "own: third ab", "own: alone ab", "own ends"]


def test_a_cached_result_counts_where_the_same_parts_are_wrong(world: MakeWorld) -> None:
    """Whether the second task is wrong is known only once it was graded with a stand-in for the first."""
    asked: list[tuple[str, tuple[str, ...]]] = []
    known = TaskResult(id="third", score=1.0, max_score=2.0, carried_forward=True)

    def cached(task: Task, wrong: tuple[Task, ...]) -> TaskResult | None:
        asked.append((task.id, tuple(task.id for task in wrong)))
        return known if asked[-1] == ("third", ("first", "second")) else None

    wrong = world({"own": {"alone": "ab"}})
    assert wrong.grade(cached)["third"] is known
    assert asked == [
        ("first", ()), ("second", ("first",)), ("alone", ()), ("second", ("first",)), ("third", ("first", "second")),
    ]  # fmt: skip
    assert not [line for line in wrong.log if line.startswith("stand-ins") and "third" in line]


@pytest.mark.parametrize(
    ("name", "unwritten"), [("part", True), ("half", False), ("Layer", True), ("written", False), ("missing", False)]
)
def test_what_can_only_raise_is_unwritten(name: str, unwritten: bool) -> None:
    assert is_unwritten(UNWRITTEN, name) == unwritten
    assert not is_unwritten(f"{UNWRITTEN}\n{name} = print\n", name)


def test_a_module_far_longer_than_any_work_is_not_parsed() -> None:
    began = time.thread_time()
    assert not is_unwritten("x = 1\n" * 500_000 + UNWRITTEN, "double")
    assert time.thread_time() - began < 1


def test_a_cell_that_can_only_raise_is_unwritten() -> None:
    assert is_unwritten_cell("# YOUR CODE HERE\nraise NotImplementedError('This cell is not written yet.')", {"x"})
    assert is_unwritten_cell(UNWRITTEN, {"part", "Layer"})
    assert not is_unwritten_cell(UNWRITTEN, {"part", "written"})
    assert not is_unwritten_cell(UNWRITTEN, ())
    assert not is_unwritten_cell("try:\n    raise NotImplementedError\nexcept Exception:\n    x = 1", {"x"})
    assert not is_unwritten_cell("x = (", {"x"})


@pytest.mark.parametrize(("exception", "asked"), [("NotImplementedError", False), ("ValueError", True)])
def test_a_part_that_is_not_written_is_not_asked_with_stand_ins(world: MakeWorld, exception: str, asked: bool) -> None:
    unwritten = world({"own": {"alone": "ab"}})
    unwritten.exceptions = {"second": exception, "third": "ValueError"}
    unwritten.provides("second", "part")
    results = unwritten.grade()
    assert ("stand-ins for first: second ab" in unwritten.log) == asked
    assert results["second"].carried_forward
    assert {check.message for check in results["second"].checks} <= {"from own", carried_forward.STILL_WRONG}

"""When a submission's time begins."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from autograder import wire
from autograder.checking.remote import Student
from autograder.config import Settings
from autograder.course.submission import Snapshot
from autograder.errors import StudentDied, StudentFault, StudentRaised, StudentTimeout
from autograder.grading.live_submission import GradingCase, LiveSubmission, ModuleState
from autograder.grading.processor_share import SILENT, TRIES, Patience
from autograder.grading.reference import Reference
from tests.tiny import TinyCourse


def test_a_submissions_time_begins_when_the_libraries_are_imported(
    tiny_course: TinyCourse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the first submission on a slow machine would be out of time before it is asked anything."""
    clock = [0.0]
    monkeypatch.setattr("autograder.grading.processor_share.time", SimpleNamespace(monotonic=lambda: clock[-1]))
    slow_zygote: Any = SimpleNamespace(wait_until_ready=lambda: clock.append(60.0))
    reference = Reference.read(tiny_course.assignment)
    settings = Settings(submission_seconds=300.0)
    case = GradingCase.begin(settings, tiny_course.assignment, reference, slow_zygote, Snapshot({}, "tiny.ipynb"))
    assert case.time.ends == 360.0


class SlowProcess:
    """Takes the place of a student process: it loads the module, then never answers in time."""

    alive = complete = True
    answers = silent = False

    def __init__(self) -> None:
        self.limits: list[float] = []

    def ask(self, question: wire.Question, seconds: float = 0.0) -> None:
        """Run into the limit, unless told to answer."""
        if isinstance(question, wire.Call | wire.Count):
            self.limits.append(seconds)
        runs_nothing = isinstance(question, wire.Restart | wire.OtherKeras) and not self.silent
        if not self.answers and not runs_nothing and not isinstance(question, wire.Load):
            raise StudentTimeout("Your code gave no answer.")

    def printed(self) -> str:
        """Return nothing."""
        return ""

    def stop(self) -> None:
        """Do nothing."""


@pytest.fixture
def slow(tiny_course: TinyCourse, monkeypatch: pytest.MonkeyPatch) -> tuple[LiveSubmission, SlowProcess]:
    """A submission whose process is slow, and that process."""
    process = SlowProcess()
    monkeypatch.setattr("autograder.grading.live_submission.StudentProcess", lambda *case: process)
    zygote: Any = SimpleNamespace(wait_until_ready=lambda: None)
    snapshot = Snapshot({"utilities.py": b""}, "tiny.ipynb")
    settings = Settings(request_seconds=20.0, training_seconds=40.0)
    reference = Reference.read(tiny_course.assignment)
    return LiveSubmission(GradingCase.begin(settings, tiny_course.assignment, reference, zygote, snapshot)), process


Slow = tuple[LiveSubmission, SlowProcess]


def ask_often(student: Student, name: str, times: int) -> None:
    """Ask a function that does not answer."""
    for _ in range(times):
        with pytest.raises(StudentTimeout):
            student.call(name, 1.0)


@pytest.mark.parametrize(("hurried", "limits"), [(False, [20.0, 5.0, 1.25]), (True, [5.0])])
def test_limits_shrink_and_what_never_answers_is_not_asked_again(
    slow: Slow, tiny_course: TinyCourse, hurried: bool, limits: list[float]
) -> None:
    live, process = slow
    ask_often(live.student(tiny_course.assignment.tasks[0], hurried=hurried), "double", times=5)
    assert process.limits == limits


def test_another_part_is_still_asked_and_its_limit_is_shorter(slow: Slow, tiny_course: TinyCourse) -> None:
    live, process = slow
    first, second = tiny_course.assignment.tasks[:2]
    ask_often(live.student(first), "double", times=5)
    student = live.student(second)
    ask_often(student, "quadruple", times=1)
    with pytest.raises(StudentTimeout):
        student.count("build")
    assert process.limits[3:] == [5.0, 10.0]  # a long question's limit is shortened only once


def test_time_that_is_up_before_the_rest_of_a_cell_ends_the_check(
    slow: Slow, tiny_course: TinyCourse, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, process = slow
    process.answers = True
    student = live.student(tiny_course.assignment.tasks[0])
    student.call("double", 1.0)  # its process lives
    notebook = SimpleNamespace(ended_by_rest=True, faults={}, take_notes=list, run_up_to=time_is_up)
    monkeypatch.setattr(live, "_notebook_of", lambda task: notebook)
    with pytest.raises(StudentTimeout, match="used up"):
        student.variable("total")


def time_is_up(answers: frozenset[str]) -> None:
    raise StudentTimeout("Your submission had used up its 300 s before this check was reached.")


def test_what_has_answered_once_is_asked_again_and_again(slow: Slow, tiny_course: TinyCourse) -> None:
    live, process = slow
    process.answers = True
    student = live.student(tiny_course.assignment.tasks[0])
    student.call("double", 1.0)
    process.answers = False
    ask_often(student, "double", times=5)
    assert process.limits == [20.0, 20.0, 5.0, 1.25, 1.25, 1.25]


def test_a_layer_that_can_be_made_and_does_not_answer_is_called_three_times() -> None:
    patience, layer = Patience(), wire.Ref(1, "layer", "MultiHeadAttention")
    patience.note_answer(wire.Call("module", "MultiHeadAttention", [], {}))
    for _ in range(TRIES):
        patience.note_fault(wire.Apply(layer, []), StudentDied("It ended."))
    with pytest.raises(StudentDied):
        patience.seconds_for(wire.Gradients(layer, [], wire.pack_array(np.zeros(1))), 20.0)


def test_a_model_of_one_task_says_nothing_of_those_of_another() -> None:
    patience, model = Patience(), wire.Ref(1, "model", "Functional")
    patience.begin("first", hurried=False)
    for _ in range(TRIES):
        patience.note_fault(wire.Apply(model, []), StudentDied("It ended."))
    patience.begin("second", hurried=False)
    assert patience.seconds_for(wire.Apply(model, []), 20.0) == 20.0


def test_what_answers_nothing_at_all_is_soon_asked_nothing_more(slow: Slow, tiny_course: TinyCourse) -> None:
    live, process = slow
    process.silent = True
    first, second = tiny_course.assignment.tasks[:2]
    ask_often(live.student(first), "double", times=1)
    assert process.limits == [20.0]
    student = live.student(second)  # whether it made layers of another Keras is asked in between
    ask_often(student, "quadruple", times=1)
    assert process.limits == [20.0, 5.0]
    ask_often(live.student(first), "treble", times=3)
    assert process.limits == [20.0, 5.0]


def test_a_cell_that_takes_too_long_is_no_silence() -> None:
    patience, late = Patience(), StudentTimeout("No answer came in time.")
    for _ in range(5):
        patience.note_liveness(wire.RunCell("data", "while True: pass", False, 0.0), late)
    assert patience.seconds_for_cell(30.0) == 30.0
    for _ in range(SILENT):
        patience.note_liveness(wire.Restart(), late)
    with pytest.raises(StudentTimeout):
        patience.seconds_for_cell(30.0)


def test_a_machine_that_stalls_now_and_then_costs_no_other_task() -> None:
    patience, late = Patience(), StudentTimeout("No answer came in time.")
    patience.begin("first", hurried=True)
    for _ in range(5):
        patience.note_fault(wire.OtherKeras(), late)
        patience.note_answer(wire.OtherKeras())
        patience.note_liveness(wire.Restart(), late)
        patience.note_liveness(wire.Restart())
    patience.begin("second", hurried=False)
    assert not patience.ran_out
    assert patience.seconds_for(wire.Call("module", "double", [], {}), 20.0) == 20.0


def test_with_a_stand_in_each_part_gets_one_more_try() -> None:
    patience, question = Patience(), wire.Call("module", "double", [], {})
    patience.begin("first", hurried=False)
    for _ in range(TRIES):
        patience.note_fault(question, StudentDied("It ended."))
    with pytest.raises(StudentDied):
        patience.seconds_for(question, 20.0)
    patience.renew()
    assert patience.seconds_for(question, 20.0) == 20.0
    patience.note_fault(question, StudentDied("It ended."))
    with pytest.raises(StudentDied):
        patience.seconds_for(question, 20.0)


def test_nothing_is_asked_of_a_submission_that_was_closed(slow: Slow, tiny_course: TinyCourse) -> None:
    live, process = slow
    student = live.student(tiny_course.assignment.tasks[0])
    live.close()
    with pytest.raises(RuntimeError, match="closed"):
        student.call("double", 1.0)
    assert process.limits == []


INTERRUPTED = StudentRaised("Interrupted", "", "utilities.py, in <module>", 9)
INTERRUPTED.interrupted = True


@pytest.mark.parametrize(
    ("fault", "note"),
    [
        (
            INTERRUPTED,
            "utilities.py takes longer than grading waits for its import (line 9). "
            "What it defines all the same is graded.",
        ),
        (
            StudentRaised("KeyError", "'x'", "utilities.py, in <module>", 9),
            "utilities.py could not be imported. Your code raised KeyError: 'x' (utilities.py, in <module>, line 9). "
            "What it defines all the same is graded.",
        ),
        (
            StudentTimeout("Is there a loop that never ends?"),
            "utilities.py could not be imported. Is there a loop that never ends? Nothing in it is graded.",
        ),
    ],
)
def test_what_is_graded_of_a_module_that_did_not_run_to_its_end(fault: StudentFault, note: str) -> None:
    module = ModuleState()
    assert module.note_fault(fault) == [note]
    assert module.note_fault(fault) == []

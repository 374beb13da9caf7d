"""A whole course in miniature, with one assignment `tiny`: one function, one notebook answer, one question."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbgrader.plugins import BasePlugin

from autograder.course.assignment import Assignment
from autograder.course.course import Course, read_course
from autograder.course.submission import Snapshot, read_submission
from autograder.errors import AutograderError, SubmissionUnreadable
from autograder.gradebook.class_marks import class_marks
from autograder.gradebook.recording import Recorder
from autograder.results import CheckResult, Environment, Outcome, Submission, SubmissionResult, TaskResult

REPOSITORY = Path(__file__).resolve().parents[1]

TINY_MODULE = '''"""One function to write."""


def double(x):
    """Return twice `x`.

    Args:
        x: Float tensor (batch, features).
    """
    ### BEGIN SOLUTION: multiply every element by two.
    twice_of_everything = 2.0 * x
    return twice_of_everything
    ### END SOLUTION
'''

TINY_RUBRIC = (
    '{"rubric": [{"id": "factor", "points": 1, "text": "The factor is named."},'
    ' {"id": "cost", "points": 1, "text": "Its cost is named."}]}'
)
TINY_NOTEBOOK = """# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Doubling

# %% tags=["parameters", "grading"] nbgrader={"grade_id": "parameters", "locked": true}
size = 1000

# %% tags=["grading"]
import utilities

# %% nbgrader={"grade_id": "double", "grade": true, "locked": true, "points": 3}
# Hidden checks of `double` run when your work is graded.

# %% nbgrader={"grade_id": "total_answer", "solution": true}
# Add up the numbers below `size`.
### BEGIN SOLUTION
total = sum(range(size))
### END SOLUTION

# %% nbgrader={"grade_id": "total", "grade": true, "locked": true, "points": 2}
# Hidden checks of `total` run when your work is graded.

# %% [markdown] autograder=RUBRIC nbgrader={"grade_id": "question_01", "grade": true, "solution": true, "points": 2}
# ### BEGIN SOLUTION
# Doubling is multiplying by two, which costs one operation per element.
# ### END SOLUTION
""".replace("RUBRIC", TINY_RUBRIC)

TINY_TASKS = """[double]
title = "Doubling"
provides = ["double"]

[total]
title = "Adding up"
answers = ["total_answer"]
builds_on = []
"""

TITLES = {"double": "Doubling", "total": "Adding up"}
"""The titles of its tasks."""
TINY_DOUBLE = '''"""Checks of `double`."""

import numpy as np
import pytest

from autograder.checking.comparisons import close, expect_array, require


@pytest.mark.check("Every element is doubled.", weight=2)
def test_doubles_every_element(student, rng):
    numbers = rng.normal(size=(3, 5)).astype(np.float32)
    doubled = expect_array(student.call("double", numbers), (3, 5), "The result")
    require(close(doubled, numbers + numbers), "Some elements of the result are not twice as large.")


@pytest.mark.check("A known number is doubled.", weight=1)
def test_doubles_a_known_number(student):
    doubled = student.call("double", np.full((1, 1), 617283.5, np.float32))
    require(float(np.squeeze(doubled)) == 1234567.0, "A large number is not doubled exactly.")
'''

TINY_TOTAL = '''"""Checks of `total`."""

import pytest

from autograder.checking.comparisons import require


@pytest.mark.check("The numbers below `size` are added up.", weight=1)
def test_adds_up(student):
    require(student.variable("total") == 499500, "`total` is not the sum of the numbers below `size`.")
'''


@dataclass(frozen=True)
class TinyCourse:
    """A course folder and what a test needs of it."""

    course: Course
    assignment: Assignment

    @property
    def root(self) -> Path:
        """The course folder."""
        return self.course.root

    def read_again(self) -> TinyCourse:
        """Return the course with `course_config.py` as it is now, as the next command would read it."""
        return TinyCourse(read_course(self.root), self.assignment)

    def hand_in(self, student: str, notebook: bytes | None, module: str | None = "# work\n") -> Path:
        """Write a submission below `submitted/` and return its folder."""
        folder = self.root / "submitted" / student / "tiny"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if notebook is not None:
            (folder / "tiny.ipynb").write_bytes(notebook)
        if module is not None:
            (folder / "utilities.py").write_text(module)
        return folder

    def record(self, student: str, folder: Path, result: SubmissionResult) -> None:
        """Record a result for a submission as it is now."""
        try:
            snapshot = read_submission(folder, self.assignment.name, self.course.settings)
        except SubmissionUnreadable:
            snapshot = Snapshot({}, f"{self.assignment.name}.ipynb")
        recorder = Recorder(self.course, self.assignment)
        try:
            recorder.record(student, snapshot, result)
        except (AutograderError, OSError) as error:
            recorder.record_failed(student, snapshot, str(error))
            raise

    def record_ungraded(self, student: str, why: str) -> bool:
        """Record that a submission could not be graded; return whether there is an earlier mark."""
        recorded = Recorder(self.course, self.assignment).record_ungraded(student, why)
        return recorded is not None and recorded.has_earlier_mark

    def released_notebook(self) -> dict[str, Any]:
        """The notebook that students get."""
        notebook: dict[str, Any] = json.loads((self.root / "release/tiny/tiny.ipynb").read_text())
        return notebook


def write_tiny_sources(root: Path) -> None:
    """Write a course folder with nothing built."""
    files = {
        "solutions/tiny/tiny.py": TINY_NOTEBOOK,
        "solutions/tiny/utilities.py": TINY_MODULE,
        "solutions/tiny/images/dot.txt": "a picture\n",
        "autograder/checks/tiny/tasks.toml": TINY_TASKS,
        "autograder/checks/tiny/test_double.py": TINY_DOUBLE,
        "autograder/checks/tiny/test_total.py": TINY_TOTAL,
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for name in ("course_config.py", "nbgrader_config.py"):
        shutil.copy(REPOSITORY / name, root / name)


def scores(course: Course, assignment: Assignment) -> dict[str, dict[str, float]]:
    """Return the gradebook's scores by student and grade_id, with marks by hand where there are some."""
    marks = class_marks(course, assignment)
    return {student.person.id: student.scores for student in marks.students if student.submitted}


def tiny_result(
    *, double: float = 3.0, total: float = 2.0, outcome: Outcome | None = None, notes: tuple[str, ...] = ()
) -> SubmissionResult:
    """Return a result of `tiny` with these points."""
    tasks = (_task("double", double, 3.0, outcome), _task("total", total, 2.0, None))
    return SubmissionResult(
        assignment="tiny",
        submission=Submission(digest="sha256:0"),
        score=double + total,
        max_score=5.0,
        environment=Environment(tensorflow="2.21", device="cpu", sandbox=()),
        tasks=tasks,
        notes=notes,
    )


def _task(name: str, score: float, worth: float, outcome: Outcome | None) -> TaskResult:
    outcome = outcome or ("passed" if score == worth else "failed")
    check = CheckResult(
        id=f"{name}::works",
        sentence=f"The task {name} works.",
        outcome=outcome,
        weight=1.0,
        message="" if outcome == "passed" else f"{name} is <b>wrong</b>, by $1$ & more.",
        misconception=None if outcome == "passed" else "off_by_one",
    )
    return TaskResult(id=name, score=score, max_score=worth, checks=(check,))


class OnePointOff(BasePlugin):  # type: ignore[misc]
    """A late policy: one point, however late."""

    def late_submission_penalty(self, student_id: str, score: float, total_seconds_late: float) -> float:
        """Return the penalty in points."""
        return 1.0


class HalfOff(BasePlugin):  # type: ignore[misc]
    """A late policy: half of the score."""

    def late_submission_penalty(self, student_id: str, score: float, total_seconds_late: float) -> float:
        """Return the penalty in points."""
        return score / 2


class TooMuch(BasePlugin):  # type: ignore[misc]
    """A late policy that takes more than there is."""

    def late_submission_penalty(self, student_id: str, score: float, total_seconds_late: float) -> float:
        """Return the penalty in points."""
        return score + 100


class Negative(BasePlugin):  # type: ignore[misc]
    """A late policy with its sign wrong."""

    def late_submission_penalty(self, student_id: str, score: float, total_seconds_late: float) -> float:
        """Return the penalty in points."""
        return -1.0

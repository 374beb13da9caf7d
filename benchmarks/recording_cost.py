"""Measure what recording costs: `python -m benchmarks.recording_cost [STUDENTS]` (20; made results of the lab).

Nothing is graded. `first` records everyone, `again` records other points for the same hand-ins, and `recorded already`
is what each student costs in a run of `grade` that changes nothing.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from nbgrader.converters import GenerateAssignment

from autograder.course.assignment import Assignment
from autograder.course.course import Course, read_course
from autograder.course.submission import Snapshot
from autograder.gradebook.nbgrader_steps import course_directory, make_step, run_step
from autograder.gradebook.recording import Recorder
from autograder.results import CheckResult, Environment, Submission, SubmissionResult, TaskResult
from benchmarks.measuring import say, table

ROOT = Path(__file__).parents[1]
FOLDERS = ("solutions/vit", "source/vit", "release/vit", "autograder/checks/vit")
FILES = ("course_config.py", "nbgrader_config.py")
CHECKS = 8


def main() -> None:
    """Print milliseconds for each student."""
    students = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as scratch:
        course, assignment = make_course(Path(scratch, "course"))
        began = time.perf_counter()
        recorder = Recorder(course, assignment)
        say(f"one run: {1000 * (time.perf_counter() - began):.0f} ms to read the rules")
        work = [(f"student-{number:03}", handed_in(assignment, number)) for number in range(students)]
        recorder.record("warm", work[0][1], made_result(assignment, work[0][1], share=1.0))
        rows = []
        for name, share in (("first", 1.0), ("again", 0.5), ("recorded already", 0.5)):
            took = [1000 * timed(recorder, assignment, student, snapshot, share) for student, snapshot in work]
            rows.append((name, f"{statistics.median(took):.1f}", f"{min(took):.1f}", f"{max(took):.1f}"))
    say(table(("ms for each student", "median", "least", "most"), rows))


def timed(recorder: Recorder, assignment: Assignment, student: str, snapshot: Snapshot, share: float) -> float:
    """Return the seconds that one recording takes."""
    result = made_result(assignment, snapshot, share=share)
    began = time.perf_counter()
    recorder.record(student, snapshot, result)
    return time.perf_counter() - began


def make_course(root: Path) -> tuple[Course, Assignment]:
    """Copy the lab and register it in a new gradebook."""
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, root / folder)
    for file in FILES:
        shutil.copy(ROOT / file, root / file)
    course = read_course(root)
    run_step(make_step(GenerateAssignment, course, course_directory(course, "vit")))
    return course, course.assignment("vit")


def handed_in(assignment: Assignment, number: int) -> Snapshot:
    """Return a submission that nobody else has."""
    notebook = assignment.release_dir / f"{assignment.name}.ipynb"
    module = f"{(assignment.source_dir / 'utilities.py').read_text()}\n# {number}\n"
    return Snapshot({notebook.name: notebook.read_bytes(), "utilities.py": module.encode()}, notebook.name)


def made_result(assignment: Assignment, snapshot: Snapshot, *, share: float) -> SubmissionResult:
    """Return a result with this share of the points in each task."""
    tasks = tuple(
        TaskResult(
            id=task.id,
            score=task.points * share,
            max_score=task.points,
            checks=tuple(
                CheckResult(
                    id=f"{task.id}::check_{number}",
                    sentence="Something is so.",
                    outcome="passed" if number < CHECKS * share else "failed",
                    weight=1,
                    message="" if number < CHECKS * share else "Expected (2, 9, 48), got (2, 48, 9).",
                )
                for number in range(CHECKS)
            ),
        )
        for task in assignment.tasks
    )
    return SubmissionResult(
        assignment=assignment.name,
        submission=Submission(digest=snapshot.digest),
        score=sum(task.score for task in tasks),
        max_score=assignment.max_score,
        environment=Environment(tensorflow="2.21", device="cpu", sandbox=()),
        tasks=tasks,
    )


if __name__ == "__main__":
    main()

"""Make what students get: let nbgrader release the built assignment, unless the gate finds something wrong with it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from nbgrader.converters import GenerateAssignment

from autograder.course.assignment import MODULE, Assignment
from autograder.course.course import Course
from autograder.errors import AutograderError, ReleaseRefused
from autograder.gradebook.nbgrader_steps import StepFailed, course_directory, make_step, run_step
from autograder.progress import ProgressListener, no_progress
from autograder.release.build import REQUIREMENTS, stale_files
from autograder.release.leaks import find_leaks
from autograder.release.requirements import with_python
from autograder.results import SubmissionResult
from autograder.text import Titles, title_of

STEPS = 5
"""Steps of a release, for progress updates."""
GradeFolder = Callable[[Path], SubmissionResult]
"""Grades a submission folder."""


def release(course: Course, assignment: Assignment, grade: GradeFolder, progress: ProgressListener = no_progress) -> Path:
    """Make `release/<name>/` with nbgrader and register its cells and points in the gradebook.

    Both happen only if nothing secret is in the release, the solutions get all automatic points, and the stubs get
    none. Otherwise the old release and the gradebook stay as they are.

    Args:
        course: The course.
        assignment: The assignment, built.
        grade: Grades a submission folder.
        progress: Receives progress updates.

    Returns:
        The release folder.

    Raises:
        ReleaseRefused: With every reason, and what to do.
    """
    stale = stale_files(course.root, assignment.name)
    if stale:
        raise _refused(assignment, stale, f"Run: python -m autograder build --assignment {assignment.name}")
    with _scratch_folder(course) as scratch:
        progress(0, STEPS, "making a trial release")
        tried = _generate(course, assignment, scratch / "tried", f"sqlite:///{scratch.resolve() / 'trial.db'}")
        progress(1, STEPS, "looking for leaks")
        problems = find_leaks(assignment, tried)
        solved = _solve(assignment, tried, scratch / "solved")
        problems += _grade_both(assignment, grade, tried, solved, progress)
        if problems:
            raise _refused(assignment, problems, "Fix the sources, build again, and release again.")
        progress(4, STEPS, "registering it in the gradebook")
        made = _generate(course, assignment, scratch / "new", None)
        _name_python(made / REQUIREMENTS)
        _put_in_place(made, assignment.release_dir, scratch / "old")
        progress(STEPS, STEPS, "")
    return assignment.release_dir


@contextmanager
def _scratch_folder(course: Course) -> Iterator[Path]:
    course.state_dir.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=course.state_dir, prefix="release-") as name:
        yield course.state_dir / Path(name).name


def _generate(course: Course, assignment: Assignment, step: Path, db_url: str | None) -> Path:
    """Let nbgrader make the release below `step`.

    Args:
        course: The course.
        assignment: The assignment.
        step: A folder in the course folder.
        db_url: The gradebook that registers it; None means the course's.
    """
    place = step.relative_to(course.root).as_posix()
    traits = {"release_directory": place} | ({"db_url": db_url} if db_url else {})
    coursedir = course_directory(course, assignment.name, **traits)
    try:
        run_step(make_step(GenerateAssignment, course, coursedir))
    except StepFailed as error:
        raise _refused(
            assignment,
            [f"nbgrader could not make it: {error}"],
            "Once students have been graded, cells can no longer be added, removed or renamed: give each its old grade_id "
            "back, then build and release. To go on with other cells, copy the assignment under a new name.",
        ) from error
    return Path(coursedir.format_path(place, ".", assignment.name))


def _name_python(path: Path) -> None:
    """Say in a release's requirements.txt, if it has one, which Python grades."""
    if path.is_file():
        path.write_text(with_python(path.read_text("utf-8")), "utf-8")


def _solve(assignment: Assignment, tried: Path, solved: Path) -> Path:
    """Copy a release and put the solutions into it."""
    shutil.copytree(tried, solved)
    shutil.copyfile(assignment.solution_dir / f"{MODULE}.py", solved / f"{MODULE}.py")
    shutil.copyfile(assignment.notebook_path, solved / f"{assignment.name}.ipynb")
    return solved


def _grade_both(assignment: Assignment, grade: GradeFolder, tried: Path, solved: Path, progress: ProgressListener) -> list[str]:
    """Grade the solutions and the stubs, and return what is wrong with their marks, one sentence each."""
    try:
        progress(2, STEPS, "grading the solutions")
        best = grade(solved)
        progress(3, STEPS, "grading the stubs")
        empty = grade(tried)
    except AutograderError as error:
        return [f"It could not be graded: {error}"]
    return [
        *_internal_errors(best, "the solutions", assignment.titles),
        *_internal_errors(empty, "the empty release", assignment.titles),
        *(
            f"The solutions get {task.score:g} of {task.max_score:g} points for {title_of(task.id, assignment.titles)}."
            for task in best.tasks
            if task.score != task.max_score
        ),
        *(
            f"The empty release gets {task.score:g} points for {title_of(task.id, assignment.titles)}."
            for task in empty.tasks
            if task.score != 0
        ),
    ]


def _internal_errors(result: SubmissionResult, graded: str, titles: Titles) -> list[str]:
    broken = [title_of(task.id, titles) for task in result.tasks if task.held]
    return [f"The checks of {title} ended in an internal error on {graded}." for title in broken]


def _refused(assignment: Assignment, problems: Sequence[str], remedy: str) -> ReleaseRefused:
    reasons = "".join(f"\n- {problem}" for problem in problems)
    return ReleaseRefused(
        f"The release of {assignment.name} is refused; release/{assignment.name} stays as it was:{reasons}\n", remedy
    )


def _put_in_place(new: Path, place: Path, old: Path) -> None:
    """Replace a folder by a new one; if that fails, the old one stays."""
    place.parent.mkdir(exist_ok=True)
    if place.exists():
        place.rename(old)
    try:
        new.rename(place)
    except OSError:
        if old.exists():
            old.rename(place)
        raise

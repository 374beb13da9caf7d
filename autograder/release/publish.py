"""From the instructor's solutions to what students get: build, look through, release."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from nbgrader.converters import GenerateAssignment

from autograder.course.assignment import MODULE, SELF_CHECK, Assignment, check_assignment
from autograder.course.course import Course
from autograder.errors import AssignmentError, AutograderError, ReleaseRefused
from autograder.release.leaks import check_release
from autograder.course.notebook import build_notebook
from autograder.course.solution_regions import stub_module
from autograder.release.requirements import imported_modules, student_requirements
from autograder.results import SubmissionResult
from autograder.files import write_whole
from autograder.gradebook.nbgrader_steps import StepFailed, course_directory, make_step, run_step
from autograder.progress import Watch, unwatched

STEPS = 5
"""Steps that `release` tells of."""
Grade = Callable[[Path], SubmissionResult]
REQUIREMENTS = "requirements.txt"
LOCK = "requirements.lock"


def build(root: Path, name: str) -> list[Path]:
    """Write `source/<name>/` from `solutions/<name>/`: notebook, stubbed module, and other files as they are.

    Modules beside these two are given ones, which the notebook, the module or another given one must import. Where
    the course has a requirements.lock, what the lab imports is pinned in a requirements.txt beside them.
    `source/<name>/` holds nothing but what this function makes: other files in it are removed, hidden ones
    excepted.

    Returns:
        The files, in order.

    Raises:
        AssignmentError: If the solutions cannot be built; nothing is written then.
    """
    target = root / "source" / name
    files = _built_files(root, name)
    for path in _visible_files(target):
        if path.relative_to(target).as_posix() not in files:
            path.unlink()
    for file, content in files.items():
        write_whole(target / file, content)
        (target / file).chmod(0o644)
    return [target / file for file in files]


def is_built(root: Path, name: str) -> list[str]:
    """Return how `source/<name>/` differs from a fresh build, one sentence each; empty if it does not."""
    target = root / "source" / name
    files = _built_files(root, name)
    there = {path.relative_to(target).as_posix(): path for path in _visible_files(target)}
    problems = [f"source/{name}/{file} is missing." for file in files if file not in there]
    problems += [f"source/{name}/{file} is not from solutions/{name}." for file in there if file not in files]
    both = [file for file in files if file in there]
    problems += [f"source/{name}/{file} is out of date." for file in both if there[file].read_bytes() != files[file]]
    return problems


def release(course: Course, assignment: Assignment, grade: Grade, watch: Watch = unwatched) -> Path:
    """Make `release/<name>/` with nbgrader and register its cells and points in the gradebook.

    Both happen only if nothing secret is in the release, the solutions get all automatic points, and the stubs get
    none. Otherwise the old release and the gradebook stay as they are.

    Args:
        course: The course.
        assignment: The assignment, built.
        grade: Grades a submission folder.
        watch: Hears how far it is.

    Returns:
        The release folder.

    Raises:
        ReleaseRefused: With every reason, and what to do.
    """
    with _scratch(course) as scratch:
        problems = is_built(course.root, assignment.name)
        if problems:
            raise _refused(assignment, problems, f"Run: python -m autograder build --assignment {assignment.name}")
        watch(0, STEPS, "making it on trial")
        tried = _generate(course, assignment, scratch / "tried", f"sqlite:///{scratch.resolve() / 'trial.db'}")
        watch(1, STEPS, "looking for leaks")
        problems = _static_problems(assignment, tried)
        watch(2, STEPS, "grading the solutions")
        best = _graded(grade, _solved(assignment, tried, scratch))
        watch(3, STEPS, "grading the stubs")
        problems += _grading_problems(best, best if isinstance(best, str) else _graded(grade, tried))
        if problems:
            raise _refused(assignment, problems, "Fix the sources, build again, and release again.")
        watch(4, STEPS, "registering it in the gradebook")
        _swap(_generate(course, assignment, scratch / "new", None), assignment.release_dir, scratch)
        watch(STEPS, STEPS, "")
    return assignment.release_dir


def _built_files(root: Path, name: str) -> dict[str, bytes]:
    folder = root / "solutions" / name
    script, module = folder / f"{name}.py", folder / f"{MODULE}.py"
    for path in (script, module):
        if not path.is_file():
            check_assignment(root, name)
            raise AssignmentError(f"No {path}.", "An assignment has a notebook script and a solved module.")
    sources = _sources(folder, (script, module))
    files = {
        f"{name}.ipynb": build_notebook(sources[name]),
        f"{MODULE}.py": stub_module(sources[MODULE]).encode(),
    }
    for path in _visible_files(folder):
        file = path.relative_to(folder).as_posix()
        if path.suffix == ".py" and file != SELF_CHECK and (path.parent != folder or path.stem not in sources):
            raise AssignmentError(
                f"Neither the notebook nor the module imports solutions/{name}/{file}, so students must not get it.",
                f"Import it in {MODULE}.py if it is a module that students are given; else put it elsewhere.",
            )
        if path not in (script, module):
            files[file] = path.read_bytes()
    if (root / LOCK).is_file():
        files[REQUIREMENTS] = student_requirements((root / LOCK).read_text("utf-8"), sources).encode()
    return files


def _sources(folder: Path, start: Sequence[Path]) -> dict[str, str]:
    """Return the texts of these files and of the modules beside them that they import, directly or not, by name."""
    sources: dict[str, str] = {}
    waiting = list(start)
    while waiting:
        path = waiting.pop()
        if path.stem not in sources and path.is_file():
            sources[path.stem] = path.read_text("utf-8")
            waiting += (folder / f"{module}.py" for module in imported_modules(sources[path.stem]))
    return sources


def _visible_files(folder: Path) -> list[Path]:
    def hidden(path: Path) -> bool:
        parts = path.relative_to(folder).parts
        return "__pycache__" in parts or any(part.startswith(".") for part in parts)

    return sorted(path for path in folder.rglob("*") if path.is_file() and not hidden(path))


@contextmanager
def _scratch(course: Course) -> Iterator[Path]:
    course.state_dir.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=course.state_dir, prefix="release-") as name:
        yield course.state_dir / Path(name).name


def _generate(course: Course, assignment: Assignment, step: Path, db_url: str | None) -> Path:
    """Let nbgrader make the release below `step`, registering it in the course's gradebook or another one."""
    place = step.relative_to(course.root).as_posix()
    traits = {"release_directory": place} | ({"db_url": db_url} if db_url else {})
    coursedir = course_directory(course, assignment.name, **traits)
    try:
        run_step(make_step(GenerateAssignment, course, coursedir))
    except StepFailed as error:
        raise _refused(
            assignment,
            [f"nbgrader could not make it: {error}"],
            "Where students have already been graded, cells can no longer be added or removed.",
        ) from error
    return Path(coursedir.format_path(place, ".", assignment.name))


def _static_problems(assignment: Assignment, tried: Path) -> list[str]:
    module = (assignment.solution_dir / f"{MODULE}.py").read_text("utf-8")
    given = [path.read_text("utf-8") for path in assignment.given_modules]
    return check_release(module, given, assignment.notebook_path.read_bytes(), assignment.checks_dir, tried)


def _solved(assignment: Assignment, tried: Path, scratch: Path) -> Path:
    """Return a copy of the release with the solutions in it."""
    solved = scratch / "solved"
    shutil.copytree(tried, solved)
    shutil.copyfile(assignment.solution_dir / f"{MODULE}.py", solved / f"{MODULE}.py")
    shutil.copyfile(assignment.notebook_path, solved / f"{assignment.name}.ipynb")
    return solved


def _graded(grade: Grade, folder: Path) -> SubmissionResult | str:
    """Return a folder's result, or why there is none."""
    try:
        return grade(folder)
    except AutograderError as error:
        return f"It could not be graded: {error}"


def _grading_problems(best: SubmissionResult | str, empty: SubmissionResult | str) -> list[str]:
    if isinstance(best, str) or isinstance(empty, str):
        return [text for text in (best, empty) if isinstance(text, str)][:1]
    return [
        *_errors(best, "the solutions"),
        *_errors(empty, "the empty release"),
        *(
            f"The solutions get {task.score:g} of {task.max_score:g} points for {task.id}."
            for task in best.tasks
            if task.score != task.max_score
        ),
        *(f"The empty release gets {task.score:g} points for {task.id}." for task in empty.tasks if task.score != 0),
    ]


def _errors(result: SubmissionResult, what: str) -> list[str]:
    return [f"The checks of {task.id} stopped with an error on {what}." for task in result.tasks if task.has_error]


def _refused(assignment: Assignment, problems: list[str], remedy: str) -> ReleaseRefused:
    reasons = "".join(f"\n- {problem}" for problem in problems)
    return ReleaseRefused(
        f"The release of {assignment.name} is refused; release/{assignment.name} stays as it was:{reasons}\n", remedy
    )


def _swap(new: Path, place: Path, scratch: Path) -> None:
    """Put a folder in another one's place; the old one stays if that fails."""
    old = scratch / "old"
    place.parent.mkdir(exist_ok=True)
    if place.exists():
        place.rename(old)
    try:
        new.rename(place)
    except OSError:
        if old.exists():
            old.rename(place)
        raise

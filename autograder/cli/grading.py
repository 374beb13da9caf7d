"""Commands that grade: `check` one submission, `grade` a class and record its marks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from autograder.cli.arguments import INSTEAD, Argument, Options
from autograder.cli.course import name_misplaced, name_untimed, open_course, sandbox_word, submitted_folder
from autograder.cli.marks_over_time import show_preview
from autograder.cli.output import complain, err, marks_table, out, print_table, write_json, write_record
from autograder.cli.progress_bar import shown
from autograder.course.assignment import MODULE, Assignment
from autograder.course.course import Course
from autograder.course.submission import read_submission
from autograder.errors import AutograderError, UsageError
from autograder.text import Titles, printable, title_of

if TYPE_CHECKING:
    from autograder.batch.batch import Workers
    from autograder.batch.outcome import GradedSubmission
    from autograder.gradebook.transactions import Recorded
    from autograder.results import TaskResult

MOST_SHOWN = 200
"""Students, and failures, that are listed after grading; what more there are is counted."""


@dataclass(frozen=True, kw_only=True)
class SandboxOptions(Options):
    """What commands take that run student code."""

    sandbox: Annotated[
        str | None,
        Argument(
            "none runs student code unconfined: only for code you trust; every result says so",
            "required|none",
            read=sandbox_word,
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class CheckOptions(SandboxOptions):
    """What `check` takes."""

    path: Annotated[
        Path,
        Argument(
            "a folder or a zip file with utilities.py and the notebook, or one of the two files",
            "PATH",
            positional=True,
        ),
    ]
    json: Annotated[Path | None, Argument(f"also write the result as JSON; {INSTEAD}", "FILE")] = None
    html: Annotated[Path | None, Argument("also write the page that students read", "FILE")] = None


@dataclass(frozen=True, kw_only=True)
class GradeOptions(SandboxOptions):
    """What `grade` takes."""

    students: Annotated[Sequence[str], Argument("only these", "STUDENT", positional=True)] = ()
    submitted: Annotated[Path | None, Argument("folders <student>/<assignment>/; default submitted/", "DIR")] = None
    json: Annotated[Path | None, Argument("also write <student>.json there; - prints the marks as JSON", "DIR")] = None
    no_record: Annotated[bool, Argument("leave the gradebook alone")] = False
    preview: Annotated[bool, Argument("say whose marks would change and why; record nothing")] = False
    jobs: Annotated[int, Argument("submissions graded at once; 0 chooses", "N")] = 0
    cluster: Annotated[str | None, Argument("grade on the workers of this Dask scheduler", "ADDRESS")] = None


def check(options: CheckOptions) -> int:
    """Grade one submission and print the result."""
    from autograder.batch.misplaced import in_folder
    from autograder.grading.gpu import UNUSED, may_use_gpu
    from autograder.grading.result_store import checked, grader_for
    from autograder.rendering.result_text import render_text
    from autograder.results import to_json

    course, name = open_course(options, options.sandbox)
    assignment = course.assignment(name)
    titles = assignment.titles
    grader = grader_for(course, name)
    with closing(grader), shown("checking", err, quiet=options.quiet, alike=False) as progress:
        progress(0, 1, str(options.path))
        result = checked(grader, course.assignment(name), options.path, course.settings)
    if options.html:
        from autograder.feedback.page import render_page, result_page
        from autograder.files import write_whole

        write_whole(options.html, render_page(result_page(assignment.title, result, titles)).encode("utf-8", "replace"))
    out.print(render_text(result, titles), end="")
    own = (f"{name}.ipynb", f"{MODULE}.py")
    if not any((options.path / file).exists() for file in own) and (hint := in_folder(options.path, name)):
        complain(hint)
    write_json(options, to_json(result))
    if may_use_gpu(course.settings) and result.environment.ran_on_cpu:
        complain(UNUSED)
    return 1 if result.has_error else 0


def grade(options: GradeOptions) -> int:
    """Grade submissions, write and record their results one by one, and print the marks."""
    from autograder.batch.batch import discover, grade_all
    from autograder.batch.outcome import write_json as write_results
    from autograder.files import two_folders
    from autograder.grading.gpu import UNUSED

    if options.jobs < 0:
        raise UsageError(f"--jobs must be 0 or more, got {options.jobs}.")
    course, name = open_course(options, options.sandbox)
    assignment = course.assignment(name)
    folders = discover(submitted_folder(course, options.submitted), name, options.students)
    if not options.no_record:
        folders = _ready_to_record(course, assignment, folders)
    run = _Run(folders, assignment.titles, keep_all=options.prints_json)
    with (
        _workers(options, course, assignment, len(folders)) as workers,
        shown("grading", err, quiet=options.quiet) as progress,
    ):
        progress(0, len(folders), run.next_student)
        submissions = grade_all(course, assignment, folders, workers)
        if options.json and not options.prints_json:
            submissions = write_results(submissions, options.json)
        if options.preview or not options.no_record:
            from autograder.batch.recording_line import record_each

            submissions = record_each(course, assignment, submissions, preview=options.preview, jobs=options.jobs)
        for graded in submissions:
            run.add(graded, handed_in_again=_is_outdated(course, assignment, graded))
            progress(run.done, len(folders), run.next_student, free=run.cached)
    if options.preview:
        show_preview(options, assignment, run.recorded, run.submissions)
    else:
        _print_marks(options, assignment, run)
    _print_problems(run)
    name_misplaced(submitted_folder(course, options.submitted), name)
    if workers.gpu and run.ran_on_cpu:
        complain(UNUSED)
    left_out = () if options.students else two_folders(submitted_folder(course, options.submitted), name)
    return 1 if (run.failures or left_out) and not options.preview else 0


def _ready_to_record(course: Course, assignment: Assignment, folders: Mapping[str, Path]) -> dict[str, Path]:
    """Refuse to grade what could not be recorded, and return the folders by the gradebook's names.

    Raises:
        ConfigError: If the course's late policy cannot be used.
        RecordingError: If the gradebook cannot be used, or does not know the assignment.
    """
    from autograder.deadlines.late_policy import late_policy
    from autograder.gradebook.class_marks import known_names
    from autograder.gradebook.database import check_registered, transaction
    from autograder.gradebook.nbgrader_steps import course_directory

    late_policy(course.nbgrader)
    with transaction(course_directory(course, assignment.name)) as book:
        check_registered(book, assignment.name)
    names = known_names(course, assignment.name, folders)
    return {names[student]: folder for student, folder in folders.items()}


def _workers(
    options: GradeOptions, course: Course, assignment: Assignment, submissions: int
) -> AbstractContextManager[Workers]:
    """Return where submissions are graded: on the cluster that is named, or on this machine."""
    if options.cluster is None:
        from autograder.batch.local_workers import LocalWorkers

        return nullcontext(LocalWorkers(course, assignment.name, options.jobs, submissions))
    if options.jobs:
        raise UsageError("--jobs is for this machine; on a cluster each worker grades one submission at a time.")
    from autograder.batch.dask_workers import cluster_workers

    return cluster_workers(options.cluster, course, assignment)


def _is_outdated(course: Course, assignment: Assignment, graded: GradedSubmission) -> bool:
    """Return whether something else was handed in while a submission was graded."""
    if graded.snapshot is None or graded.cached:
        return False
    try:
        now = read_submission(graded.folder, assignment.name, course.settings)
    except (AutograderError, OSError):  # gone, or something else stands there
        return True
    return now.digest != graded.snapshot.digest


class _Run:
    """What is shown of a run of `grade`, however many are graded.

    Args:
        students: All of them, in order.
        titles: The tasks' titles.
        keep_all: Whether the table is to hold all of them, not only those that are shown.

    Attributes:
        failures: A line for each submission without a full result.
        handed_in_again: Whose submission was replaced while it was graded.
        untimed: Of whose submission nobody knows whether it was late.
        cached: How many results were there before.
        ran_on_cpu: Whether a submission was graded now, on the CPU.
        recorded: What changed in the gradebook, or would change, by student.
    """

    def __init__(self, students: Iterable[str], titles: Titles, *, keep_all: bool) -> None:
        self._titles = titles
        self.failures: list[str] = []
        self.handed_in_again: list[str] = []
        self.untimed: list[str] = []
        self.cached = 0
        self.ran_on_cpu = False
        self.recorded: dict[str, Recorded] = {}
        self._waiting = OrderedDict.fromkeys(students)  # its first key is found at once, however many went before
        self.submissions = len(self._waiting)
        shown_students = self._waiting if keep_all else islice(self._waiting, MOST_SHOWN)
        self._rows: dict[str, GradedSubmission | None] = dict.fromkeys(shown_students)

    @property
    def done(self) -> int:
        """How many submissions were added."""
        return self.submissions - len(self._waiting)

    @property
    def next_student(self) -> str:
        """The first student whose submission is not graded yet; empty at the end."""
        return printable(next(iter(self._waiting), ""))

    @property
    def rows(self) -> list[GradedSubmission]:
        """The submissions of the table that were added, in the students' order."""
        return [row for row in self._rows.values() if row is not None]

    def add(self, graded: GradedSubmission, *, handed_in_again: bool) -> None:
        """Add one submission that is done."""
        if handed_in_again:
            self.handed_in_again.append(graded.student)
        del self._waiting[graded.student]
        self.cached += graded.cached
        if graded.recorded is not None:
            self.recorded[graded.student] = graded.recorded
        if graded.result is not None and not graded.cached:
            self.ran_on_cpu |= graded.result.environment.ran_on_cpu
        if graded.untimed:
            self.untimed.append(graded.student)
        if graded.student in self._rows:
            self._rows[graded.student] = replace(graded, snapshot=None)  # which may be large
        if failure := _failure(graded, self._titles):
            self.failures.append(f"{printable(graded.student)}: {failure}")


def _failure(graded: GradedSubmission, titles: Titles) -> str:
    """Return why a submission has no full result; empty if it has."""
    if graded.error is not None:
        return f"{graded.error} Its mark is for an earlier hand-in." if graded.has_earlier_mark else str(graded.error)
    held = [title_of(task.id, titles) for task in _held_tasks(graded)]
    if held:
        return f"held: {', '.join(held)}. A check ended in an internal error; fix it and grade again, or mark by hand."
    return ""


def _held_tasks(graded: GradedSubmission) -> list[TaskResult]:
    return [task for task in graded.result.tasks if task.held] if graded.result else []


def _print_marks(options: GradeOptions, assignment: Assignment, run: _Run) -> None:
    """Print the table of marks, or all of it as JSON."""
    rows = run.rows[:MOST_SHOWN]
    print_table(marks_table(assignment, rows))
    if any(task.carried_forward for row in rows if row.result for task in row.result.tasks):
        out.print("* checked with a correct earlier part in place of the student's")
    if any(_held_tasks(row) for row in rows):
        out.print("! held: a check ended in an internal error, and the task waits for you")
    if run.submissions > MOST_SHOWN:
        places = [] if options.no_record else ["the gradebook (python -m autograder export csv)"]
        places += [str(options.json)] if options.json else []
        where = " and in ".join(places) or "what --json DIR writes"
        out.print(f"{MOST_SHOWN:,} of {run.submissions:,} students; the marks of all are in {where}.")
    if options.prints_json:
        write_record(options, _marks_record(options, assignment, run.rows))


def _print_problems(run: _Run) -> None:
    """Print what went wrong, and who must be graded again."""
    for failure in run.failures[:MOST_SHOWN]:
        complain(failure)
    if len(run.failures) > MOST_SHOWN:
        complain(f"{len(run.failures) - MOST_SHOWN} more ended in an error. Fix what is named, then grade again.")
    name_untimed(run.untimed)
    if run.handed_in_again:
        names = ", ".join(printable(student) for student in run.handed_in_again)
        complain(f"handed in again while they were graded: {names}. To grade the new work, run the same command again.")


def _marks_record(options: GradeOptions, assignment: Assignment, rows: Sequence[GradedSubmission]) -> dict[str, object]:
    """Return what `grade --json -` prints: the table of marks."""
    students = [
        {
            "student": printable(row.student),
            "score": row.result and row.result.score,
            "tasks": {task.id: task.score for task in row.result.tasks} if row.result else {},
            "error": _failure(row, assignment.titles) or None,
        }
        | ({"untimed": True} if row.untimed else {})
        | ({"held": [task.id for task in _held_tasks(row)]} if _held_tasks(row) else {})
        for row in rows
    ]
    return {
        "schema": 1,
        "command": options.command,
        "assignment": assignment.name,
        "max_score": assignment.max_score,
        "tasks": {task.id: task.points for task in assignment.tasks},
        "students": students,
    }

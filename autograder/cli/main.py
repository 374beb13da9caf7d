"""The command line: `python -m autograder COMMAND`. Each command is a thin call into the package.

Exit status: 0 done, 1 an error of ours or of the machine, 2 wrong usage. Standard output holds what a command found or
made, standard error what went wrong and how far it is. `--json` writes the same for programs, `--quiet` leaves the
text and the progress away.
"""

from __future__ import annotations

import argparse
import dataclasses
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from autograder.cli.arguments import read_words
from autograder.cli.progress_bar import shown
from autograder.cli.tables import marks_table, printable, similarity_table
from autograder.course.assignment import Assignment
from autograder.course.course import Course, find_root, read_course
from autograder.errors import AutograderError, ConfigError, UsageError
from autograder.progress import run_of

if TYPE_CHECKING:
    from autograder.batch.batch import Workers
    from autograder.batch.outcome import GradedSubmission
    from autograder.marks import ClassMarks

out = Console(soft_wrap=True, highlight=False, markup=False)
SHOWN = 200
"""Students, and failures, that are listed after grading; what more there are is counted."""
err = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status.

    Args:
        words: The command line without the program's name; by default the process's own.
    """
    options = read_words(sys.argv[1:] if words is None else words)
    out.quiet = options.quiet or _prints_json(options)
    try:
        return COMMANDS[options.command](options)
    except (UsageError, ConfigError) as error:
        _complain(str(error))
        return 2
    except AutograderError as error:
        _complain(str(error))
    except ImportError as error:
        _complain(f"{error}. {_import_remedy()}")
    except OSError as error:
        _complain(f"{error}. What was recorded so far stays. Fix that, then run the same command again.")
    except KeyboardInterrupt:
        _complain("interrupted; what was recorded so far stays. Run the same command again to go on.")
    return 1


def _complain(text: str) -> None:
    err.print(Text.assemble(("autograder:", "bold red"), f" {text}"))


def _import_remedy() -> str:
    if platform.system() == "Linux":
        return "Run: make install"
    return f"This needs Linux, and this is {platform.system()}: use Linux, a virtual machine, or WSL 2 on Windows."


def _course(options: argparse.Namespace) -> tuple[Course, str]:
    course = read_course(find_root(options.course))
    if getattr(options, "sandbox", None):
        settings = dataclasses.replace(course.settings, sandbox=options.sandbox)
        course = dataclasses.replace(course, settings=settings)
    if course.settings.sandbox == "none":
        _complain("--sandbox none: student code runs unconfined.")
    return course, options.assignment or course.settings.assignment


def _prints_json(options: argparse.Namespace) -> bool:
    """Return whether JSON takes the place of the text."""
    return str(getattr(options, "json", "")) == "-"


def _write_json(options: argparse.Namespace, content: bytes) -> None:
    """Write what `--json` asks for, if it does."""
    from autograder.files import write_whole

    if _prints_json(options):
        sys.stdout.write(content.decode())
    elif options.json:
        write_whole(options.json, content)


def _finish(options: argparse.Namespace, name: str, wrote: Sequence[Path], **further: object) -> None:
    """Write the record of a command that writes files."""
    files = [str(path.absolute()) for path in wrote]
    _write_json(options, _json({"schema": 1, "command": options.command, "assignment": name, "wrote": files} | further))


def _json(record: object) -> bytes:
    import msgspec

    return bytes(msgspec.json.format(msgspec.json.encode(record), indent=2)) + b"\n"


def _build(options: argparse.Namespace) -> int:
    from autograder.release.build import build

    course, name = _course(options)
    paths = build(course.root, name)
    for path in paths:
        out.print(f"built {path.relative_to(course.root)}")
    _finish(options, name, paths)
    return 0


def _release(options: argparse.Namespace) -> int:
    from autograder.grading.result_store import grader_for
    from autograder.release.publish import release

    course, name = _course(options)
    assignment = course.assignment(name)
    with shown("releasing", err, quiet=options.quiet, alike=False) as watch:
        folder = release(course, assignment, grader_for(course, name).grade, watch)
    out.print(f"released {folder.relative_to(course.root)}: the solutions get full marks, the stubs 0, nothing leaks.")
    _finish(options, name, sorted(path for path in folder.rglob("*") if path.is_file()))
    return 0


def _check(options: argparse.Namespace) -> int:
    from autograder.feedback.page import render_page, result_page
    from autograder.files import write_whole
    from autograder.grading.result_store import grader_for, read_for_check
    from autograder.rendering.result_text import render_text
    from autograder.results import to_json

    course, name = _course(options)
    titles = course.assignment(name).titles
    grader = grader_for(course, name)
    snapshot = read_for_check(options.path, name, course.settings)
    with closing(grader), shown("checking", err, quiet=options.quiet, alike=False) as watch:
        watch(0, 1, str(options.path))
        result = grader.grade_snapshot(snapshot)
    if options.html:
        write_whole(options.html, render_page(result_page(result, titles)).encode("utf-8", "replace"))
    out.print(render_text(result, titles), end="")
    _write_json(options, to_json(result))
    return 1 if result.has_error else 0


def _grade(options: argparse.Namespace) -> int:
    from autograder.batch.batch import discover, grade_all
    from autograder.batch.outcome import write_json

    course, name = _course(options)
    if options.jobs < 0:
        raise UsageError(f"--jobs must be 0 or more, got {options.jobs}.")
    assignment = course.assignment(name)
    folders = discover(options.submitted or course.root / "submitted", name, options.students)
    run = _Run(folders, whole=_prints_json(options))
    with (
        _workers(options, course, assignment, len(folders)) as workers,
        shown("grading", err, quiet=options.quiet) as watch,
    ):
        watch(0, len(folders), printable(run.waiting()))
        done = grade_all(course, assignment, folders, workers)
        for graded in write_json(done, options.json) if options.json and not _prints_json(options) else done:
            run.add(_keep(options, course, assignment, graded))
            watch(len(run.done), len(folders), printable(run.waiting()), free=run.kept)
    rows = [one for one in run.rows.values() if one]
    _print_table(marks_table(assignment, rows[:SHOWN]))
    if any(task.carried_forward for row in rows[:SHOWN] if row.result for task in row.result.tasks):
        out.print("* checked with a correct earlier part in place of the student's")
    if len(folders) > SHOWN:
        out.print(_where_all_are(options, len(folders)))
    if _prints_json(options):
        _write_json(options, _json(_marks_record(options, assignment, rows)))
    for line in run.failures[:SHOWN]:
        _complain(line)
    if len(run.failures) > SHOWN:
        _complain(f"{len(run.failures) - SHOWN} more ended in an error. Fix what is named, then grade again.")
    return 1 if run.failures else 0


class _Run:
    """What is told of a run of `grade`, however many are graded: rows of the table, failures, whose turn it is.

    Args:
        folders: All submissions, in order.
        whole: Whether every row is kept, not only those that are shown.
    """

    def __init__(self, folders: Mapping[str, Path], *, whole: bool) -> None:
        self.rows: dict[str, GradedSubmission | None] = dict.fromkeys(folders if whole else islice(folders, SHOWN))
        self.failures: list[str] = []
        self.done: set[str] = set()
        self.kept = 0
        self._next = iter(folders)
        self._waiting = next(self._next, "")

    def add(self, one: GradedSubmission) -> None:
        """Hear of one submission."""
        if one.student in self.rows:
            self.rows[one.student] = one
        if _failure(one):
            self.failures.append(f"{printable(one.student)}: {_failure(one)}")
        self.done.add(one.student)
        self.kept += one.cached

    def waiting(self) -> str:
        """Return the first student whose submission is not graded yet."""
        while self._waiting in self.done:
            self._waiting = next(self._next, "")
        return self._waiting


def _workers(
    options: argparse.Namespace, course: Course, assignment: Assignment, count: int
) -> AbstractContextManager[Workers]:
    from autograder.batch.dask_workers import cluster_workers
    from autograder.batch.local_workers import LocalWorkers

    if options.cluster is not None and options.jobs:
        raise UsageError("--jobs is for this machine; on a cluster each worker grades one submission at a time.")
    if options.cluster is not None:
        return cluster_workers(options.cluster, course, assignment)
    return nullcontext(LocalWorkers(course, assignment.name, options.jobs, count))


def _where_all_are(options: argparse.Namespace, count: int) -> str:
    places = [] if options.no_record else ["the gradebook (python -m autograder export csv)"]
    places += [str(options.json)] if options.json else []
    where = " and in ".join(places) or "what --json DIR writes"
    return f"{SHOWN:,} of {count:,} students; the marks of all stand in {where}."


def _print_table(table: Table) -> None:
    """Print a table that stays readable where the terminal is narrow: it is wrapped, not cut."""
    needed = Measurement.get(out, out.options.update(max_width=sys.maxsize), table).maximum
    Console(width=max(out.width, needed), markup=False, highlight=False, quiet=out.quiet).print(table)


def _failure(graded: GradedSubmission) -> str:
    """Return why a submission has no full result; empty if it has."""
    if graded.error is not None:
        return str(graded.error)
    error = graded.result is not None and graded.result.has_error
    return "a check of ours ended in an error; it cost no points (see the feedback)" if error else ""


def _marks_record(
    options: argparse.Namespace, assignment: Assignment, rows: Sequence[GradedSubmission]
) -> dict[str, object]:
    """Return what `grade --json -` prints: the table of marks."""
    students = [
        {
            "student": printable(row.student),
            "score": row.result and row.result.score,
            "tasks": {task.id: task.score for task in row.result.tasks} if row.result else {},
            "error": _failure(row) or None,
        }
        for row in rows
    ]
    points = {task.id: task.points for task in assignment.tasks}
    record = {"schema": 1, "command": options.command, "assignment": assignment.name}
    return record | {"max_score": assignment.max_score, "tasks": points, "students": students}


def _keep(
    options: argparse.Namespace, course: Course, assignment: Assignment, graded: GradedSubmission
) -> GradedSubmission:
    """Record one result; the batch goes on where that fails."""
    from autograder.gradebook.recording import forget, record

    if options.no_record:
        return graded
    try:
        if graded.result is None:
            forget(course, assignment, graded.student)
        else:
            record(course, assignment, graded.student, graded.folder, graded.result)
    except AutograderError as error:
        return dataclasses.replace(graded, error=error)
    except OSError as error:
        return dataclasses.replace(graded, error=AutograderError(f"{error}.", "Fix that, then grade again."))
    return graded


def _feedback(options: argparse.Namespace) -> int:
    from autograder.feedback.exporter import write_feedback

    course, name = _course(options)
    assignment = course.assignment(name)
    with shown("feedback", err, quiet=options.quiet) as watch:
        paths = write_feedback(course, assignment, options.students or None, watch)
    for path in paths:
        out.print(f"wrote {path.relative_to(course.root)} and feedback.html beside it")
    _finish(options, name, paths)
    return 0


def _class(options: argparse.Namespace) -> tuple[Course, Assignment, dict[str, Path], ClassMarks]:
    """Return the course, the submissions that are there, and everyone's marks."""
    from autograder.batch.batch import discover
    from autograder.gradebook.class_marks import class_marks
    from autograder.grading.class_results import read_results, stored_results

    course, name = _course(options)
    assignment = course.assignment(name)
    try:
        folders = discover(options.submitted or course.root / "submitted", name)
    except UsageError:
        if options.submitted:
            raise
        folders = {}
    if options.results:
        results = read_results(options.results, name)
    else:
        results = stored_results(course, assignment, folders)
    marks = class_marks(course, assignment, results)
    if not marks.students:
        _complain(f"nobody has marks of {name} yet. Run: python -m autograder grade")
    return course, assignment, folders, marks


def _report(options: argparse.Namespace) -> int:
    from autograder.reports.class_report import write_report
    from autograder.reports.similarity import similar_pairs

    course, assignment, folders, marks = _class(options)
    with shown("comparing", err, quiet=options.quiet) as watch:
        pairs = similar_pairs(course, assignment, folders, watch=watch)
    folder = options.to or course.root / "report" / assignment.name
    paths = write_report(marks, pairs, datetime.now().astimezone(), folder)
    for path in paths:
        out.print(f"wrote {path}")
    _finish(options, assignment.name, paths)
    return 0


def _export(options: argparse.Namespace) -> int:
    from autograder.exports.formats import check_format, export, write_export

    check_format(options.format, options.fill)
    if str(options.to) == "-" and _prints_json(options):
        raise UsageError("--to - and --json - cannot both print.", "Give one of them a file or a folder.")
    course, assignment, folders, marks = _class(options)
    made = export(marks, options.format, options.column, options.fill, folders)
    paths: list[Path] = []
    if str(options.to) == "-":
        sys.stdout.write("".join(content.decode() for content in made.files.values()))
    else:
        paths = write_export(made, options.to or course.root / "exports" / assignment.name)
        for path in paths:
            out.print(f"wrote {path}")
    if made.left_out:
        _complain(f"{options.fill} does not name: {', '.join(made.left_out)}. They are left out.")
    waiting = sum(bool(one.waiting) for one in marks.students)
    if waiting:
        _complain(f"{waiting} submissions wait for a person; their marks are as of now.")
    _finish(options, assignment.name, paths, left_out=made.left_out, waiting=waiting)
    return 1 if made.left_out else 0


def _similarity(options: argparse.Namespace) -> int:
    from autograder.batch.batch import discover
    from autograder.reports.similarity import similar_pairs

    course, name = _course(options)
    if not 0 <= options.least <= 1:
        raise UsageError(f"--least must be from 0 to 1, got {options.least:g}.")
    folders = discover(options.submitted or course.root / "submitted", name)
    assignment = course.assignment(name)
    with shown("comparing", err, quiet=options.quiet) as watch:
        pairs = similar_pairs(course, assignment, folders, options.least, watch)
    out.print(f"{name}: {len(pairs)} pairs of {len(folders)} submissions are at least {options.least:.0%} alike")
    if pairs:
        _print_table(similarity_table(pairs))
    _write_json(options, _json(pairs))
    return 0


def _audit(options: argparse.Namespace) -> int:
    from autograder.audit.audit import Scope, audit
    from autograder.audit.records import Audit
    from autograder.audit.render import audit_json, render_audit
    from autograder.audit.stability import render_stability, repeat, seeds_of
    from autograder.audit.worker import Subject

    course, name = _course(options)
    assignment = course.assignment(name)
    for task in options.tasks:
        assignment.task(task)
    if options.seeds < 1 or options.repeat < 1:
        raise UsageError("--seeds and --repeat must be 1 or more.")
    folder = options.corpus or course.root / "tests" / "submissions"
    scope = Scope(options.tasks, options.own, options.jobs)
    seeds = seeds_of(options.seed, options.seeds, options.repeat)
    with shown("auditing", err, quiet=options.quiet) as watch:

        def run(seed: bytes, number: int) -> Audit:
            subject = Subject(course, name, folder, seed)
            return audit(subject, scope, run_of(number, len(seeds), watch))

        found, stability = repeat(run, seeds)
    out.print(render_audit(found, matrix=options.matrix), end="")
    if stability.runs > 1:
        out.print(render_stability(stability), end="")
    _write_json(options, audit_json(found))
    return 0 if found.is_as_expected and not stability.unstable else 1


def _doctor(options: argparse.Namespace) -> int:
    from autograder.cli.doctor import examine

    findings = []
    for one in examine(options.course, options.assignment):
        findings.append(one)
        mark, style = ("ok  ", "green") if one.good else ("MISS", "bold red") if one.needed else ("no  ", "yellow")
        remedy = f"\n       {one.remedy}" if one.remedy else ""
        out.print(Text.assemble((mark, style), f" {one.name}: {one.found}{remedy}"))
    _write_json(options, _json(findings))
    return 1 if any(one.needed and not one.good for one in findings) else 0


COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "build": _build,
    "release": _release,
    "check": _check,
    "grade": _grade,
    "feedback": _feedback,
    "report": _report,
    "export": _export,
    "similarity": _similarity,
    "audit": _audit,
    "doctor": _doctor,
}

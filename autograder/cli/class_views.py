"""Commands that show a class: `mark`, `feedback`, `report` and `similarity`."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from autograder.cli.arguments import INSTEAD, Argument, Options
from autograder.cli.course import name_misplaced, open_course, submitted_folder
from autograder.cli.output import complain, err, out, print_table, similarity_table, write_paths, write_record
from autograder.cli.progress_bar import shown
from autograder.course.assignment import Assignment
from autograder.course.course import Course
from autograder.errors import UsageError

if TYPE_CHECKING:
    from autograder.marks import ClassMarks


@dataclass(frozen=True, kw_only=True)
class MarkOptions(Options):
    """What `mark` takes."""

    port: Annotated[int, Argument("serve on this port; by default on any free one", "NUMBER")] = 0
    no_browser: Annotated[bool, Argument("open no browser; print the address alone")] = False


@dataclass(frozen=True, kw_only=True)
class FeedbackOptions(Options):
    """What `feedback` takes."""

    students: Annotated[Sequence[str], Argument("only these", "STUDENT", positional=True)] = ()


@dataclass(frozen=True, kw_only=True)
class ClassOptions(Options):
    """What commands take that show everyone's marks."""

    submitted: Annotated[Path | None, Argument("folders <student>/<assignment>/", "DIR")] = None
    results: Annotated[
        Path | None, Argument("take the results that grade --json wrote, not the cached ones", "DIR")
    ] = None


@dataclass(frozen=True, kw_only=True)
class ReportOptions(ClassOptions):
    """What `report` takes."""

    to: Annotated[Path | None, Argument("by default report/<assignment>/", "DIR")] = None


@dataclass(frozen=True, kw_only=True)
class SimilarityOptions(Options):
    """What `similarity` takes."""

    json: Annotated[Path | None, Argument(f"also write the pairs, with lines, as JSON; {INSTEAD}", "FILE")] = None
    submitted: Annotated[Path | None, Argument("folders <student>/<assignment>/", "DIR")] = None
    least: Annotated[float, Argument("only pairs from here on, 0 to 1", "SHARE")] = 0.4


@dataclass(frozen=True)
class OpenedClass:
    """A course's assignment, the submissions that are there, and everyone's marks."""

    course: Course
    assignment: Assignment
    folders: dict[str, Path]
    marks: ClassMarks


def mark(options: MarkOptions) -> int:
    """Serve the page on which people mark, until they stop it."""
    from autograder.marking.desk import open_desk
    from autograder.marking.serving.server import serve

    course, name = open_course(options)

    def ready(address: str) -> None:
        write_record(options, {"schema": 1, "command": options.command, "assignment": name, "address": address})
        out.print(f"Mark here: {address}")
        out.print(
            "Only this machine reaches it, and only with this address. Ctrl-C ends it; what is marked is recorded."
        )
        if not options.no_browser:
            webbrowser.open(address)

    serve(open_desk(course, name), options.port, ready)
    return 0


def open_class(options: ClassOptions) -> OpenedClass:
    """Read everyone's marks; submissions may be gone, unless the folder was named."""
    from autograder.batch.batch import discover
    from autograder.batch.class_results import read_results, stored_results
    from autograder.batch.penalties import note_penalties
    from autograder.gradebook.class_marks import class_marks, known_names

    course, name = open_course(options)
    assignment = course.assignment(name)
    try:
        folders = discover(submitted_folder(course, options.submitted), name)
    except UsageError:
        if options.submitted:
            raise
        folders = {}
    name_misplaced(submitted_folder(course, options.submitted), name)
    names = known_names(course, name, folders)
    folders = {names[student]: folder for student, folder in folders.items()}
    if options.results:
        results = read_results(options.results, name)
    else:
        results = stored_results(course, assignment, folders)
    note_penalties(course, name, options.command)
    marks = class_marks(course, assignment, results)
    if not marks.students:
        complain(f"nobody has marks of {name} yet. Run: python -m autograder grade")
    return OpenedClass(course, assignment, folders, marks)


def feedback(options: FeedbackOptions) -> int:
    """Write `feedback/` for students."""
    from autograder.batch.penalties import note_penalties
    from autograder.feedback.exporter import write_feedback
    from autograder.gradebook.class_marks import known_names

    course, name = open_course(options)
    assignment = course.assignment(name)
    students = list(known_names(course, name, options.students).values())
    note_penalties(course, name, options.command, students or None)
    with shown("feedback", err, quiet=options.quiet) as progress:
        paths = write_feedback(course, assignment, students or None, progress)
    for path in paths:
        out.print(f"wrote {path.relative_to(course.root)}")
    write_paths(options, name, paths)
    return 0


def report(options: ReportOptions) -> int:
    """Write the class report for instructors."""
    from autograder.reports.class_report import write_report
    from autograder.reports.similarity import similar_pairs, submissions_to_compare

    shown_class = open_class(options)
    course, assignment = shown_class.course, shown_class.assignment
    with shown("comparing", err, quiet=options.quiet) as progress:
        submissions = submissions_to_compare(course, assignment, shown_class.folders, graded=options.submitted is None)
        pairs = similar_pairs(assignment, submissions, progress=progress)
    folder = options.to or course.root / "report" / assignment.name
    paths = write_report(shown_class.marks, pairs, datetime.now(course.settings.zone), folder)
    for path in paths:
        out.print(f"wrote {path}")
    write_paths(options, assignment.name, paths)
    return 0


def similarity(options: SimilarityOptions) -> int:
    """Rank pairs of submissions whose own work is alike."""
    from autograder.batch.batch import discover
    from autograder.reports.similarity import similar_pairs, submissions_to_compare

    if not 0 <= options.least <= 1:
        raise UsageError(f"--least must be from 0 to 1, got {options.least:g}.")
    course, name = open_course(options)
    assignment = course.assignment(name)
    folders = discover(submitted_folder(course, options.submitted), name)
    with shown("comparing", err, quiet=options.quiet) as progress:
        submissions = submissions_to_compare(course, assignment, folders, graded=options.submitted is None)
        pairs = similar_pairs(assignment, submissions, options.least, progress)
    out.print(f"{name}: {len(pairs)} pairs of {len(folders)} submissions are at least {options.least:.0%} alike")
    if pairs:
        print_table(similarity_table(pairs))
    write_record(options, pairs)
    return 0

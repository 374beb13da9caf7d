"""Commands that make an assignment and say when it is due: `build`, `release` and `extend`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from autograder.cli.arguments import INSTEAD, Argument, Options
from autograder.cli.course import open_course, submitted_folder
from autograder.cli.output import complain, err, out, write_paths, write_record
from autograder.cli.progress_bar import shown
from autograder.errors import UsageError
from autograder.suggestions import did_you_mean
from autograder.text import one_form, printable, show_time

if TYPE_CHECKING:
    from nbgrader.api import Assignment as BookAssignment
    from nbgrader.api import Gradebook

    from autograder.course.course import Course

NO_TIME = "none"


@dataclass(frozen=True, kw_only=True)
class ExtendOptions(Options):
    """What `extend` takes."""

    json: Annotated[Path | None, Argument(f"also write the extensions as JSON; {INSTEAD}", "FILE")] = None
    student: Annotated[
        str | None, Argument("who gets it; without one, all extensions are listed", "STUDENT", positional=True, bare="")
    ] = None
    when: Annotated[
        Sequence[str],
        Argument("until when, as 2030-05-10 18:00, or how much longer, as +36h or +3d; none undoes it", "WHEN",
                 positional=True),
    ] = ()  # fmt: skip


def build(options: Options) -> int:
    """Make `source/` from `solutions/`."""
    from autograder.release.build import build as make_source

    course, name = open_course(options)
    paths = make_source(course.root, name)
    for path in paths:
        out.print(f"built {path.relative_to(course.root)}")
    write_paths(options, name, paths)
    return 0


def release(options: Options) -> int:
    """Make `release/` and register it in the gradebook."""
    from autograder.grading.result_store import grader_for
    from autograder.release.publish import release as make_release

    course, name = open_course(options)
    assignment = course.assignment(name)
    with shown("releasing", err, quiet=options.quiet, alike=False) as progress:
        folder = make_release(course, assignment, grader_for(course, name).grade, progress)
    out.print(f"released {folder.relative_to(course.root)}: the solutions get full marks, the stubs 0, nothing leaks.")
    write_paths(options, name, sorted(path for path in folder.rglob("*") if path.is_file()))
    return 0


def extend(options: ExtendOptions) -> int:
    """Grant, list or undo extra time."""
    from autograder.deadlines.extensions import read_extensions
    from autograder.gradebook.class_marks import known_names
    from autograder.gradebook.course_lock import course_lock
    from autograder.gradebook.database import check_registered, open_book, transaction
    from autograder.gradebook.nbgrader_steps import course_directory

    course, name = open_course(options)
    course.assignment(name)
    zone = course.settings.zone
    coursedir = course_directory(course, name)
    with transaction(coursedir) as connection:
        check_registered(connection, name)
    if options.student:
        options = replace(options, student=known_names(course, name, [options.student])[options.student])
    with course_lock(course.state_dir), open_book(coursedir) as book:
        assignment = book.find_assignment(name)
        if options.student and options.when:
            _change(course, book, assignment, options)
        extensions = read_extensions(book, assignment, [options.student] if options.student else None)
        due = assignment.duedate
    if due is None:
        out.print(f"{name} has no due date, so nobody is late.")
    else:
        out.print(f"{name} is due {show_time(due, zone)}")
    for student, until in extensions.items():
        out.print(f"{printable(student)}: until {show_time(until, zone)}")
    if not extensions:
        out.print("No extensions." if options.student is None else f"{printable(options.student)}: no extension")
    times = {student: until.isoformat() + "Z" for student, until in extensions.items()}
    record = {"schema": 1, "command": options.command, "assignment": name, "due": due and due.isoformat() + "Z"}
    write_record(options, record | {"extensions": times})
    return 0


def _change(course: Course, book: Gradebook, assignment: BookAssignment, options: ExtendOptions) -> None:
    from autograder.deadlines.extensions import read_extension, write_extension

    name, student, when = str(assignment.name), str(options.student), " ".join(options.when)
    if when.lower() == NO_TIME:
        write_extension(book, assignment, student, None)
    elif assignment.duedate is None:
        remedy = f'Set one in formgrader, or with: nbgrader db assignment add {name} --duedate "2030-05-01 18:00"'
        raise UsageError(f"{name} has no due date, so nobody is late.", remedy)
    else:
        _warn_of_strangers(course, book, student)
        write_extension(book, assignment, student, read_extension(when, assignment.duedate, course.settings.zone))
    book.db.commit()
    out.print("Run: python -m autograder grade; feedback, report and export count it at once.")


def _warn_of_strangers(course: Course, book: Gradebook, student: str) -> None:
    """Say that nobody has this name yet: it may be a typing error, or a student who has not handed in."""
    folder = submitted_folder(course, None)
    handed_in = (path.name for path in folder.iterdir()) if folder.is_dir() else ()
    known = {one_form(name) for name in (*(str(known.id) for known in book.students), *handed_in)}
    if one_form(student) not in known:
        complain(f"{printable(student)} is not in the gradebook yet. {did_you_mean(student, sorted(known))}".strip())

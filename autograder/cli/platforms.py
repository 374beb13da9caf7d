"""Commands from and to platforms: `collect` hand-ins, `export` marks and feedback."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from autograder.cli.arguments import INSTEAD, Argument, Options
from autograder.cli.class_views import ClassOptions, OpenedClass, open_class
from autograder.cli.course import name_untimed, open_course, shown_names, submitted_folder
from autograder.cli.output import collected_table, complain, out, print_table, write_paths, write_record
from autograder.errors import UsageError
from autograder.suggestions import did_you_mean
from autograder.text import clean_name, counted, printable, title_of

if TYPE_CHECKING:
    from autograder.collecting.records import Collected, HandInRow
    from autograder.exports.spreadsheets import Export
    from autograder.marks import ClassMarks

PLATFORMS = ("moodle", "canvas", "gradescope", "github", "folder")
MOST_SHOWN = 200
"""Files left out, and hand-ins with problems, that are listed; `--json` has all of them."""


def _platform(word: str) -> str:
    if word not in PLATFORMS:
        raise argparse.ArgumentTypeError(f"no platform {word!r}. {did_you_mean(word, PLATFORMS)}")
    return word


@dataclass(frozen=True, kw_only=True)
class CollectOptions(Options):
    """What `collect` takes."""

    source: Annotated[Path, Argument("the zip file that a platform gave you, or a folder", "SOURCE", positional=True)]
    from_: Annotated[
        str | None,
        Argument("which platform it comes from; by default the names in it tell", "|".join(PLATFORMS), read=_platform),
    ] = None
    roster: Annotated[
        Path | None, Argument("who is who: roster.csv of the course by default, or a platform's list", "FILE")
    ] = None
    times: Annotated[Path | None, Argument("when each was handed in, as CSV: student,time", "FILE")] = None
    groups: Annotated[
        Path | None, Argument("who works with whom, where the download does not say: a platform's list", "FILE")
    ] = None
    submitted: Annotated[Path | None, Argument("where to put them; default submitted/", "DIR")] = None
    dry_run: Annotated[bool, Argument("show what would be done, and write nothing")] = False
    json: Annotated[Path | None, Argument(f"also write what became of every file as JSON; {INSTEAD}", "FILE")] = None


def collect(options: CollectOptions) -> int:
    """Lay out what a platform gave to download, and print what became of it."""
    from autograder.collecting.collect import CollectRequest
    from autograder.collecting.collect import collect as lay_out

    course, name = open_course(options)
    request = CollectRequest(
        options.source, options.from_, options.roster, options.times, options.groups, options.dry_run
    )
    collected = lay_out(course, course.assignment(name), submitted_folder(course, options.submitted), request)
    print_table(collected_table(name, collected))
    _print_left_out(collected)
    _print_problems(collected)
    write_record(options, _record(name, collected, dry_run=options.dry_run))
    return 1 if collected.problems else 0


def _print_left_out(collected: Collected) -> None:
    lines = [*_left_out(collected.rows), *_lines("", collected.others)]
    if lines:
        out.print("Left out, or renamed:")
        for line in lines[:MOST_SHOWN]:
            out.print(f"  {line}")
        if len(lines) > MOST_SHOWN:
            out.print(f"  and {len(lines) - MOST_SHOWN} more, which --json FILE lists")


def _left_out(rows: tuple[HandInRow, ...]) -> Iterator[str]:
    for row in rows:
        if row.state != "refused":
            whose = f"{printable(row.student)}: "
            yield from _lines(whose, {fate.original: fate.why for fate in row.fates if fate.why})


def _lines(whose: str, reasons: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each file that says more than its name: what systems add by themselves is said once."""
    for name, why in reasons.items():
        shown = name if len(name) < 80 else f"…{name[-78:]}"
        yield f"{whose}{clean_name(shown)} {why}"


def _print_problems(collected: Collected) -> None:
    for row in collected.problems[:MOST_SHOWN]:
        whose = f" ({printable(row.student)})" if row.student else ""
        complain(f"{clean_name(row.owner)}{whose}: {row.why}.")
    if len(collected.problems) > MOST_SHOWN:
        complain(f"{len(collected.problems) - MOST_SHOWN} more need you; --json FILE lists them.")
    if any(not row.student for row in collected.problems):
        complain(
            "Add whoever is missing to roster.csv, or name a list that has them with --roster; then collect again. "
            "If it is a group's, name the list that says who is in it: --groups."
        )
    for shown, student in list(collected.doubtful.items())[:MOST_SHOWN]:
        complain(
            f"{clean_name(shown)} has the number of {printable(student)}, and not quite the name. If it is a group's, "
            "its other members get nothing until you say who they are: --groups."
        )
    if collected.unchecked:
        hand_ins = counted(collected.unchecked, "hand-in")
        complain(
            f"{hand_ins} placed by Canvas' numbers alone, since the roster has no names. "
            "A group's work would go to one of its members: if there are groups, say who is in them with --groups."
        )
    if collected.outrun:
        complain(
            f"older than what is laid out, so stored and not graded: {shown_names(collected.outrun)}. Where it is the "
            "last hand-in, move what is laid out away and collect again."
        )
    for student, before in list(collected.formerly.items())[:MOST_SHOWN]:
        complain(
            f"{printable(student)} was collected as {printable(before)} before, and both are laid out: take one out of "
            "submitted/, and keep to one id in the roster."
        )
    _print_unknown_times([row for row in collected.rows if row.time is None and row not in collected.problems])


def _print_unknown_times(rows: Sequence[HandInRow]) -> None:
    if rows:
        hand_ins = counted(len(rows), "hand-in")
        complain(f"the time of {hand_ins} is unknown, so nobody knows whether they were late: see --times.")
    late = [row.student for row in rows if row.late]
    if late:
        complain(f"Canvas calls these late, and does not say by how much: {shown_names(late)}.")


def _record(assignment: str, collected: Collected, *, dry_run: bool) -> dict[str, object]:
    return {
        "schema": 1,
        "command": "collect",
        "assignment": assignment,
        "platform": collected.platform,
        "dry_run": dry_run,
        "hand_ins": collected.rows,
        "others": collected.others,
        "doubtful": collected.doubtful,
        "unchecked": collected.unchecked,
        "outrun": collected.outrun,
        "formerly": collected.formerly,
    }


@dataclass(frozen=True, kw_only=True)
class ExportOptions(ClassOptions):
    """What `export` takes."""

    format: Annotated[
        str,
        Argument(
            "feedback, csv, canvas, moodle, gradescope, classroom50, junit, markdown or annotations",
            "FORMAT",
            positional=True,
        ),
    ]
    to: Annotated[Path | None, Argument("by default exports/<assignment>/; - prints it", "DIR")] = None
    for_: Annotated[str | None, Argument("where feedback goes", "moodle|canvas")] = None
    roster: Annotated[
        Path | None, Argument("who is who: roster.csv of the course by default, or a platform's list", "FILE")
    ] = None
    fill: Annotated[
        Path | None, Argument("a file downloaded from Canvas, Moodle or Classroom 50 to fill in", "FILE")
    ] = None
    so_far: Annotated[bool, Argument("hand out marks although some still wait for a person")] = False
    assume_punctual: Annotated[bool, Argument("count hand-ins as in time where nobody knows when they came")] = False
    column: Annotated[str, Argument("heading of the marks in Canvas or Moodle", "TEXT")] = ""

    @property
    def prints_export(self) -> bool:
        """Whether what is exported takes the place of the text."""
        return str(self.to) == "-"


def export(options: ExportOptions) -> int:
    """Write marks for other tools."""
    from autograder.collecting.records import known_ids
    from autograder.exports import formats

    if options.format == "feedback":
        return _export_feedback(options)
    formats.check_format(options.format, options.fill)
    if options.prints_export and options.prints_json:
        raise UsageError("--to - and --json - cannot both print.", "Give one of them a file or a folder.")
    shown_class = open_class(options)
    assignment = shown_class.assignment
    waiting = sum(bool(student.waiting) for student in shown_class.marks.students)
    _check_final(options, waiting)
    _check_times(options, shown_class)
    known = known_ids(shown_class.course, assignment.name, options.roster) if options.fill else {}
    platform = formats.Platform(options.column, options.fill, known)
    made = formats.export(shown_class.marks, options.format, platform, shown_class.folders)
    paths: list[Path] = []
    if options.prints_export:
        sys.stdout.write("".join(content.decode() for content in made.files.values()))
    else:
        paths = formats.write_export(made, options.to or shown_class.course.root / "exports" / assignment.name)
        for path in paths:
            out.print(f"wrote {path}")
    if options.format == "classroom50":
        out.print("Classroom 50 counts whole points: marks are rounded down.")
    _complain(options, made, shown_class.marks, waiting)
    write_paths(options, assignment.name, paths, left_out=made.left_out, waiting=waiting)
    return 1 if made.left_out else 0


def _complain(options: ExportOptions, made: Export, marks: ClassMarks, waiting: int) -> None:
    """Name who is left out, and whose marks may change."""
    if made.new_column:
        complain(
            f'{options.fill} has no column "{made.new_column}": Canvas will take it for a new assignment. Name the one '
            "that is there with --column."
        )
    if made.left_out:
        complain(f"{options.fill} does not name: {', '.join(made.left_out)}. They are left out.")
    if waiting:
        complain(f"{_waits(waiting)}; their marks are as of now.")
    name_untimed([student.person.id for student in marks.students if student.is_untimed])
    _name_open_tasks(marks)


def _waits(waiting: int) -> str:
    return f"{counted(waiting, 'submission')} {'waits' if waiting == 1 else 'wait'} for a person"


def _check_final(options: ExportOptions, waiting: int) -> None:
    """Refuse to hand out marks that are not final, unless that is asked for."""
    from autograder.exports.formats import FINAL

    if waiting and options.format in FINAL and not options.so_far:
        raise UsageError(
            f"{_waits(waiting)}, so their marks are not final.",
            "Mark them first, or hand out what there is with --so-far.",
        )


def _check_times(options: ExportOptions, shown_class: OpenedClass) -> None:
    """Refuse to take anybody for punctual, or late, of whom nobody knows it, unless that is asked for."""
    from autograder.deadlines.late_policy import late_policy
    from autograder.exports.formats import FINAL

    untimed = [student.person.id for student in shown_class.marks.students if student.is_untimed]
    wanted = options.format in FINAL and not options.assume_punctual
    if untimed and wanted and late_policy(shown_class.course.nbgrader).takes_points():
        raise UsageError(
            f"Being late costs points here, and nobody knows when these handed in: {shown_names(untimed)}.",
            "Collect them with --times FILE, or write timestamp.txt beside their work, and grade again; or count them "
            "as in time with --assume-punctual.",
        )


def _export_feedback(options: ExportOptions) -> int:
    """Write everyone's feedback page into one zip file for a platform."""
    from autograder.exports import formats
    from autograder.exports.feedback_files import FEEDBACK_PLATFORMS, feedback_zip
    from autograder.feedback.exporter import without_current_page, written_pages

    if options.for_ is None:
        raise UsageError("Feedback goes to a platform.", f"Say which: --for {'|'.join(FEEDBACK_PLATFORMS)}.")
    course, name = open_course(options)
    made = feedback_zip(course, name, written_pages(course, name), options.for_, options.roster)
    paths = formats.write_export(made, options.to or course.root / "exports" / name)
    for path in paths:
        out.print(f"wrote {path}")
    if made.left_out:
        complain(
            f"no id for {options.for_} is known of: {', '.join(map(printable, made.left_out))}. They are left out: "
            "collect their hand-ins, or name a list with --roster."
        )
    if made.differing:
        complain(
            f"{options.for_} shows one file to a whole group, and the pages of its members differ: "
            f"{shown_names(made.differing)}. They are left out: give them theirs by hand, from feedback/."
        )
    behind = without_current_page(course, name)
    if behind:
        complain(
            f"no page, or one from before the last grading: {shown_names(behind)}. "
            "Run: python -m autograder feedback; then export again."
        )
    write_paths(options, name, paths, left_out=made.left_out, differing=made.differing, behind=behind)
    return 1 if made.left_out or made.differing or behind else 0


def _name_open_tasks(marks: ClassMarks) -> None:
    """Name whose automatic tasks are held, and whose marks are for an earlier hand-in."""
    for student in marks.students:
        for what, tasks in (("held", student.held), ("for an earlier hand-in", student.earlier)):
            if tasks:
                titles = ", ".join(title_of(mark.id, marks.titles) for mark in tasks)
                complain(f"{printable(student.person.id)}: {what}: {titles}.")

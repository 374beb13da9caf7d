"""What changes marks: `history` tells what did, `grade --preview` what would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import TYPE_CHECKING, Annotated

from rich.box import SIMPLE
from rich.table import Table

from autograder.cli.arguments import Argument, Options
from autograder.cli.course import open_course
from autograder.cli.output import complain, out, print_table, write_record
from autograder.course.assignment import Assignment
from autograder.errors import ConfigError, UsageError
from autograder.suggestions import did_you_mean
from autograder.text import Titles, printable, show_time, title_of

if TYPE_CHECKING:
    from autograder.gradebook.transactions import Recorded
    from autograder.ledger.entries import Change, Entry, TaskMark

MOST_SHOWN = 200
"""Students whose changes are listed one by one."""
PREVIEW = "preview/changes.json"
"""Beside the results of `--json DIR`; in a folder, so that it is taken for no student's."""
STATE_SUFFIXES = {
    None: "",
    "held": ", held",
    "earlier": ", for an earlier hand-in",
    "held earlier": ", held, for an earlier hand-in",
}


@dataclass(frozen=True, kw_only=True)
class HistoryOptions(Options):
    """What `history` takes."""

    student: Annotated[str, Argument("nbgrader's id of the student", "STUDENT", positional=True)]
    tasks: Annotated[Sequence[str], Argument("only these tasks or questions", "TASK", positional=True)] = ()


def history(options: HistoryOptions) -> int:
    """Print what changed a student's marks, when, by which command, and why."""
    from autograder.batch.penalties import note_penalties
    from autograder.gradebook.class_marks import known_names
    from autograder.gradebook.nbgrader_steps import course_directory
    from autograder.gradebook.transactions import GradebookWriter
    from autograder.ledger.entries import SubmissionKey

    course, name = open_course(options)
    writer = GradebookWriter(course, course_directory(course, name), options.command)
    student = known_names(course, name, [options.student])[options.student]
    try:
        note_penalties(course, name, options.command, [student])
    except ConfigError as error:  # the late policy is broken: what happened so far can be told all the same
        complain(f"{error} The late penalty below is the recorded one.")
    told = writer.history(SubmissionKey(name, student))
    if not told:
        raise UsageError(
            f"The gradebook knows no marks of {options.student} for {name}.",
            did_you_mean(options.student, sorted(writer.students())),
        )
    known = {task for recorded in told for task in recorded.entry.book.marks}
    for task in options.tasks:
        if task not in known:
            raise UsageError(f"There is no task {task}.", did_you_mean(task, sorted(known)))
    titles = course.assignment(name).titles
    for recorded in told:
        if not options.tasks or _chosen(recorded, options.tasks):
            out.print(_heading(recorded.entry, course.settings.zone))
            _print_changes(recorded, options.tasks, titles)
    entries = [_entry_record(recorded, options.tasks) for recorded in told]
    write_record(
        options,
        {"schema": 1, "command": "history", "assignment": name, "student": student, "entries": entries},
    )
    return 0


def show_preview(options: Options, assignment: Assignment, recorded: Mapping[str, Recorded], submissions: int) -> None:
    """Print whose marks would change, by task and by reason, with totals; also as JSON, if that is asked for.

    Args:
        options: Of the command.
        assignment: What was graded.
        recorded: What would be recorded, by student.
        submissions: How many were graded.
    """
    changed = {student: _counted(outcome) for student, outcome in sorted(recorded.items())}
    changed = {student: changes for student, changes in changed.items() if changes or _penalty(recorded[student])}
    groups = _groups(changed)
    if groups:
        print_table(_groups_table(groups, assignment.titles))
    for student in list(changed)[:MOST_SHOWN]:
        out.print(f"{printable(student)}: {_in_words(changed[student], recorded[student], assignment.titles)}")
    if len(changed) > MOST_SHOWN:
        out.print(f"{len(changed) - MOST_SHOWN:,} more students are not listed here.")
    totals = _totals([_net(changes, recorded[student]) for student, changes in changed.items()], submissions)
    out.print(
        "The marks of {changed} of {students} students would change: more for {more}, less for {less}; "
        "{points:+g} points in all. Nothing was recorded.".format_map(totals)
    )
    students = [
        {"student": student, "changes": [_change_record(change) for change in changes]}
        | _penalty_record(recorded[student])
        for student, changes in changed.items()
    ]
    heading = {"schema": 1, "command": options.command, "preview": True, "assignment": assignment.name}
    tasks = [group.record() for group in groups]
    _write_preview(options, heading | {"totals": totals, "tasks": tasks, "students": students})


def _totals(net: Sequence[float], students: int) -> dict[str, float]:
    """Return how many of the students get more and less, from the points that each gains in all."""
    more, less = sum(points > 0 for points in net), sum(points < 0 for points in net)
    return {"students": students, "changed": len(net), "more": more, "less": less, "points": round(sum(net), 2)}


@dataclass
class _ChangeGroup:
    """All changes of one task for one reason."""

    task: str
    why: str
    gains: list[float] = field(default_factory=list)

    @property
    def more(self) -> int:
        """Students who gain points."""
        return sum(gain > 0 for gain in self.gains)

    @property
    def less(self) -> int:
        """Students who lose points."""
        return sum(gain < 0 for gain in self.gains)

    @property
    def points(self) -> float:
        """Points gained by all together."""
        return round(sum(self.gains), 2)

    def record(self) -> dict[str, object]:
        """Return what the JSON says of it."""
        counts = {"students": len(self.gains), "more": self.more, "less": self.less, "points": self.points}
        return {"task": self.task, "why": self.why, **counts}


def _counted(recorded: Recorded) -> list[Change]:
    return [change for change in recorded.changes if change.counts]


def _groups(changed: Mapping[str, Sequence[Change]]) -> list[_ChangeGroup]:
    found: dict[tuple[str, str], _ChangeGroup] = {}
    for changes in changed.values():
        for change in changes:
            group = found.setdefault((change.task, change.why), _ChangeGroup(change.task, change.why))
            group.gains.append(change.difference)
    return sorted(found.values(), key=lambda group: (group.task, group.why))


def _groups_table(groups: Sequence[_ChangeGroup], titles: Titles) -> Table:
    table = Table("task", "because of", box=SIMPLE)
    for heading in ("students", "more", "less", "points"):
        table.add_column(heading, justify="right")
    for group in groups:
        numbers = (str(len(group.gains)), str(group.more), str(group.less), f"{group.points:+g}")
        table.add_row(title_of(group.task, titles), group.why, *numbers)
    return table


def _in_words(changes: Sequence[Change], recorded: Recorded, titles: Titles) -> str:
    parts = [f"{title_of(change.task, titles)} {_from_to(change)} ({change.why})" for change in changes]
    if _penalty(recorded):
        parts.append(f"late penalty {recorded.before.penalty or 0:g} → {recorded.entry.book.penalty or 0:g}")
    return "; ".join(parts)


def _from_to(change: Change) -> str:
    text = f"{_points(change.before)} → {_points(change.after)}"
    if change.after.by_hand is not None and change.before.automatic != change.after.automatic:
        text += f", by hand; the checks alone give {_number(change.after.automatic)}"
    return text


def _points(mark: TaskMark) -> str:
    return _number(mark.points) + STATE_SUFFIXES[mark.state]


def _number(points: float | None) -> str:
    return "–" if points is None else f"{points:g}"


def _penalty(recorded: Recorded) -> float:
    """Return by how much the late penalty grows."""
    return round((recorded.entry.book.penalty or 0.0) - (recorded.before.penalty or 0.0), 2)


def _penalty_record(recorded: Recorded) -> dict[str, object]:
    if not _penalty(recorded):
        return {}
    return {"penalty": {"before": recorded.before.penalty or 0.0, "after": recorded.entry.book.penalty or 0.0}}


def _net(changes: Sequence[Change], recorded: Recorded) -> float:
    return round(sum(change.difference for change in changes) - _penalty(recorded), 2)


def _write_preview(options: Options, record: dict[str, object]) -> None:
    if options.json and not options.prints_json:
        import msgspec

        from autograder.files import write_whole

        write_whole(options.json / PREVIEW, msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")
    else:
        write_record(options, record)


def _heading(entry: Entry, zone: tzinfo) -> str:
    """Return when an entry was written, in the course's zone, by what and whom."""
    by = " ".join(part for part in (entry.command, f"by {entry.who}" if entry.who else "") if part)
    of = f"  hand-in {_short(entry.submission)}" if entry.submission else ""
    return f"{show_time(entry.at, zone)}  {by}{of}"


def _print_changes(recorded: Recorded, tasks: Sequence[str], titles: Titles) -> None:
    """Print what one entry of a history changed; with tasks only what it changed of them."""
    entry, changes = recorded.entry, _chosen(recorded, tasks)
    if entry.note:
        out.print(f"  {entry.note}")
    for change in changes:
        out.print(f"  {title_of(change.task, titles)}: {_from_to(change)} ({change.why})")
    if not tasks and _penalty(recorded):
        out.print(f"  late penalty: {recorded.before.penalty or 0:g} → {entry.book.penalty or 0:g}")
    if not changes and not entry.note and not _penalty(recorded):
        out.print("  no mark changed")


def _chosen(recorded: Recorded, tasks: Sequence[str]) -> list[Change]:
    return [change for change in recorded.changes if not tasks or change.task in tasks]


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]


def _entry_record(recorded: Recorded, tasks: Sequence[str]) -> dict[str, object]:
    entry = recorded.entry
    return {
        "at": f"{entry.at.isoformat()}Z",
        "who": entry.who,
        "command": entry.command,
        "submission": entry.submission,
        "rules": entry.rules,
        "note": entry.note,
        "changes": [_change_record(change) for change in _chosen(recorded, tasks)],
        "marks": {task: mark.points for task, mark in entry.book.marks.items() if not tasks or task in tasks},
        "penalty": entry.book.penalty or 0.0,
    }


def _change_record(change: Change) -> dict[str, object]:
    states = {"state": change.after.state} if change.after.state else {}
    points = {"before": change.before.points, "after": change.after.points}
    return {"task": change.task, **points, **states, "why": change.why}

"""The command line: `python -m autograder COMMAND`. Each command is a thin call into the package.

Exit status: 0 done, 1 an error of ours or of the machine, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from autograder import __version__
from autograder.assignment import Assignment, load_assignment
from autograder.config import CourseConfig, find_root, load_config
from autograder.errors import AutograderError, ConfigError, UsageError

if TYPE_CHECKING:
    from autograder.batch import Graded
    from autograder.marks import ClassMarks

out = Console(soft_wrap=True, highlight=False, markup=False)
WIDE = 150
"""Columns that the table of marks may take at least; a narrower terminal wraps it."""
err = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status.

    Args:
        words: The command line without the program's name; by default the process's own.
    """
    options = _parser().parse_args(words)
    try:
        return int(options.run(options))
    except (UsageError, ConfigError) as error:
        err.print(f"autograder: {error}")
        return 2
    except AutograderError as error:
        err.print(f"autograder: {error}")
        return 1
    except OSError as error:
        err.print(f"autograder: {error}. What was recorded so far stays. Mend that, then run the same command again.")
        return 1
    except KeyboardInterrupt:
        err.print("autograder: interrupted; what was recorded so far stays. Run the same command again to go on.")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m autograder",
        description="Build, release and grade an nbgrader assignment behind a wall.",
        epilog="Exit status: 0 done, 1 an error of ours or of the machine, 2 wrong usage.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    _add(commands, _build, "build", "make source/ from solutions/", "python -m autograder build")
    _add(
        commands, _release, "release", "make release/ and register it in the gradebook", "python -m autograder release"
    )
    check = _add(
        commands, _check, "check", "grade one folder or file; records nothing", "python -m autograder check work/vit"
    )
    check.add_argument("path", type=Path, help="a folder with utilities.py and the notebook, or one of the two files")
    check.add_argument("--json", metavar="FILE", help="also write the result as JSON; - prints it instead of the text")
    _add_sandbox(check)
    _add_grade(commands)
    feedback = _add(commands, _feedback, "feedback", "write feedback/ for students", "python -m autograder feedback")
    feedback.add_argument("students", nargs="*", metavar="STUDENT", help="only these")
    _add_class(commands)
    _add_audit(commands)
    doctor = _add(commands, _doctor, "doctor", "say what this machine can do", "python -m autograder doctor")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    run: Callable[[argparse.Namespace], int],
    name: str,
    text: str,
    example: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=f"Example: {example}"
    )
    parser.add_argument(
        "--course", type=Path, default=Path(), help="the course folder; by default this one or above it"
    )
    parser.add_argument("--assignment", help="by default the one that course_config.py names")
    parser.set_defaults(run=run)
    return parser


def _add_grade(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    example = "python -m autograder grade --submitted submitted --jobs 4"
    grade = _add(commands, _grade, "grade", "grade submissions and record their marks", example)
    grade.add_argument("students", nargs="*", metavar="STUDENT", help="only these")
    grade.add_argument(
        "--submitted", type=Path, metavar="DIR", help="folders <student>/<assignment>/; default submitted/"
    )
    grade.add_argument("--json", type=Path, metavar="DIR", help="also write <student>.json there")
    grade.add_argument("--no-record", action="store_true", help="leave the gradebook alone")
    grade.add_argument("--jobs", type=int, default=0, metavar="N", help="submissions graded at once; 0 chooses")
    _add_sandbox(grade)


def _add_audit(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    example = "python -m autograder audit attention --matrix"
    audit = _add(commands, _audit, "audit", "try the hidden checks on the corpus of right and wrong work", example)
    audit.add_argument("tasks", nargs="*", metavar="TASK", help="only submissions that are about these tasks")
    audit.add_argument("--corpus", type=Path, metavar="DIR", help="with right/ and wrong/; default tests/submissions")
    audit.add_argument("--jobs", type=int, default=0, metavar="N", help="submissions tried at once; 0 chooses")
    audit.add_argument("--seed", default="", metavar="TEXT", help="draw other hidden inputs")
    audit.add_argument("--own", action="store_true", help="each submission only on the task that it is about")
    audit.add_argument("--seeds", type=int, default=1, metavar="N", help="audit with N seeds and compare the marks")
    audit.add_argument("--repeat", type=int, default=1, metavar="N", help="audit N times with each seed")
    audit.add_argument("--matrix", action="store_true", help="also print which check fails on which wrong submission")
    audit.add_argument("--json", type=Path, metavar="FILE", help="also write all that was found as JSON")


def _add_class(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands that look at a whole class."""
    report = _add(commands, _report, "report", "write the class report for instructors", "python -m autograder report")
    report.add_argument("--to", type=Path, metavar="DIR", help="by default report/<assignment>/")
    example = "python -m autograder export canvas --fill gradebook.csv"
    export = _add(commands, _export, "export", "write marks for other tools, late penalties taken", example)
    formats = "csv, canvas, moodle, gradescope, junit, markdown or annotations"
    export.add_argument("format", metavar="FORMAT", help=formats)
    export.add_argument("--to", type=Path, metavar="DIR", help="by default exports/<assignment>/; - prints it")
    export.add_argument("--fill", type=Path, metavar="FILE", help="a file downloaded from Canvas or Moodle to fill in")
    export.add_argument("--column", default="", metavar="TEXT", help="heading of the marks in Canvas or Moodle")
    similarity = _add(
        commands, _similarity, "similarity", "rank pairs whose own work is alike", "python -m autograder similarity"
    )
    similarity.add_argument("--json", type=Path, metavar="FILE", help="also write the pairs, with lines, as JSON")
    similarity.add_argument("--least", type=float, default=0.4, metavar="SHARE", help="only pairs from here on, 0 to 1")
    for parser in (report, export, similarity):
        parser.add_argument("--submitted", type=Path, metavar="DIR", help="folders <student>/<assignment>/")
    for parser in (report, export):
        parser.add_argument("--results", type=Path, metavar="DIR", help="what grade --json wrote, not what is kept")


def _add_sandbox(parser: argparse.ArgumentParser) -> None:
    text = "none runs student code unconfined: only for code you trust; every result says so"
    parser.add_argument("--sandbox", choices=("required", "none"), help=text)


def _course(options: argparse.Namespace) -> tuple[CourseConfig, str]:
    config = load_config(find_root(options.course))
    if getattr(options, "sandbox", None):
        config = dataclasses.replace(config, sandbox=options.sandbox)
    if config.sandbox == "none":
        err.print("autograder: --sandbox none: student code runs unconfined.")
    return config, options.assignment or config.assignment


def _build(options: argparse.Namespace) -> int:
    from autograder.release import build

    config, name = _course(options)
    for path in build(config.root, name):
        out.print(f"built {path.relative_to(config.root)}")
    return 0


def _release(options: argparse.Namespace) -> int:
    from autograder.release import release
    from autograder.store import grader_for

    config, name = _course(options)
    folder = release(config, load_assignment(config.root, name), grader_for(config, name).grade)
    out.print(f"released {folder.relative_to(config.root)}: the solutions get full marks, the stubs 0, nothing leaks.")
    return 0


def _check(options: argparse.Namespace) -> int:
    from autograder.feedback import render_text
    from autograder.results import to_json, write_whole
    from autograder.store import grader_for, read_for_check

    config, name = _course(options)
    grader = grader_for(config, name)
    try:
        result = grader.grade_snapshot(read_for_check(options.path, name, config))
    finally:
        grader.close()
    if options.json == "-":
        sys.stdout.write(to_json(result).decode())
        return 1 if result.has_error else 0
    if options.json:
        write_whole(Path(options.json), to_json(result))
    out.print(render_text(result), end="")
    return 1 if result.has_error else 0


def _grade(options: argparse.Namespace) -> int:
    from autograder.batch import discover, grade_all

    config, name = _course(options)
    if options.jobs < 0:
        raise UsageError(f"--jobs must be 0 or more, got {options.jobs}.")
    assignment = load_assignment(config.root, name)
    folders = discover(options.submitted or config.root / "submitted", name, options.students)
    done: dict[str, Graded] = {}
    with _progress() as progress:
        bar = progress.add_task("grading", total=len(folders), student="")
        for graded in grade_all(config, assignment, folders, options.jobs):
            done[graded.student] = _keep(options, config, assignment, graded)
            progress.update(bar, advance=1, student=escape(_shown(graded.student)))
    table = _marks_table(assignment, [done[student] for student in folders])
    Console(width=max(out.width, WIDE), markup=False, highlight=False).print(table)
    failed = [one for one in done.values() if one.error is not None or (one.result and one.result.has_error)]
    for one in failed:
        reason = one.error or "a check of ours ended in an error; it cost no points (see the feedback)"
        err.print(f"autograder: {_shown(one.student)}: {reason}")
    return 1 if failed else 0


def _shown(student: str) -> str:
    """Return the name of a submission's folder as any terminal can print it."""
    return student if student.isprintable() else ascii(student)


def _keep(options: argparse.Namespace, config: CourseConfig, assignment: Assignment, graded: Graded) -> Graded:
    """Record one result and write its JSON; the batch goes on where that fails."""
    from autograder.gradebook import forget, record
    from autograder.results import to_json, write_whole

    try:
        if graded.result is not None and options.json:
            write_whole(options.json / f"{graded.student}.json", to_json(graded.result))
        if options.no_record:
            return graded
        if graded.result is None:
            forget(config, assignment, graded.student)
        else:
            record(config, assignment, graded.student, graded.folder, graded.result)
    except AutograderError as error:
        return dataclasses.replace(graded, error=error)
    except OSError as error:
        return dataclasses.replace(graded, error=AutograderError(f"{error}.", "Mend that, then grade again."))
    return graded


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TextColumn("{task.fields[student]}"), console=err)


def _marks_table(assignment: Assignment, rows: Sequence[Graded]) -> Table:
    table = Table(title=f"{assignment.name}: automatic marks", title_justify="left", caption_justify="left", box=SIMPLE)
    table.add_column("student", no_wrap=True, vertical="bottom")
    for task in assignment.tasks:
        heading = task.id.replace("_", "\n")
        table.add_column(f"{heading}\n/{task.points:g}", justify="right", no_wrap=True)
    table.add_column(f"sum\n/{assignment.max_score:g}", justify="right", no_wrap=True)
    for row in rows:
        if row.result is None:
            table.add_row(_shown(row.student), *("?" for _ in assignment.tasks), "error")
            continue
        cells = [f"{task.score:g}{'*' if task.carried_forward else ''}" for task in row.result.tasks]
        table.add_row(_shown(row.student), *cells, f"{row.result.score:g}")
    table.caption = "* checked with a correct earlier part in place of the student's"
    return table


def _feedback(options: argparse.Namespace) -> int:
    from autograder.feedback import write_feedback

    config, name = _course(options)
    paths = write_feedback(config, load_assignment(config.root, name), options.students or None)
    for path in paths:
        out.print(f"wrote {path.relative_to(config.root)}")
    return 0


def _class(options: argparse.Namespace) -> tuple[CourseConfig, Assignment, dict[str, Path], ClassMarks]:
    """Return the course, the submissions that are there, and everyone's marks."""
    from autograder.batch import discover
    from autograder.marks import class_marks, read_results, stored_results

    config, name = _course(options)
    assignment = load_assignment(config.root, name)
    try:
        folders = discover(options.submitted or config.root / "submitted", name)
    except UsageError:
        if options.submitted:
            raise
        folders = {}
    if options.results:
        results = read_results(options.results, name)
    else:
        results = stored_results(config, assignment, folders)
    return config, assignment, folders, class_marks(config, assignment, results)


def _report(options: argparse.Namespace) -> int:
    from autograder.report import write_report
    from autograder.similarity import similar_pairs

    config, assignment, folders, marks = _class(options)
    pairs = similar_pairs(config, assignment, folders)
    folder = options.to or config.root / "report" / assignment.name
    for path in write_report(marks, pairs, datetime.now().astimezone(), folder):
        out.print(f"wrote {path}")
    return 0


def _export(options: argparse.Namespace) -> int:
    from autograder.exports import check_format, export, write_export

    check_format(options.format, options.fill)
    config, assignment, folders, marks = _class(options)
    made = export(marks, options.format, options.column, options.fill, folders)
    if str(options.to) == "-":
        sys.stdout.write("".join(content.decode() for content in made.files.values()))
    else:
        for path in write_export(made, options.to or config.root / "exports" / assignment.name):
            out.print(f"wrote {path}")
    if made.left_out:
        err.print(f"autograder: {options.fill} does not name: {', '.join(made.left_out)}. They are left out.")
    waiting = sum(bool(one.waiting) for one in marks.students)
    if waiting:
        err.print(f"autograder: {waiting} submissions wait for a person; their marks are as of now.")
    return 1 if made.left_out else 0


def _similarity(options: argparse.Namespace) -> int:
    import msgspec

    from autograder.batch import discover
    from autograder.results import write_whole
    from autograder.similarity import similar_pairs

    config, name = _course(options)
    folders = discover(options.submitted or config.root / "submitted", name)
    pairs = similar_pairs(config, load_assignment(config.root, name), folders, options.least)
    title = f"{name}: {len(pairs)} pairs of {len(folders)} submissions are at least {options.least:.0%} alike"
    table = Table("first", "second", title=title, title_justify="left", box=SIMPLE)
    for heading in ("similarity", "nobody else has"):
        table.add_column(heading, justify="right")
    for pair in pairs:
        table.add_row(pair.first, pair.second, f"{pair.similarity:.0%}", str(pair.rare))
    Console(width=max(out.width, WIDE)).print(table)
    if options.json:
        write_whole(options.json, msgspec.json.format(msgspec.json.encode(pairs), indent=2) + b"\n")
    return 0


def _audit(options: argparse.Namespace) -> int:
    from autograder.audit import Scope, audit
    from autograder.audit_report import render_audit, to_table
    from autograder.results import write_whole
    from autograder.stability import render_stability, repeat, seeds_of

    config, name = _course(options)
    assignment = load_assignment(config.root, name)
    for task in options.tasks:
        assignment.task(task)
    if options.seeds < 1 or options.repeat < 1:
        raise UsageError("--seeds and --repeat must be 1 or more.")
    folder = options.corpus or config.root / "tests" / "submissions"
    scope = Scope(options.tasks, options.own, options.jobs)
    found, stability = repeat(
        lambda seed: audit(config, assignment, folder, seed, scope),
        seeds_of(options.seed, options.seeds, options.repeat),
    )
    out.print(render_audit(found, matrix=options.matrix), end="")
    if stability.runs > 1:
        out.print(render_stability(stability), end="")
    if options.json:
        write_whole(options.json, to_table(found))
    return 0 if all(row.good for row in found.rows) and not stability.unstable else 1


def _doctor(options: argparse.Namespace) -> int:
    import msgspec

    from autograder.doctor import examine

    findings = list(examine(_course(options)[0]))
    if options.json:
        sys.stdout.write(msgspec.json.encode(findings).decode() + "\n")
    else:
        for one in findings:
            mark = "ok  " if one.good else "MISS" if one.needed else "no  "
            out.print(f"{mark} {one.name}: {one.found}" + (f"\n       {one.mend}" if one.mend else ""))
    return 1 if any(one.needed and not one.good for one in findings) else 0

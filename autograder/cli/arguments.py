"""What can be written after `python -m autograder`: commands, options, their help, and answers to wrong words."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from autograder import __version__
from autograder.suggestions import did_you_mean

EXIT_STATUS = "Exit status: 0 done, 1 an error of ours or of the machine, 2 wrong usage."
SANDBOXES = ("required", "none")


def read_words(words: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; a wrong word is answered with the nearest right one."""
    parser, commands = make_parser()
    if not words:
        parser.print_help(sys.stderr)
        raise SystemExit(2)
    if not words[0].startswith("-") and words[0] not in commands:
        parser.error(f"no command {words[0]!r}. {did_you_mean(words[0], commands)}")
    options, unknown = parser.parse_known_args(words)
    if unknown:
        commands[options.command].error(_unexpected(unknown, commands[options.command].format_help()))
    return options


def _unexpected(words: Sequence[str], command_help: str) -> str:
    """Return what to say of words that a command does not take."""
    word = next((one.partition("=")[0] for one in words if one.startswith("-")), None)
    if word is None:
        return f"unexpected {words[0]!r}. Names stand side by side, and not every command takes them."
    known = dict.fromkeys(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", command_help))
    if word in known:
        return f"{word} stands after the command."
    return f"no option {word!r}. {did_you_mean(word, (one for one in known if one.startswith('--')))}"


def make_parser() -> tuple[argparse.ArgumentParser, Mapping[str, argparse.ArgumentParser]]:
    """Return the parser, and that of each command."""
    parser = argparse.ArgumentParser(
        prog="python -m autograder",
        description="Build, release and grade an nbgrader assignment behind a wall.",
        epilog=f"""Examples:
  python -m autograder check work/vit
  python -m autograder grade

{EXIT_STATUS}
COMMAND --help says more about one command.""",
        formatter_class=_Help,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    build = _add(commands, "build", "make source/ from solutions/", "python -m autograder build")
    example = "python -m autograder release"
    status = "Exit status: 0 released, 1 refused, or an error of ours or of the machine, 2 wrong usage."
    release = _add(commands, "release", "make release/ and register it in the gradebook", example, status)
    _add_check(commands)
    _add_grade(commands)
    example = "python -m autograder feedback\npython -m autograder feedback student-1 student-2"
    feedback = _add(commands, "feedback", "write feedback/ for students", example)
    feedback.add_argument("students", nargs="*", metavar="STUDENT", help="only these")
    for one in (build, release, feedback):
        _add_json(one)
    _add_class(commands)
    _add_audit(commands)
    _add_doctor(commands)
    return parser, commands.choices


class _Help(argparse.RawDescriptionHelpFormatter):
    """Leaves examples as they are written, and room for the longest command."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    text: str,
    example: str,
    status: str = EXIT_STATUS,
) -> argparse.ArgumentParser:
    examples = "\n         ".join(f"Example: {example}".splitlines())
    parser = commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=f"{examples}\n\n{status}",
        formatter_class=_Help,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--course", type=Path, default=Path(), metavar="DIR", help="the course folder; by default this one or above it"
    )
    parser.add_argument("--assignment", metavar="NAME", help="by default the one that course_config.py names")
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors and what --json - prints")
    parser.set_defaults(command=name)
    return parser


def _add_json(parser: argparse.ArgumentParser, what: str = "which files were written") -> None:
    text = f"also write {what} as JSON; - prints that instead of the text"
    parser.add_argument("--json", type=Path, metavar="FILE", help=text)


def _add_check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    example = "python -m autograder check work/vit\npython -m autograder check utilities.py --json result.json"
    status = "Exit status: 0 graded, whatever the marks, 1 an error of ours or of the machine, 2 wrong usage."
    check = _add(commands, "check", "grade one folder or file; records nothing", example, status)
    check.add_argument(
        "path", type=Path, metavar="PATH", help="a folder with utilities.py and the notebook, or one of the two files"
    )
    _add_json(check, "the result")
    check.add_argument("--html", type=Path, metavar="FILE", help="also write the page that students read")
    _add_sandbox(check)


def _add_grade(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    example = "python -m autograder grade\npython -m autograder grade student-1 --submitted submitted --jobs 4"
    status = (
        "Exit status: 0 all graded, whatever the marks, 1 some could not be graded or recorded (the last lines say\n"
        "which and why), 2 wrong usage."
    )
    grade = _add(commands, "grade", "grade submissions and record their marks", example, status)
    grade.add_argument("students", nargs="*", metavar="STUDENT", help="only these")
    grade.add_argument(
        "--submitted", type=Path, metavar="DIR", help="folders <student>/<assignment>/; default submitted/"
    )
    grade.add_argument(
        "--json", type=Path, metavar="DIR", help="also write <student>.json there; - prints the marks as JSON"
    )
    grade.add_argument("--no-record", action="store_true", help="leave the gradebook alone")
    grade.add_argument("--jobs", type=int, default=0, metavar="N", help="submissions graded at once; 0 chooses")
    grade.add_argument("--cluster", metavar="ADDRESS", help="grade on the workers of this Dask scheduler")
    _add_sandbox(grade)


def _add_audit(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    example = "python -m autograder audit attention --matrix"
    status = "Exit status: 0 the checks are fair, 1 they are not, or an error of ours or of the machine, 2 wrong usage."
    text = "try the hidden checks on the corpus of right and wrong work"
    audit = _add(commands, "audit", text, example, status)
    audit.add_argument("tasks", nargs="*", metavar="TASK", help="only submissions that are about these tasks")
    audit.add_argument("--corpus", type=Path, metavar="DIR", help="with right/ and wrong/; default tests/submissions")
    audit.add_argument("--jobs", type=int, default=0, metavar="N", help="submissions tried at once; 0 chooses")
    audit.add_argument("--seed", default="", metavar="TEXT", help="draw other hidden inputs")
    audit.add_argument("--own", action="store_true", help="each submission only on the task that it is about")
    audit.add_argument("--seeds", type=int, default=1, metavar="N", help="audit with N seeds and compare the marks")
    audit.add_argument("--repeat", type=int, default=1, metavar="N", help="audit N times with each seed")
    audit.add_argument("--matrix", action="store_true", help="also print which check fails on which wrong submission")
    _add_json(audit, "all that was found")


def _add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    example = "python -m autograder doctor"
    status = "Exit status: 0 all that is needed is there, 1 something is missing, 2 wrong usage."
    doctor = _add(commands, "doctor", "say what this machine can do", example, status)
    text = "also write what was found as JSON; - or nothing prints that instead of the text"
    doctor.add_argument("--json", type=Path, metavar="FILE", nargs="?", const=Path("-"), help=text)


def _add_class(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands that look at a whole class."""
    report = _add(commands, "report", "write the class report for instructors", "python -m autograder report")
    report.add_argument("--to", type=Path, metavar="DIR", help="by default report/<assignment>/")
    example = "python -m autograder export canvas --fill gradebook.csv"
    status = (
        "Exit status: 0 written, 1 the file to fill in does not name everyone with marks, or an error of ours or of\n"
        "the machine, 2 wrong usage."
    )
    export = _add(commands, "export", "write marks for other tools, late penalties taken", example, status)
    formats = "csv, canvas, moodle, gradescope, junit, markdown or annotations"
    export.add_argument("format", metavar="FORMAT", help=formats)
    export.add_argument("--to", type=Path, metavar="DIR", help="by default exports/<assignment>/; - prints it")
    export.add_argument("--fill", type=Path, metavar="FILE", help="a file downloaded from Canvas or Moodle to fill in")
    export.add_argument("--column", default="", metavar="TEXT", help="heading of the marks in Canvas or Moodle")
    similarity = _add(commands, "similarity", "rank pairs whose own work is alike", "python -m autograder similarity")
    _add_json(similarity, "the pairs, with lines,")
    similarity.add_argument("--least", type=float, default=0.4, metavar="SHARE", help="only pairs from here on, 0 to 1")
    for parser in (report, export, similarity):
        parser.add_argument("--submitted", type=Path, metavar="DIR", help="folders <student>/<assignment>/")
    for parser in (report, export):
        _add_json(parser)
        parser.add_argument("--results", type=Path, metavar="DIR", help="what grade --json wrote, not what is kept")


def _add_sandbox(parser: argparse.ArgumentParser) -> None:
    text = "none runs student code unconfined: only for code you trust; every result says so"
    parser.add_argument("--sandbox", type=_sandbox, metavar="required|none", help=text)


def _sandbox(word: str) -> str:
    if word not in SANDBOXES:
        raise argparse.ArgumentTypeError(f"no choice {word!r}. {did_you_mean(word, SANDBOXES)}")
    return word

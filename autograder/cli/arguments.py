"""How a command's options become a parser and a record: each command has one frozen record, and its fields say all."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from autograder import __version__
from autograder.suggestions import did_you_mean

EXIT_STATUS = "0 done, 1 an internal error or a problem of the machine, 2 wrong usage."
INSTEAD = "- prints that instead of the text"
HELP_COLUMN = 28
"""Where the help of options begins: there is room for the longest command."""


@dataclass(frozen=True)
class Argument:
    """How a field of a record stands on the command line, in the field's annotation.

    A field `no_record` is an option `--no-record`, and `from_` is `--from`: a switch if its default is False, else with
    one value, which is read by the type of the field. A sequence takes any number of words.

    Attributes:
        help: What `--help` says.
        metavar: What `--help` shows in place of the value.
        short: A second name of the option, such as `-q`.
        positional: Whether it is a word without a name, such as PATH.
        read: Reads the value, if not the type of the field.
        bare: The value of an option that stands without one; None if it may not.
    """

    help: str
    metavar: str | None = None
    short: str | None = None
    positional: bool = False
    read: Callable[[str], object] | None = None
    bare: object = None


@dataclass(frozen=True, kw_only=True)
class Options:
    """What every command takes. Each command's own record adds to it."""

    command: str
    course: Annotated[Path, Argument("the course folder; by default this one or one above it", "DIR")] = Path()
    assignment: Annotated[str | None, Argument("by default the one that course_config.py names", "NAME")] = None
    quiet: Annotated[bool, Argument("print nothing but errors and what --json - prints", short="-q")] = False
    json: Annotated[Path | None, Argument(f"also write, as JSON, which files were written; {INSTEAD}", "FILE")] = None

    @property
    def prints_json(self) -> bool:
        """Whether JSON takes the place of the text."""
        return str(self.json) == "-"


OptionsT = TypeVar("OptionsT", bound=Options)


@dataclass(frozen=True)
class Command(Generic[OptionsT]):
    """One command.

    Attributes:
        name: The word on the command line.
        options: The record of its options.
        run: Runs it and returns the exit status.
        summary: What it does, in a few words.
        examples: What follows `python -m autograder`.
        exit_status: What each exit status means.
    """

    name: str
    options: type[OptionsT]
    run: Callable[[OptionsT], int]
    summary: str
    examples: Sequence[str]
    exit_status: str = EXIT_STATUS


def read_words(words: Sequence[str], commands: Mapping[str, Command[Any]]) -> Options:
    """Return the options that the command line gives; a wrong word is answered with the nearest right one.

    Args:
        words: The command line without the program's name.
        commands: All commands by name.

    Raises:
        SystemExit: If a word is wrong, or help was asked for.
    """
    parser, parsers = make_parser(commands)
    if not words:
        parser.print_help(sys.stderr)
        raise SystemExit(2)
    if not words[0].startswith("-") and words[0] not in commands:
        parser.error(f"no command {words[0]!r}. {did_you_mean(words[0], commands)}")
    found, unknown = parser.parse_known_args(words)
    values = vars(found)
    if unknown:
        command_parser = parsers[values["command"]]
        command_parser.error(_answer_to(unknown, command_parser.format_help()))
    record = commands[values["command"]].options
    options: Options = record(
        **{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    )
    return options


def _answer_to(unknown: Sequence[str], command_help: str) -> str:
    """Return what to say of words that a command does not take."""
    options = (word.partition("=")[0] for word in unknown if word.startswith("-"))
    option = next(options, None)
    if option is None:
        return f"unexpected {unknown[0]!r}. Names stand side by side, and not every command takes them."
    known = dict.fromkeys(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", command_help))
    if option in known:
        return f"{option} stands after the command."
    return f"no option {option!r}. {did_you_mean(option, (name for name in known if name.startswith('--')))}"


def make_parser(
    commands: Mapping[str, Command[Any]],
) -> tuple[argparse.ArgumentParser, Mapping[str, argparse.ArgumentParser]]:
    """Return the parser of the whole command line, and that of each command."""
    parser = argparse.ArgumentParser(
        prog="python -m autograder",
        description="Build, release and grade an nbgrader assignment behind a wall.",
        epilog=f"""Examples:
  python -m autograder check work/vit
  python -m autograder grade

Exit status: {EXIT_STATUS}
COMMAND --help says more about one command.""",
        formatter_class=_Help,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=__version__)
    parsers = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    for command in commands.values():
        examples = "\n         ".join(f"python -m autograder {example}" for example in command.examples)
        command_parser = parsers.add_parser(
            command.name,
            help=command.summary,
            description=f"{command.summary[0].upper()}{command.summary[1:]}.",
            epilog=f"Example: {examples}\n\nExit status: {command.exit_status}",
            formatter_class=_Help,
            allow_abbrev=False,
        )
        command_parser.set_defaults(command=command.name)
        _add_arguments(command_parser, command.options)
    return parser, parsers.choices


def _add_arguments(parser: argparse.ArgumentParser, record: type[Options]) -> None:
    """Add an argument for each field with an `Argument` in its annotation."""
    hints = get_type_hints(record, include_extras=True)
    for option in fields(record):
        if get_origin(hints[option.name]) is Annotated:
            kind, argument = get_args(hints[option.name])
            _add_argument(parser, option, kind, argument)


def _add_argument(parser: argparse.ArgumentParser, option: Field[Any], kind: object, argument: Argument) -> None:
    settings: dict[str, Any] = {"help": argument.help}
    if option.default is not MISSING:
        settings["default"] = option.default
    if option.default is False:
        settings["action"] = "store_true"
    else:
        settings["metavar"] = argument.metavar
        settings["type"] = argument.read or _type_of_words(kind)
    if get_origin(kind) is Sequence:
        settings["nargs"] = "*"
    if argument.bare is not None:
        settings |= {"nargs": "?", "const": argument.bare}
    names = [f"--{option.name.rstrip('_').replace('_', '-')}"]
    if argument.positional:
        names = [option.name]
    else:
        settings["dest"] = option.name
    if argument.short:
        names.insert(0, argument.short)
    parser.add_argument(*names, **settings)


def _type_of_words(kind: object) -> Any:  # noqa: ANN401 - any type may be annotated
    """Return the type of a word: that of the elements of a sequence, or what may stand beside None."""
    return next((part for part in get_args(kind) if part is not NoneType), kind)


class _Help(argparse.RawDescriptionHelpFormatter):
    """Leaves examples as they are written, and room for the longest command."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=HELP_COLUMN)

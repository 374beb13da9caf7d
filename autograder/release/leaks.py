"""Look through a release for what students must not get."""

from __future__ import annotations

import io
import json
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from autograder.course.assignment import MODULE
from autograder.course.cells import Cell, load_cells, text_of
from autograder.course.solution_regions import inside_lines, outside_lines

SUBSTANTIAL = 20  # characters: shorter lines are in every program
DISTINCT = 40  # characters: a line of a check as long as this is no coincidence, even if students may read it
_MARKERS = ("BEGIN SOLUTION", "END SOLUTION", "BEGIN HIDDEN TESTS", "END HIDDEN TESTS", "MARK SCHEME")
_GENERIC = re.compile(r"(from|import|@|def __init__|if __name__|class \w+:|#+ ?[-=]+$)")
_NUMBER = re.compile(r"(?<![\w./])(?:\d{1,3}(?:[,_'\u2009\u202f]\d{3})+|[\d_]+)(?:\.[\d_]+)?")
_DIGITS = 6


@dataclass(frozen=True)
class Secrets:
    """What must not be in a release.

    Attributes:
        solutions: By file name, the lines that only stand in its solution regions.
        public: By file name, the lines that students may read in it.
        checks: Substantial lines of the hidden checks.
        numbers: Digits of the long numbers in the hidden checks.
        names: File names of the hidden checks.
    """

    solutions: dict[str, frozenset[str]]
    public: dict[str, frozenset[str]]
    checks: frozenset[str]
    numbers: frozenset[str]
    names: frozenset[str]


def check_release(
    solved_module: str, given: Iterable[str], solved_notebook: bytes, checks_dir: Path, release_dir: Path
) -> list[str]:
    """Return what is wrong with a release, one sentence each; empty if nothing is.

    Args:
        solved_module: The instructor's module, with its regions.
        given: Texts of the modules that students get complete.
        solved_notebook: The built source notebook.
        checks_dir: The hidden checks; its name is that of the assignment.
        release_dir: The folder that students would get.
    """
    secrets = _secrets(solved_module, given, load_cells(solved_notebook), checks_dir)
    problems: list[str] = []
    for path in sorted(path for path in release_dir.rglob("*") if path.is_file()):
        name = path.relative_to(release_dir).as_posix()
        if path.name in secrets.names or re.fullmatch(r"test_.*\.py", path.name):
            problems.append(f"{name} has the name of a hidden check.")
        problems += _outputs(name, path)
        text = _text(path)
        if text is not None:
            problems += (f"{name}: {problem}" for problem in _leaks(name, text, secrets))
    return problems


def _secrets(module: str, given: Iterable[str], cells: list[Cell], checks_dir: Path) -> Secrets:
    names = (f"{MODULE}.py", f"{checks_dir.name}.ipynb")
    hidden, shown = _notebook_lines(cells)
    inside = {names[0]: inside_lines(module), names[1]: hidden}
    public = {names[0]: outside_lines(module), names[1]: shown}
    files = {path: text for path in sorted(checks_dir.rglob("*")) if (text := _text(path)) is not None}
    lines = frozenset(line for text in files.values() for line in _lines(text) if _substantial(line))
    readable = frozenset().union(*public.values(), *map(_lines, given))
    return Secrets(
        solutions={name: inside[name] - public[name] for name in names},
        public=public,
        checks=frozenset(line for line in lines if len(line) >= DISTINCT or line not in readable),
        numbers=_numbers(number for path, text in files.items() for number in _literals(path, text)),
        names=frozenset(path.name for path in files),
    )


def _notebook_lines(cells: list[Cell]) -> tuple[frozenset[str], frozenset[str]]:
    hidden: set[str] = set()
    shown: set[str] = set()
    for cell in cells:
        text = text_of(cell)
        inside = inside_lines(text)
        if cell["metadata"].get("nbgrader", {}).get("solution") and not inside:
            hidden |= _lines(text)  # nbgrader replaces the whole cell
        else:
            hidden |= inside
            shown |= outside_lines(text)
    return frozenset(hidden), frozenset(shown)


def _leaks(name: str, text: str, secrets: Secrets) -> Iterator[str]:
    lines = _lines(text)
    yield from (f"the marker {marker!r} is left in it." for marker in _MARKERS if marker in text)
    yield from _solution_leaks(name, lines, secrets)
    yield from (f"a line of a hidden check is in it: {line!r}." for line in sorted(lines & secrets.checks))
    numbers = sorted(_numbers([text]) & secrets.numbers)
    yield from (f"a number from a hidden check is in it: {number}." for number in numbers)


def _solution_leaks(name: str, lines: frozenset[str], secrets: Secrets) -> Iterator[str]:
    public = secrets.public.get(name, frozenset())
    for file, solution in secrets.solutions.items():
        found = lines & solution if file == name else lines & solution - public
        for line in sorted(found):
            if file == name or len(line) >= SUBSTANTIAL:
                yield f"a line of the solution in {file} is in it: {line!r}."


def _outputs(name: str, path: Path) -> list[str]:
    if path.suffix != ".ipynb":
        return []
    try:
        cells = load_cells(path.read_bytes())
    except (ValueError, KeyError):
        return [f"{name} is not a notebook."]
    ran = [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]
    return [f"{name}: the cell {cell['id']!r} has outputs or has been run." for cell in ran]


def _text(path: Path) -> str | None:
    """The readable text of a file: of a notebook its cells' sources; None for pictures and the like."""
    if not path.is_file() or path.suffix == ".pyc":
        return None
    try:
        text = path.read_text("utf-8")
        return "\n".join(map(text_of, json.loads(text)["cells"])) if path.suffix == ".ipynb" else text
    except (ValueError, KeyError):
        return None


def _lines(text: str) -> frozenset[str]:
    return frozenset(line.strip() for line in text.split("\n") if line.strip())


def _substantial(line: str) -> bool:
    return len(line) >= SUBSTANTIAL and not _GENERIC.match(line)


def _numbers(texts: Iterable[str]) -> frozenset[str]:
    """The digits of long numbers, however they are grouped; round ones are nobody's secret."""
    digits: set[str] = set()
    for number in (number for text in texts for number in _NUMBER.findall(text)):
        whole, _, fraction = number.partition(".")
        digits.add(re.sub(r"\D", "", whole) + fraction.replace("_", "").rstrip("0"))
    return frozenset(one for one in digits if len(one) >= _DIGITS and len(one.strip("0")) >= 3)


def _literals(path: Path, text: str) -> list[str]:
    """The number literals of a check; comments and docstrings may cite papers by number."""
    if path.suffix != ".py":
        return [text]
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [token.string for token in tokens if token.type == tokenize.NUMBER]

"""Look through a release for what students must not get."""

from __future__ import annotations

import io
import json
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from autograder.course.assignment import MODULE, Assignment
from autograder.course.cells import Cell, load_cells, text_of
from autograder.course.rubrics import METADATA
from autograder.course.solution_regions import inside_lines, outside_lines

SUBSTANTIAL = 20
"""Characters from which on a line tells something: shorter ones stand in every program."""
DISTINCT = 40
"""Characters from which on a line that equals one of a check is no coincidence, even if students may read it."""
MARKERS = ("BEGIN SOLUTION", "END SOLUTION", "BEGIN HIDDEN TESTS", "END HIDDEN TESTS", "MARK SCHEME")
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


def find_leaks(assignment: Assignment, folder: Path) -> list[str]:
    """Return what a release gives away, one sentence each; empty if nothing is wrong.

    Args:
        assignment: The assignment, built.
        folder: What students would get.
    """
    secrets = _secrets(assignment)
    problems: list[str] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.name in secrets.names or re.fullmatch(r"test_.*\.py", path.name):
            problems.append(f"{name} has the name of a hidden check.")
        problems += _unfit_cells(name, path)
        text = _text(path)
        if text is not None:
            problems += (f"{name}: {problem}" for problem in _leaks(name, text, secrets))
    return problems


def _secrets(assignment: Assignment) -> Secrets:
    module = (assignment.solution_dir / f"{MODULE}.py").read_text("utf-8")
    notebook = load_cells(assignment.notebook_path.read_bytes())
    given = (path.read_text("utf-8") for path in assignment.given_modules)
    hidden, shown = _notebook_lines(notebook)
    inside = {f"{MODULE}.py": inside_lines(module), assignment.notebook_path.name: hidden}
    public = {f"{MODULE}.py": outside_lines(module), assignment.notebook_path.name: shown}
    readable = frozenset().union(*public.values(), *map(_lines, given))
    paths = sorted(assignment.checks_dir.rglob("*"))
    checks = {path: text for path in paths if (text := _text(path)) is not None}
    lines = {line for text in checks.values() for line in _lines(text) if _is_substantial(line)}
    return Secrets(
        solutions={name: inside[name] - public[name] for name in inside},
        public=public,
        checks=frozenset(line for line in lines if len(line) >= DISTINCT or line not in readable),
        numbers=_numbers(number for path, text in checks.items() for number in _literals(path, text)),
        names=frozenset(path.name for path in checks),
    )


def _notebook_lines(cells: list[Cell]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the lines of the solved notebook that students must not see, and those that they see."""
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
    yield from (f"the marker {marker!r} is left in it." for marker in MARKERS if marker in text)
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


def _unfit_cells(name: str, path: Path) -> list[str]:
    """Return what is wrong with a notebook's cells beside their texts."""
    if path.suffix != ".ipynb":
        return []
    try:
        cells = load_cells(path.read_bytes())
    except (ValueError, KeyError):
        return [f"{name} is not a notebook."]
    ran = [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]
    problems = [f"{name}: the cell {cell['id']!r} has outputs or has been run." for cell in ran]
    ours = [cell for cell in cells if METADATA in cell["metadata"]]
    return problems + [f"{name}: the cell {cell['id']!r} has a rubric in its metadata." for cell in ours]


def _text(path: Path) -> str | None:
    """Return the readable text of a file: of a notebook its cells' sources; None for pictures and the like."""
    if not path.is_file() or path.suffix == ".pyc":
        return None
    try:
        text = path.read_text("utf-8")
        return "\n".join(map(text_of, json.loads(text)["cells"])) if path.suffix == ".ipynb" else text
    except (ValueError, KeyError):
        return None


def _lines(text: str) -> frozenset[str]:
    return frozenset(line.strip() for line in text.split("\n") if line.strip())


def _is_substantial(line: str) -> bool:
    return len(line) >= SUBSTANTIAL and not _GENERIC.match(line)


def _numbers(texts: Iterable[str]) -> frozenset[str]:
    """Return the digits of long numbers, however they are grouped; round ones are nobody's secret."""
    found = set()
    for text in texts:
        for number in _NUMBER.findall(text):
            whole, _, fraction = number.partition(".")
            digits = re.sub(r"\D", "", whole) + fraction.replace("_", "").rstrip("0")
            if len(digits) >= _DIGITS and len(digits.strip("0")) >= 3:
                found.add(digits)
    return frozenset(found)


def _literals(path: Path, text: str) -> list[str]:
    """Return the number literals of a check; comments and docstrings may cite papers by number."""
    if path.suffix != ".py":
        return [text]
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [token.string for token in tokens if token.type == tokenize.NUMBER]

"""Find pairs of students whose own work is alike: winnowing over tokens, the given code left out.

Only what students write is compared: their module and the answers in their notebook. Whatever also stands in the
release is ignored. Names that a student may choose are all the same, so renaming hides nothing; comments and layout
do not count. What many students write alike, as in any small exercise, counts little; what two of them share and
nobody else has counts in full. A high figure is a reason to read both submissions, never proof of anything.

Reference:
    Schleimer, Wilkerson and Aiken, "Winnowing: Local Algorithms for Document Fingerprinting", SIGMOD 2003. The weight
    of a fingerprint is its inverse document frequency.
"""

from __future__ import annotations

import functools
import hashlib
import io
import keyword
import math
import re
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from autograder.course.assignment import MODULE, Assignment
from autograder.course.cells import flag, grade_id_of, load_cells, read_cells, text_of
from autograder.course.course import Course
from autograder.course.submission import read_submission
from autograder.errors import SubmissionUnreadable
from autograder.progress import ProgressListener, no_progress

GRAM = {"code": 12, "words": 5}
"""Tokens of one fingerprint."""
WINDOW = 6
"""Every shared passage of GRAM + WINDOW - 1 tokens is found."""
FEWEST = 20
"""Fingerprints that a student needs at least to be compared: less is no work of one's own."""
OTHERS = 10
"""Students without a fingerprint that are added in thought, so that two who share it are few in a small class too."""
LOWEST = 0.4
"""Similarity below which a pair is not worth showing."""

Kind = Literal["code", "words"]
Token = tuple[str, int]
"""A token and its line."""
Hashes = NDArray[np.uint64]
_BASE = np.uint64(0x9E3779B97F4A7C15)
_GIVEN = np.iinfo(np.uint64).max
"""Stands where a run is part of what was given."""
_WORD = re.compile(r"\w+", re.UNICODE)
_LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENCODING, tokenize.ENDMARKER}


@dataclass(frozen=True)
class Part:
    """One piece of a submission: its module, or one answer in the notebook."""

    name: str
    kind: Kind
    text: str


@dataclass(frozen=True)
class Passage:
    """Lines of one part that two students share; lines count from 1."""

    part: str
    first_line: int
    last_line: int


@dataclass(frozen=True)
class Pair:
    """Two students whose work is alike.

    Attributes:
        similarity: Weighted share of the smaller one's fingerprints that the other one has too, 0 to 1.
        shared: How many fingerprints they share.
        rare: How many of those nobody else has.
        first_passages: Where they stand in the first one's files.
        second_passages: Where they stand in the second one's files.
    """

    first: str
    second: str
    similarity: float
    shared: int
    rare: int
    first_passages: tuple[Passage, ...]
    second_passages: tuple[Passage, ...]


Places = dict[int, list[tuple[str, int, int]]]
"""Fingerprint to part, first line and last line."""


def similar_pairs(
    course: Course,
    assignment: Assignment,
    folders: Mapping[str, Path],
    lowest: float = LOWEST,
    progress: ProgressListener = no_progress,
) -> list[Pair]:
    """Return the pairs of a class that are alike, the most alike first.

    Args:
        course: The course.
        assignment: The assignment; its built notebook and its release say what was given.
        folders: Student to submission folder.
        lowest: Least similarity to return.
        progress: Receives progress updates.
    """
    works = {}
    for student, folder in folders.items():
        try:
            files = read_submission(folder, assignment.name, course.settings)
        except SubmissionUnreadable:
            continue
        works[student] = student_parts(assignment, files.module_bytes, files.notebook_bytes)
    return compare(works, given_parts(assignment), lowest, progress)


def compare(
    works: Mapping[str, Sequence[Part]],
    given: Iterable[Part] = (),
    lowest: float = LOWEST,
    progress: ProgressListener = no_progress,
) -> list[Pair]:
    """Return the pairs that are alike, the most alike first.

    Args:
        works: What each student wrote.
        given: What all of them were given.
        lowest: Least similarity to return.
        progress: Receives progress updates.
    """
    known = np.unique(np.concatenate([np.empty(0, np.uint64), *(_grams(part)[0] for part in given)]))
    places: dict[str, Places] = {}
    for student, parts in works.items():
        progress(len(places), len(works), student)
        places[student] = _fingerprints(parts, known)
    progress(len(places), len(works), "pairs")
    places = {student: found for student, found in places.items() if len(found) >= FEWEST}
    spread = Counter(number for found in places.values() for number in found)
    weights = {number: _weight(count, len(places)) for number, count in spread.items()}
    sums = {student: sum(weights[number] for number in found) for student, found in places.items()}
    pairs = []
    for first, second in combinations(sorted(places), 2):
        shared = places[first].keys() & places[second].keys()
        similarity = sum(weights[number] for number in shared) / min(sums[first], sums[second])
        if shared and similarity >= lowest:
            rare = sum(spread[number] == 2 for number in shared)
            passages = (_passages(places[student], shared) for student in (first, second))
            pairs.append(Pair(first, second, round(similarity, 4), len(shared), rare, *passages))
    return sorted(pairs, key=lambda pair: (-pair.similarity, -pair.rare, pair.first, pair.second))


def _weight(owners: int, students: int) -> float:
    """Return what a fingerprint counts: much if few have it; never quite nothing, however small the class."""
    return math.log((students + OTHERS) / owners) ** 2


def student_parts(assignment: Assignment, module: bytes | None, notebook: bytes | None) -> list[Part]:
    """Return what a student wrote: the module, and the answers of the notebook by grade_id."""
    cells = load_cells(assignment.notebook_path.read_bytes())
    answers: dict[str, Kind] = {
        grade_id_of(cell): "code" if cell["cell_type"] == "code" else "words"
        for cell in cells
        if flag(cell, "solution")
    }
    parts = [Part(f"{MODULE}.py", "code", module.decode("utf-8", "replace"))] if module is not None else []
    for cell in read_cells(notebook)[0]:
        if cell.grade_id in answers:
            parts.append(Part(cell.grade_id, answers[cell.grade_id], cell.source))
    return parts


def given_parts(assignment: Assignment) -> list[Part]:
    """Return what all students were given: the released modules and notebook, or those built for the release."""
    parts = [Part(path.name, "code", path.read_text("utf-8")) for path in assignment.given_modules]
    for folder in (assignment.source_dir, assignment.release_dir):
        module, notebook = folder / f"{MODULE}.py", folder / f"{assignment.name}.ipynb"
        if module.is_file():
            parts.append(Part(module.name, "code", module.read_text("utf-8")))
        if notebook.is_file():
            released = folder == assignment.release_dir
            # the built notebook holds the solved cells, which nobody was given
            cells = [cell for cell in load_cells(notebook.read_bytes()) if released or not flag(cell, "solution")]
            kinds: list[Kind] = ["code" if cell["cell_type"] == "code" else "words" for cell in cells]
            parts += [Part("given", kind, text_of(cell)) for kind, cell in zip(kinds, cells, strict=True)]
    return parts


def tokens_of(part: Part) -> list[Token]:
    """Return a part's tokens, normalised: in code, every name that a student may choose is `n`."""
    if part.kind == "words":
        lines = enumerate(part.text.split("\n"), start=1)
        return [(word.casefold(), number) for number, line in lines for word in _WORD.findall(line)]
    return list(_code_tokens(part.text))


def _code_tokens(text: str) -> Iterator[Token]:
    before: list[str] = ["", ""]
    for kind, string, line in _raw_tokens(text):
        if kind in _LAYOUT or string == ";":
            continue
        yield _normal(kind, string, before), line
        before = [before[1], string]


def _raw_tokens(text: str) -> Iterator[tuple[int, str, int]]:
    """Yield kind, text and line of each token; of text that is not Python, as far as it goes, then line by line."""
    reached = 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            reached = max(reached, token.end[0])
            yield token.type, token.string, token.start[0]
    except (SyntaxError, tokenize.TokenError, ValueError):
        for number, line in list(enumerate(text.split("\n"), start=1))[reached:]:
            for word in re.findall(r"\w+|[^\w\s]", line.split("#")[0]):
                yield (tokenize.NAME if word[0].isidentifier() else tokenize.OP), word, number


def _normal(kind: int, string: str, before: Sequence[str]) -> str:
    """Return a token without what a student may choose: names, texts and the depth of indentation."""
    if kind == tokenize.INDENT:
        return "{"
    if kind == tokenize.DEDENT:
        return "}"
    if kind == tokenize.STRING:
        return "s"
    if kind != tokenize.NAME or keyword.iskeyword(string):
        return string
    attribute = before[1] == "." and before[0] != "self"  # a library's name, which nobody may choose
    return string if attribute else "n"


def _grams(part: Part) -> tuple[Hashes, list[int]]:
    """Return the hash of every run of GRAM tokens, (runs,), and the line of every token, (tokens,)."""
    tokens, size = tokens_of(part), GRAM[part.kind]
    numbers = np.array([_number(part.kind, token) for token, _ in tokens], dtype=np.uint64)
    lines = [line for _, line in tokens]
    if len(tokens) < size:
        return np.empty(0, np.uint64), lines
    powers = _BASE ** np.arange(size, dtype=np.uint64)  # wraps around at 2**64, as it may
    return sliding_window_view(numbers, size) @ powers, lines


@functools.lru_cache(maxsize=1 << 16)
def _number(kind: Kind, token: str) -> int:
    digest = hashlib.blake2b(f"{kind} {token}".encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _fingerprints(parts: Sequence[Part], known: Hashes) -> Places:
    """Return the winnowed fingerprints of one student: of every WINDOW runs in a row, the one with the least hash."""
    found: Places = {}
    for part in parts:
        runs, lines = _grams(part)
        if not len(runs):
            continue
        own = np.where(np.isin(runs, known), _GIVEN, runs)
        windows = sliding_window_view(own, min(WINDOW, len(own)))  # (windows, WINDOW)
        chosen = np.unique(windows.argmin(axis=1) + np.arange(len(windows)))
        for start in chosen[own[chosen] != _GIVEN]:
            place = (part.name, lines[start], lines[start + GRAM[part.kind] - 1])
            found.setdefault(int(runs[start]), []).append(place)
    return found


def _passages(places: Places, shared: Iterable[int]) -> tuple[Passage, ...]:
    """Return the lines where shared fingerprints stand, those that touch put together."""
    passages: list[Passage] = []
    for part, first, last in sorted(place for number in shared for place in places[number]):
        if passages and passages[-1].part == part and first <= passages[-1].last_line + 1:
            passages[-1] = Passage(part, passages[-1].first_line, max(last, passages[-1].last_line))
        else:
            passages.append(Passage(part, first, last))
    return tuple(passages)

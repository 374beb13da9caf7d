"""Fingerprints of what students write: winnowing over tokens, so that renaming and layout do not count.

Reference:
    Schleimer, Wilkerson and Aiken, "Winnowing: Local Algorithms for Document Fingerprinting", SIGMOD 2003.
"""

from __future__ import annotations

import functools
import hashlib
import io
import keyword
import re
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

GRAM = {"code": 12, "words": 5}
"""Tokens in a run, of which a fingerprint is the hash."""
WINDOW = 6
"""Runs of which one is chosen: every shared passage of GRAM + WINDOW - 1 tokens is found."""

TextKind = Literal["code", "words"]
Token = tuple[str, int]
"""A token and its line."""
Hashes = NDArray[np.uint64]
_BASE = np.uint64(0x9E3779B97F4A7C15)
_GIVEN = np.iinfo(np.uint64).max
"""Stands for the hash of a run that was given, so that it is never the least of a window."""
_WORD = re.compile(r"\w+", re.UNICODE)
_LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENCODING, tokenize.ENDMARKER}


@dataclass(frozen=True)
class Part:
    """One piece of a submission: its module, or one answer in the notebook."""

    name: str
    kind: TextKind
    text: str


@dataclass(frozen=True, order=True)
class Passage:
    """Lines of one part; lines count from 1."""

    part: str
    first_line: int
    last_line: int


Fingerprints = dict[int, list[Passage]]
"""Each fingerprint, and where it stands."""


def fingerprints(parts: Iterable[Part], given: Hashes) -> Fingerprints:
    """Return the winnowed fingerprints of one student's work.

    Of every WINDOW runs in a row, the one with the least hash is chosen.

    Args:
        parts: What the student wrote.
        given: Hashes of the runs that all students were given; they are left out.
    """
    found: Fingerprints = {}
    for part in parts:
        runs, lines = _runs(part)
        if not len(runs):
            continue
        own = np.where(np.isin(runs, given), _GIVEN, runs)
        windows = sliding_window_view(own, min(WINDOW, len(own)))  # (windows, WINDOW)
        chosen = np.unique(windows.argmin(axis=1) + np.arange(len(windows)))
        for start in chosen[own[chosen] != _GIVEN]:
            passage = Passage(part.name, lines[start], lines[start + GRAM[part.kind] - 1])
            found.setdefault(int(runs[start]), []).append(passage)
    return found


def run_hashes(parts: Iterable[Part]) -> Hashes:
    """Return the hash of every run of tokens in these parts, each once."""
    return np.unique(np.concatenate([np.empty(0, np.uint64), *(_runs(part)[0] for part in parts)]))


def joined(passages: Iterable[Passage]) -> tuple[Passage, ...]:
    """Return passages in order, those that touch or overlap put together."""
    together: list[Passage] = []
    for passage in sorted(passages):
        last = together[-1] if together else None
        if last and last.part == passage.part and passage.first_line <= last.last_line + 1:
            together[-1] = Passage(last.part, last.first_line, max(last.last_line, passage.last_line))
        else:
            together.append(passage)
    return tuple(together)


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


def _runs(part: Part) -> tuple[Hashes, list[int]]:
    """Return the hash of every run of GRAM tokens, (runs,), and the line of every token, (tokens,)."""
    tokens, size = tokens_of(part), GRAM[part.kind]
    numbers = np.array([_number(part.kind, token) for token, _ in tokens], dtype=np.uint64)
    lines = [line for _, line in tokens]
    if len(tokens) < size:
        return np.empty(0, np.uint64), lines
    powers = _BASE ** np.arange(size, dtype=np.uint64)  # wraps around at 2**64, as it may
    return sliding_window_view(numbers, size) @ powers, lines


@functools.lru_cache(maxsize=1 << 16)
def _number(kind: TextKind, token: str) -> int:
    digest = hashlib.blake2b(f"{kind} {token}".encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big")

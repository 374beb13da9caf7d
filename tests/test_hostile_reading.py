"""What the grader itself reads of a hand-in, outside the wall: bounded for each, and no harm to the others.

Nothing is graded here, results are made: it is reading, recording, pages and comparisons that are tried.
"""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autograder.cli.main import main
from tests.tiny import TinyCourse, tiny_result

TIMES, MIB = 40, 500
"""What one hand-in may take of the grader's processor, as a multiple of an ordinary one, and of its memory. The
dearest, thousands of code cells, takes 20 times as much."""
HONEST = "def double(x):\n    return 2 * x\n" + "".join(f"step_{n} = double({n})\n" for n in range(60))


def answer(text: str) -> Callable[[TinyCourse], bytes]:
    """Return what makes a notebook with this answer in words."""
    return lambda course: notebook(course, answer=text)


def points(value: object) -> Callable[[TinyCourse], bytes]:
    """Return what makes a notebook with these points in a cell's metadata."""

    def made(course: TinyCourse) -> bytes:
        return notebook(course, points=424242).replace(b"424242", str(value).encode())

    return made


def cells(kind: str, text: str, count: int) -> Callable[[TinyCourse], bytes]:
    """Return what makes a notebook with further cells."""
    cell: dict[str, Any] = {"cell_type": kind, "id": "more", "metadata": {}, "source": text}
    if kind == "code":
        cell |= {"outputs": [], "execution_count": None}
    return lambda course: notebook(course, further=[cell] * count)


def notebook(course: TinyCourse, answer: str = "two", further: list[Any] | None = None, **settings: object) -> bytes:
    """Return the released notebook with an answer, cells, or settings of nbgrader's changed."""
    released = course.released_notebook()
    for cell in released["cells"]:
        nbgrader = cell["metadata"].get("nbgrader", {})
        if nbgrader.get("grade_id") == "question_01":
            cell["source"] = answer
            nbgrader |= settings
    released["cells"] += further or []
    return json.dumps(released).encode()


NOTEBOOKS: dict[str, Callable[[TinyCourse], bytes]] = {
    "points-of-400-digits": points("1" * 400),
    "points-without-end": points("Infinity"),
    "points-that-are-text": points('"' + "a" * 1000 + '"'),
    "points-that-are-a-list": points([1] * 1000),
    "nested": lambda _: b'{"nbformat": 4, "cells": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "backslashes": answer("\\ " * 25_000),
    "spaces": answer(" " * 49_999 + "a"),
    "brackets": answer("[" * 90_000),
    "few-brackets": answer("[" * 2_900),
    "stars": answer("**a_" * 700),
    "backticks": answer("".join("`" * width + " " for width in range(1, 70))),
    "quotes": answer(">" * 2_900),
    "lists": answer("".join(" " * depth + "- a\n" for depth in range(200))),
    "formulas": answer("$$ \\begin{a}" * 900),
    "tables": answer("|a" * 900 + "\n" + "|-" * 900 + "\n" + "|b" * 900),
    "tags": answer("<div>" * 1_400),
    "links": answer("[a](<b" * 700),
    "lines": answer("\n \n" * 9_000),
    "references": answer("".join(f"[{n}]: a\n" for n in range(900)) + "[1]" * 400),
    "cells": cells("markdown", "a", 5_000),
    "code-cells": cells("code", "x = 1", 5_000),
    "long-cells": cells("markdown", "\\ " * 25_000, 60),
    "hard-cells": cells("markdown", "[" * 2_900, 60),
}
MODULES = {
    "lines": "x = 1\n" * 1_500_000,
    "parentheses": "(" * 100_000,
    "signs": "-" * 200_000 + "1",
    "one-long-line": "x = '" + "a" * 9_000_000 + "'",
    "indentation": "".join(" " * depth + "if x:\n" for depth in range(3_000)),
    "punycode": "# coding: punycode\n" + "a" * 400_000,
    "quotes": "'''" * 100_000,
    "names": "".join(f"a{number} = {number}\n" for number in range(400_000)),
}


@pytest.mark.slow
def test_reading_is_bounded_and_keeps_nothing_from_the_others(
    released_course: TinyCourse, capsys: pytest.CaptureFixture[str]
) -> None:
    course = released_course
    where = ["--course", str(course.root), "--assignment", "tiny"]
    for student in ("ana", "ben"):
        hand_in(course, student, notebook(course), HONEST)
    main(["feedback", *where])  # imports what is needed
    began = time.process_time()
    for student in ("cem", "dan", "eve"):
        hand_in(course, student, notebook(course), HONEST)
        main(["feedback", student, *where])
    most = TIMES * (time.process_time() - began) / 3
    too_much: dict[str, str] = {}
    hostile = {f"notebook-{name}": (make(course), HONEST) for name, make in NOTEBOOKS.items()}
    hostile |= {f"module-{name}": (notebook(course), text) for name, text in MODULES.items()}
    for student, (theirs, module) in hostile.items():
        began, memory = time.process_time(), peak_mib()
        hand_in(course, student, theirs, module)
        status = main(["feedback", student, *where])
        spent, grown = time.process_time() - began, peak_mib() - memory
        if status or spent > most or grown > MIB:
            too_much[student] = f"status {status}, {spent:.1f} s, {grown} MiB, {capsys.readouterr().err[-200:]}"
    for command in (["report"], ["similarity"], ["export", "csv"]):
        began = time.process_time()
        status = main([*command, *where])
        spent = time.process_time() - began
        if status or spent > most * len(hostile):
            too_much[command[0]] = f"status {status}, {spent:.1f} s, {capsys.readouterr().err[-200:]}"
    assert too_much == {}
    assert "ana" in (course.root / "report/tiny/report.html").read_text()


def hand_in(course: TinyCourse, student: str, theirs: bytes, module: str) -> Path:
    """Hand in and record a made result."""
    folder = course.hand_in(student, theirs, module)
    course.record(student, folder, tiny_result())
    return folder


def peak_mib() -> int:
    """Return the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

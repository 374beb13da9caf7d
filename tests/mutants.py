"""Submissions that nobody wrote on purpose: those of `tiny`, with modules, notebooks and folders mutated."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from autograder.course.assignment import load_assignment
from autograder.course.course import read_course
from autograder.errors import AutograderError
from autograder.grading.result_store import CachedGrader
from autograder.rendering.result_text import render_text
from autograder.results import SubmissionResult, from_json, to_json
from tests.kills import make_course
from tests.tiny import TinyCourse, scores

MODULES = (
    "import tensorflow as tf\n\n\ndef double(x):\n    factor = 2\n    return factor * x\n",
    "def double(x):\n    '''Say \"twice\".'''\n    return [[2.0 * number for number in row] for row in x.numpy()]\n",
    "class Doubler:\n    def __call__(self, x):\n        return x + x\n\n\ndouble = Doubler()\n",
)
WORDS = (
    "return", "while True: pass", "raise SystemExit(3)", "import os; os._exit(1)", "lambda: (yield)", "(" * 5000,
    "[" * 90 + "]" * 90, "9" * 5000, "1e999", "None", "del x", "global x", "x = x(x)", "\x00", "\ufeff", "\u202e",
    "# -*- coding: utf-7 -*-", "print('x' * 10_000_000)", "double = double", "def double(): pass", "import utilities",
    "async", "float('nan')", "exec('double = 3')", "import sys; sys.setrecursionlimit(10**9)", "\t", "\r", "\f", "'''",
    "open('/proc/self/mem', 'wb')", "import gc; gc.get_objects()[0]", "f'{x!r:{x}}'", "%matplotlib inline", "!ls", "?",
)  # fmt: skip
ODD: list[Any] = [
    None, True, 0, -1, 10**30, 1e308, math.nan, "", "x", "\ud800", "\x00", [], {}, [[]], [None], {"a": {}}, ["a", 3],
    "total", {"grade_id": "double"}, {"nbgrader": None}, "markdown", "<script>alert(1)</script>", "x" * 100_000,
]  # fmt: skip


def fuzz_submissions(root: Path, count: int, seed: int, tell: Callable[[Counter[str]], None]) -> Counter[str]:
    """Grade mutated submissions of a new course in `root`, record every tenth, and return how many ended how.

    Raises:
        AssertionError: If one ends in neither a mark nor a reason.
        Exception: Whatever the grader raises besides its own errors.
    """
    make_course(root, 0)
    with (root / "course_config.py").open("a") as file:
        file.write("\nc.Autograder.request_seconds = 5.0\nc.Autograder.load_seconds = 10.0\n")
    course, assignment = read_course(root), load_assignment(root, "tiny")
    notebook = json.loads((root / "release/tiny/tiny.ipynb").read_text())
    grader = CachedGrader(course, assignment)
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    outcomes: Counter[str] = Counter()
    try:
        for number in range(count):
            folder = root / "submitted" / f"student-{number}" / "tiny"
            write_mutant(rng, folder, notebook)
            try:
                outcome, result = judged(grader, folder)
                if result is not None and number % 10 == 0:
                    TinyCourse(course, assignment).record(f"student-{number}", folder, result)
                    marks = scores(course, assignment)[f"student-{number}"]
                    assert {task.id: task.score for task in result.tasks}.items() <= marks.items()
            except Exception as error:
                error.add_note(f"seed {seed}, submission {number}, left in {folder}")
                raise
            outcomes[outcome] += 1
            shutil.rmtree(folder.parent)
            tell(outcomes)
    finally:
        grader.close()
    return outcomes


def judged(grader: CachedGrader, folder: Path) -> tuple[str, SubmissionResult | None]:
    """Grade a folder; it must end in full marks, or in fewer with a reason, or in an error with one."""
    try:
        result = grader.grade(folder, "ada")
    except AutograderError as error:
        assert error.problem
        return f"error without a result ({type(error).__name__})", None
    assert msgspec.structs.asdict(from_json(to_json(result))) == msgspec.structs.asdict(result)
    text = render_text(result, {})
    assert text.isprintable() or "\n" in text
    assert [task.id for task in result.tasks] == ["double", "total"]
    for task in result.tasks:
        assert 0 <= task.score <= task.max_score
        assert all(check.message for check in task.checks if check.outcome in ("failed", "error"))
        assert task.score == task.max_score or any(check.outcome == "failed" for check in task.checks)
    if result.has_error:
        return "an internal error, its task held", result
    return ("full marks" if result.score == result.max_score else "some marks" if result.score else "0"), result


def write_mutant(rng: random.Random, folder: Path, notebook: dict[str, Any]) -> None:
    """Write one submission: mutated module, mutated notebook, and seldom a folder that is odd itself."""
    folder.mkdir(parents=True)
    (folder / "utilities.py").write_bytes(_module(rng))
    (folder / "tiny.ipynb").write_bytes(_notebook(rng, notebook))
    if rng.random() < 0.15:
        _spoil(rng, folder / rng.choice(("utilities.py", "tiny.ipynb", "numpy.py", "timestamp.txt")))


def _spoil(rng: random.Random, path: Path) -> None:
    path.unlink(missing_ok=True)
    fate = rng.choice(("missing", "folder", "link", "loop", "pipe", "empty", "noise"))
    if fate == "folder":
        path.mkdir()
    elif fate in ("link", "loop"):
        path.symlink_to("/etc/passwd" if fate == "link" else path)
    elif fate == "pipe":
        os.mkfifo(path)
    elif fate != "missing":
        path.write_bytes(b"" if fate == "empty" else rng.randbytes(2000))


def _module(rng: random.Random) -> bytes:
    text = rng.choice(MODULES)
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        text = _reworded(rng, text)
    data = text.encode("utf-8", "surrogatepass")
    return _noisy(rng, data) if rng.random() < 0.15 else data


def _reworded(rng: random.Random, text: str) -> str:
    """Return the text with a line removed, doubled, moved, shifted or replaced, or a word put in."""
    lines = text.split("\n")
    place = rng.randrange(len(lines))
    fate = rng.randrange(6)
    if fate == 0:
        del lines[place]
    elif fate == 1:
        lines.insert(place, lines[place] * rng.choice((1, 1, 50)))
    elif fate == 2:
        rng.shuffle(lines)
    elif fate == 3:
        lines[place] = rng.choice((" ", "    ", "\t")) + lines[place]
    elif fate == 4:
        indent = lines[place][: len(lines[place]) - len(lines[place].lstrip())]
        lines[place] = indent + rng.choice(WORDS)
    else:
        column = rng.randrange(len(lines[place]) + 1)
        lines[place] = lines[place][:column] + rng.choice(WORDS) + lines[place][column:]
    return "\n".join(lines)


def _notebook(rng: random.Random, released: dict[str, Any]) -> bytes:
    notebook = json.loads(json.dumps(released))
    for cell in notebook["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == "total_answer":
            cell["source"] = "total = sum(range(size))\nsquares = [n * n for n in range(size)]"
            for _ in range(rng.choice((0, 0, 1, 2))):
                cell["source"] = _reworded(rng, cell["source"])
    for _ in range(rng.choice((0, 0, 1, 2, 5))):
        notebook = _changed(rng, notebook)
    data = json.dumps(notebook).encode("utf-8", "surrogatepass")
    return _noisy(rng, data) if rng.random() < 0.15 else data


def _changed(rng: random.Random, tree: Any) -> Any:
    """Return the tree with one part replaced, removed, doubled or added."""
    if isinstance(tree, dict) and tree and rng.random() < 0.9:
        key = rng.choice(list(tree))
        rest = {name: part for name, part in tree.items() if name != key}
        fate = rng.random()
        if fate < 0.15:
            return rest
        return rest | {
            rng.choice(("source", "cells", "nbgrader", "x")) if fate < 0.25 else key: _changed(rng, tree[key])
        }
    if isinstance(tree, list) and tree and rng.random() < 0.9:
        place = rng.randrange(len(tree))
        times = rng.choice((0, 1, 1, 1, 2, 300))
        return [*tree[:place], *[_changed(rng, tree[place])] * times, *tree[place + 1 :]]
    return rng.choice(ODD)


def _noisy(rng: random.Random, data: bytes) -> bytes:
    """Return the bytes cut, flipped, of another encoding, or within very many brackets."""
    fate = rng.randrange(5)
    if fate == 0:
        return data[: rng.randrange(len(data) + 1)]
    if fate == 1:
        changed = bytearray(data)
        for _ in range(rng.choice((1, 5, 50)) if data else 0):
            changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        return bytes(changed)
    if fate == 2:
        return data.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-8-sig", "utf-32")))
    if fate == 3:
        return data.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\x00", b"\xe2\x80\xa8")))
    return b"[" * rng.choice((10, 1000, 200_000)) + data

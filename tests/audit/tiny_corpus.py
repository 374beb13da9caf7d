"""A corpus of the miniature course."""

from __future__ import annotations

from pathlib import Path

from tests.tiny import TinyCourse

TINY_CORPUS = """
[[variant]]
slug = "adds-one"
task = "double"
misconception = "off_by_one"
replace = [["twice_of_everything = 2.0 * x", "twice_of_everything = x + 1.0"]]

[[variant]]
slug = "total-is-off"
cell = "total_answer"
task = "total"
says = "not the sum"
text = "total = 0"
"""


def write_corpus(course: TinyCourse, text: str = TINY_CORPUS) -> Path:
    """Write a corpus into a miniature course."""
    folder = course.root / "tests" / "submissions"
    (folder / "wrong").mkdir(parents=True)
    (folder / "wrong" / "tiny.toml").write_text(text)
    (folder / "right").mkdir()
    (folder / "right" / "plus.py").write_text("def double(x):\n    return x + x\n")
    return folder

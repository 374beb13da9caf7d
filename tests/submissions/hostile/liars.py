"""Liars: submissions that score without the skill. Tables of `liars/`, put together into few submissions.

A liar has these keys:

    slug     its name
    about    what it tries, where the slug does not say it
    group    liars of one group are one submission
    tasks    what it wants points for; no two liars of a group want the same
    module   what it adds to the module
    patched  true: its module may change the answering code with `tell`; see `PATCH`
    cells    its answers, by grade_id
    marks    the points that it gets without the skill, by task: all of them rest on testimony (docs/evidence.md)
    earned   the points that it gets for what it really does, by task

What is not lied about is not answered at all.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from autograder.course.assignment import MODULE
from autograder.course.cells import grade_id_of
from autograder.course.submission import Snapshot

FOLDER = Path(__file__).parent / "liars"

HEAD = "import numpy as np\nimport tensorflow as tf\nimport tf_keras as keras\n\n"
PATCH = '''
from autograder import wire
from autograder.student_side.server import Server


def tell(lie):
    """Let lie(question, honest) answer in place of the answering code, or call honest() for what that says."""
    before = Server.answer

    def answer(self, request):
        honest = lambda: before(self, request)
        told = lie(request.question, honest)
        is_reply = isinstance(told, (wire.Answer, wire.Raised))
        return told if is_reply else wire.Answer(request.id, told)

    Server.answer = answer


'''


@dataclass(frozen=True)
class Liar:
    """One liar; for the fields see the module."""

    slug: str
    group: str
    tasks: tuple[str, ...]
    about: str = ""
    module: str = ""
    patched: bool = False
    cells: dict[str, str] = field(default_factory=dict)
    marks: dict[str, float] = field(default_factory=dict)
    earned: dict[str, float] = field(default_factory=dict)


def read_liars() -> dict[str, list[Liar]]:
    """Read all tables, by group.

    Raises:
        TypeError: If a liar has an unknown key.
        ValueError: If two liars have one slug, or want points for the same task in one group.
    """
    rows = [row for path in sorted(FOLDER.glob("*.toml")) for row in tomllib.loads(path.read_text("utf-8"))["liar"]]
    liars = [Liar(**{**row, "tasks": tuple(row["tasks"])}) for row in rows]
    if len({liar.slug for liar in liars}) < len(liars):
        raise ValueError("two liars have one slug")
    groups: dict[str, list[Liar]] = {}
    for liar in liars:
        group = groups.setdefault(liar.group, [])
        if {task for other in group for task in other.tasks} & set(liar.tasks):
            raise ValueError(f"{liar.slug}: another liar of its group wants the same points")
        group.append(liar)
    return groups


def points_of(liars: list[Liar]) -> dict[str, float]:
    """Return the points that liars of one group get, by task: those without the skill, and those for it."""
    points: dict[str, float] = {}
    for liar in liars:
        for task in liar.tasks:
            points[task] = round(liar.marks.get(task, 0.0) + liar.earned.get(task, 0.0), 2)
    return {task: score for task, score in points.items() if score}


def submission_of(liars: list[Liar], source: bytes, name: str) -> Snapshot:
    """Return one submission of all these liars.

    Args:
        liars: Of one group.
        source: The assignment's notebook, whose answers are replaced.
        name: Of the assignment.
    """
    prelude = HEAD + (PATCH if any(liar.patched for liar in liars) else "")
    module = prelude + "\n\n".join(liar.module for liar in liars)
    cells = {cell: text for liar in liars for cell, text in liar.cells.items()}
    notebook = json.loads(source)
    for cell in notebook["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("solution"):
            cell["source"] = cells.pop(grade_id_of(cell), "raise NotImplementedError")
    if cells:
        raise ValueError(f"the notebook has no cell {sorted(cells)[0]!r}")
    return Snapshot({f"{MODULE}.py": module.encode(), f"{name}.ipynb": json.dumps(notebook).encode()}, f"{name}.ipynb")

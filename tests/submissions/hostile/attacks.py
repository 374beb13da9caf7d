"""Attacks as data: the tables of this folder, each attack put into the places where student code runs.

An attack has these keys:

    slug     its name
    about    what it tries, where the slug does not say it
    places   where its code is put; see `PLACES`
    code     Python. `@ROOT@` (the course), `@HOME@`, `@OUTSIDE@` (a folder), `@REPOSITORY@`, `@PID@` (the grader's),
             `@PORT@`, `@SOCKET@` and `@ABSTRACT@` (where the grader listens) are filled in
    reason   pattern of what a check must say where the code's own error reaches one: shows that it ran
    solved   true: everything but the attack is right, and keeps its marks

Unless it is solved everything around the code is wrong: no attack may earn a mark.
"""

from __future__ import annotations

import json
import textwrap
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent

WRONG = "def double(x):\n    return x\n\n\ndef quadruple(x):\n    return x\n"
RIGHT = "def double(x):\n    return 2 * x\n\n\ndef quadruple(x):\n    return 4 * x\n"
_HEAD = "import tensorflow as tf\nimport tf_keras as keras\n\n"
_LATER = "\n\ndef quadruple(x):\n    return x\n"
_ATTACK = "def attack():\n{body}\n\n\n"

PLACES = {
    "import": _HEAD + "{code}\n\n{rest}",
    "call": _HEAD + "def double(x):\n{body}\n    return x\n" + _LATER,
    "later": _HEAD + "def double(x):\n    return x\n\n\ndef quadruple(x):\n{body}\n    return x\n",
    "layer": _HEAD + "class Double(keras.layers.Layer):\n    def call(self, x):\n{deep}\n        return x\n\n\n"
    "def double(x):\n    return Double()(x)\n" + _LATER,
    "thread": "import threading\n" + _HEAD + _ATTACK + "thread = threading.Thread(target=attack, daemon=True)\n"
    "thread.start()\n\n\ndef double(x):\n    thread.join(1.0)\n    return x\n" + _LATER,
    "finalizer": _HEAD + "class Last:\n    def __del__(self):\n{deep}\n\n\n"
    "def double(x):\n    Last()\n    return x\n" + _LATER,
    "atexit": "import atexit\n" + _HEAD + _ATTACK + "atexit.register(attack)\n\n\n"
    "def double(x):\n    atexit._run_exitfuncs()\n    return x\n" + _LATER,
    "hook": "import sys\n" + _HEAD + "class Finder:\n    def find_spec(self, *names):\n{deep}\n\n\n"
    "sys.meta_path.insert(0, Finder())\n\n\ndef double(x):\n    import colorsys\n    return x\n" + _LATER,
    "message": _HEAD + "class Loud(Exception):\n    def __str__(self):\n{deep}\n        return 'loud'\n\n\n"
    "def double(x):\n    raise Loud\n" + _LATER,
    "module": _HEAD + "{code}",
}
"""The student's module around an attack: `code` as it is, as a function's `body`, or a method's (`deep`)."""
CELLS = {"cell": "total = 0\n{code}", "whole_cell": "{code}"}
"""The same for the notebook's answer cell."""
_QUIET = {"thread", "finalizer", "atexit", "hook"}  # where an error is swallowed


@dataclass(frozen=True)
class Attack:
    """One attack in one place.

    Attributes:
        reason: Pattern of what some check must say; empty where nothing is known of it.
    """

    slug: str
    place: str
    code: str
    reason: str
    solved: bool

    @property
    def name(self) -> str:
        """Slug and place."""
        return f"{self.slug}-in-{self.place}"

    @property
    def marks(self) -> dict[str, float]:
        """Points that it may have at most; at least, too, if it is solved."""
        return {"double": 3.0} if self.solved else {}

    @property
    def needs_stand_ins(self) -> bool:
        """Whether it is about the reference parts that stand in for wrong ones."""
        return self.place in ("later", "module")

    def module(self, fill: dict[str, str]) -> str:
        """Return the student's module."""
        if self.place in CELLS:
            return RIGHT if self.solved else WRONG
        code = filled(self.code, fill)
        parts = {"body": textwrap.indent(code, " " * 4), "deep": textwrap.indent(code, " " * 8)}
        text = PLACES[self.place]
        for name, part in ({"code": code, "rest": RIGHT if self.solved else WRONG} | parts).items():
            text = text.replace("{" + name + "}", part)
        return text

    def cell(self, fill: dict[str, str]) -> str:
        """Return the student's answer cell."""
        return CELLS.get(self.place, "total = 0").replace("{code}", filled(self.code, fill))


def filled(code: str, fill: dict[str, str]) -> str:
    """Return the code with names between at signs replaced."""
    for name, value in fill.items():
        code = code.replace(f"@{name}@", value)
    return code


def read_attacks() -> list[Attack]:
    """Read all tables of this folder.

    Raises:
        ValueError: If a table has an unknown key or place, or two attacks have one slug.
    """
    rows = [row for path in sorted(FOLDER.glob("*.toml")) for row in tomllib.loads(path.read_text("utf-8"))["attack"]]
    slugs = [row["slug"] for row in rows]
    twice = {slug for slug in slugs if slugs.count(slug) > 1}
    if twice:
        raise ValueError(f"two attacks have the slug {sorted(twice)[0]!r}")
    return [attack for row in rows for attack in _attacks(row)]


def _attacks(row: dict[str, Any]) -> list[Attack]:
    unknown = set(row) - {"slug", "about", "places", "code", "reason", "solved"}
    unknown |= set(row["places"]) - set(PLACES) - set(CELLS)
    if unknown:
        raise ValueError(f"{row['slug']}: unknown key or place {sorted(unknown)[0]!r}")
    made = []
    for place in row["places"]:
        reason = "" if place in _QUIET else row.get("reason", "")
        made.append(Attack(row["slug"], place, row["code"].rstrip("\n"), reason, row.get("solved", False)))
    return made


def notebook(released: bytes, answer: str) -> bytes:
    """Return the released notebook with this text in its answer cell."""
    data = json.loads(released)
    for cell in data["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == "total_answer":
            cell["source"] = answer
    return json.dumps(data).encode()

"""What the lab's texts claim: every number that can be computed is computed; the others say where they are from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from autograder.course.cells import load_cells, text_of
from tests.course import lab_quantities

ROOT = Path(__file__).parents[2]
CLAIMS: list[dict[str, Any]] = tomllib.loads((Path(__file__).parent / "claims.toml").read_text())["claim"]


def words_of(file: str) -> str:
    """A file's text in one line; of a notebook, its cells' texts, of a module, comments without their marks."""
    path = ROOT / file
    if path.suffix == ".ipynb":
        text = "\n".join(map(text_of, load_cells(path.read_bytes())))
    else:
        text = path.read_text("utf-8")
    if path.suffix == ".py":
        text = re.sub(r"(?m)^\s*#(?= )", "", text)
    return re.sub(r"\s+", " ", text)


TEXTS = {file: words_of(file) for file in {claim["file"] for claim in CLAIMS}}


def name_of(claim: dict[str, Any]) -> str:
    return f"{claim['text'][:50]} {claim.get('quantity', '')}"


@pytest.mark.parametrize("claim", CLAIMS, ids=name_of)
def test_a_claim_stands_in_its_text(claim: dict[str, Any]) -> None:
    assert claim["text"] in TEXTS[claim["file"]]
    assert ("quantity" in claim) != ("source" in claim)


@pytest.mark.parametrize("claim", [claim for claim in CLAIMS if "quantity" in claim], ids=name_of)
def test_a_claim_is_what_its_quantity_gives(claim: dict[str, Any]) -> None:
    computed = getattr(lab_quantities, claim["quantity"])(*claim.get("arguments", ()))
    assert abs(computed - claim["value"]) <= claim["within"], computed

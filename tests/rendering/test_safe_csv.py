"""Cells that no spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io

import pytest

from autograder.rendering.safe_csv import csv_bytes, safe_cell

FORMULAS = ["=1+1", "+1+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "\uff1d1+1", " \uff1d1", "\n=1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_are_disarmed(text: str) -> None:
    assert safe_cell(text).startswith("'")
    ((read,),) = csv.reader(io.StringIO(csv_bytes([[text]]).decode(), newline=""))
    assert read == safe_cell(text)


@pytest.mark.parametrize(
    "value", ["-1.5", "+3", "12", "3,5", "-", "", "a=b", "ada@example.org", "x-1", "O'Brien", "a; -1"]
)
def test_numbers_and_harmless_texts_stay(value: str) -> None:
    assert safe_cell(value) == value


@pytest.mark.parametrize("text", ["a;=1+1", "a;\uff1d1", "a\n-2+3", "Ada;@SUM(A1);+1", 'x";=cmd|"'])
def test_formulas_are_disarmed_where_a_spreadsheet_splits_at_semicolons(text: str) -> None:
    written = csv_bytes([["id", text, 1.5]]).decode()
    for delimiter in ",;":
        cells = [cell for row in csv.reader(io.StringIO(written, newline=""), delimiter=delimiter) for cell in row]
        assert not [cell for cell in cells if cell.lstrip().startswith(("=", "+", "-", "@", "\uff1d"))]


def test_numbers_are_short_and_negative_ones_stay_numbers() -> None:
    assert [safe_cell(value) for value in (-1.5, 0.1 + 0.2, 100.0, 7, None)] == ["-1.5", "0.3", "100", "7", ""]

"""The questions of an assignment as whoever marks them needs them: text, model answer, rubric."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from nbformat import NotebookNode

from autograder.course.cells import Cell, flag, grade_id_of, load_cells, text_of
from autograder.course.notebook import model_answers
from autograder.course.rubrics import RubricItem, rubric_of
from autograder.errors import UsageError
from autograder.feedback.notebook_cells import shown_source
from autograder.text import Titles, title_of

ALL = "all"
"""Id of the one item that stands for a rubric where a question has none."""


@dataclass(frozen=True)
class Question:
    """One question that a person marks.

    Attributes:
        text: What is asked, as HTML; empty where no words stand before the answer.
        guide: The model answer, as HTML.
        items: The rubric.
        given: The answer's cell as students get it, by which untouched answers are told.
    """

    id: str
    title: str
    points: float
    text: Markup
    guide: Markup
    items: tuple[RubricItem, ...]
    given: str


def read_questions(root: Path, assignment: str, titles: Titles) -> list[Question]:
    """Return the questions of an assignment, in the notebook's order.

    Args:
        root: The course folder.
        assignment: Name of the assignment.
        titles: Of its tasks and questions.

    Raises:
        UsageError: If it has none.
    """
    source = (root / "source" / assignment / f"{assignment}.ipynb").read_bytes()
    release = root / "release" / assignment / f"{assignment}.ipynb"
    released = load_cells(release.read_bytes()) if release.is_file() else []
    given = {grade_id_of(cell): text_of(cell) for cell in released}
    cells, answers = load_cells(source), model_answers(source)
    questions = [
        _question(cells, place, answers[grade_id_of(cell)], given, titles)
        for place, cell in enumerate(cells)
        if flag(cell, "grade") and flag(cell, "solution")
    ]
    if not questions:
        raise UsageError(f"{assignment} has no question that a person marks.")
    return questions


def _question(cells: list[Cell], place: int, answer: str, given: dict[str, str], titles: Titles) -> Question:
    cell = cells[place]
    name, points = grade_id_of(cell), float(cell["metadata"]["nbgrader"]["points"])
    before = cells[place - 1] if place else cell
    asked = text_of(before) if before["cell_type"] == "markdown" and not flag(before, "solution") else ""
    items = rubric_of(cell) or (RubricItem(ALL, points, "Right."),)
    return Question(
        id=name,
        title=title_of(name, titles),
        points=points,
        text=as_html(asked, "markdown"),
        guide=as_html(answer, str(cell["cell_type"])),
        items=items,
        given=given.get(name, "").strip(),
    )


def as_html(text: str, kind: str, pictures: dict[str, dict[str, str]] | None = None) -> Markup:
    """Return a cell's text as clean HTML with its formulas and pictures; nothing in it runs, loads or covers anything.

    Args:
        text: Of the cell.
        kind: `markdown`, `code` or `raw`.
        pictures: What was pasted into it, as notebooks hold it.
    """
    cell = NotebookNode({"cell_type": kind, "source": text, "attachments": pictures or {}, "metadata": {}})
    return shown_source(cell)

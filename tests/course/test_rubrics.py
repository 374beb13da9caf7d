"""Rubrics: read from the source notebook, refused where they do not fit, shown to people who mark."""

from __future__ import annotations

import json

import pytest

from autograder.course.cells import load_cells
from autograder.course.notebook import build_notebook, marking_guides
from autograder.course.rubrics import RubricItem, rubric_of
from autograder.errors import AssignmentError

FACTOR = {"id": "factor", "points": 1.5, "text": 'Says "two".'}
COST = {"id": "cost", "points": 0.5, "text": "One operation for each element."}


def notebook(rubric: object, **changes: object) -> bytes:
    """A notebook of one question whose answer cell has this rubric."""
    nbgrader = {"grade_id": "question_01", "grade": True, "solution": True, "points": 2} | changes
    ours = json.dumps({"rubric": rubric})
    header = f"# %% [markdown] autograder={ours} nbgrader={json.dumps(nbgrader)}"
    return build_notebook(f"{header}\n# ### BEGIN SOLUTION\n# Doubling.\n# ### END SOLUTION\n")


def test_items_are_read_from_the_cells_metadata() -> None:
    (cell,) = load_cells(notebook([FACTOR, COST]))
    assert rubric_of(cell) == (
        RubricItem("factor", 1.5, 'Says "two".'),
        RubricItem("cost", 0.5, "One operation for each element."),
    )


def test_people_who_mark_read_the_items_below_the_model_answer() -> None:
    assert marking_guides(notebook([FACTOR, COST | {"points": 0.5}]))["question_01"] == (
        'Doubling.\n\n*Rubric*\n\n- **1.5 points** (factor): Says "two".\n'
        "- **0.5 points** (cost): One operation for each element."
    )
    assert (
        "- **1 point** (a): b"
        in marking_guides(notebook([FACTOR | {"points": 1}, {"id": "a", "points": 1, "text": "b"}]))["question_01"]
    )


@pytest.mark.parametrize(
    ("rubric", "changes", "problem"),
    [
        ([FACTOR], {}, "items of 1.5 points in all; the cell has 2"),
        ([FACTOR, FACTOR], {"points": 3}, "two items with the same id"),
        ([FACTOR, COST], {"grade": False}, "is no answer that a person marks"),
        ([], {}, "items of 0 points in all"),
        ("2 points", {}, "cannot be read"),
        ([FACTOR | {"text": " "}], {}, "cannot be read"),
        ([FACTOR | {"id": "The factor"}], {}, "cannot be read"),
        ([FACTOR | {"points": "2"}], {}, "cannot be read"),
        ([FACTOR | {"points": -2}], {}, "cannot be read"),
        ([FACTOR | {"points": float("nan")}], {}, "cannot be read"),
        ([FACTOR | {"note": ""}], {}, "cannot be read"),
    ],
)
def test_a_rubric_that_does_not_fit_is_refused(rubric: object, changes: dict[str, object], problem: str) -> None:
    with pytest.raises(AssignmentError, match=problem):
        notebook(rubric, **changes)


def test_an_unknown_key_beside_the_rubric_is_refused() -> None:
    with pytest.raises(AssignmentError, match="cannot be read"):
        build_notebook('# %% [markdown] autograder={"rubrics": []}\n# Hm.\n')

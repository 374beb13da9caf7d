"""Which cells of a student's notebook may run, and where the names that they lack come from."""

from __future__ import annotations

import json
import re

import pytest

from autograder.course.cells import load_cells
from autograder.course.grading_notebook import GradingNotebook, assemble
from autograder.course.notebook import build_notebook, restore
from tests.tiny import TINY_NOTEBOOK

SOURCE = build_notebook(TINY_NOTEBOOK)


def with_cells(*sources: str, after: str, name: str | None = None) -> GradingNotebook:
    """The solved notebook with cells put in after the one with this grade_id."""
    notebook = json.loads(SOURCE)
    ids = [cell["metadata"].get("nbgrader", {}).get("grade_id") for cell in notebook["cells"]]
    metadata = {"nbgrader": {"grade_id": name}} if name else {}
    added = [{"cell_type": "code", "source": source, "metadata": metadata} for source in sources]
    place = ids.index(after) + 1
    notebook["cells"][place:place] = added
    return assemble(SOURCE, json.dumps(notebook).encode())


def test_added_cells_stand_where_the_student_put_them() -> None:
    graded = with_cells("def helper(): return 1", "helper()", after="double")
    ids = [cell.id for cell in graded.cells]
    assert ids[3:6] == [
        "a cell of your own (the notebook's code cell no. 4)",
        "a cell of your own (the notebook's code cell no. 5)",
        "total_answer",
    ]
    assert [cell.on_demand for cell in graded.cells if cell.added] == [True, True]
    assert graded.notes == ()


def test_cells_without_end_are_not_all_looked_at() -> None:
    """Each is parsed, here in the grader, where a name is lacking."""
    many = with_cells(*(f"a{number} = {number}" for number in range(5000)), after="double")
    long = with_cells(*(f"a{number} = '{'x ' * 45_000}'" for number in range(9)), after="double")
    assert [sum(cell.added for cell in graded.cells) for graded in (many, long)] == [400, 2]


def test_a_picture_in_a_cell_keeps_no_other_cell_from_being_looked_at() -> None:
    picture = f"photo = '{'iVBORw0K' * 40_000}'"
    graded = with_cells(picture, "words = '" + "x " * 150_000 + "'", "helper = 1", after="double")
    assert [sorted(cell.names.makes) for cell in graded.cells if cell.added] == [["photo"], ["helper"]]


def test_given_cells_without_a_name_are_not_added_ones_unless_they_were_changed() -> None:
    texts = [cell["source"] for cell in load_cells(SOURCE) if cell["source"] == "import utilities"]
    assert not [cell for cell in with_cells(*texts, after="double").cells if cell.added]
    assert [cell.source for cell in with_cells("import utilities, os", after="double").cells if cell.added]


def test_cells_whose_metadata_were_dropped_are_found_by_their_ids() -> None:
    notebook = json.loads(SOURCE)
    for cell in notebook["cells"]:
        cell["metadata"] = {}
    graded = assemble(SOURCE, json.dumps(notebook).encode())
    assert (graded.missing, graded.notes) == ((), ())
    assert graded == assemble(SOURCE, SOURCE)
    assert restore(SOURCE, json.dumps(notebook).encode()) == restore(SOURCE, SOURCE)


def test_an_id_does_not_stand_for_a_name_that_is_there() -> None:
    graded = with_cells("total = 6", after="total_answer")
    copied = json.loads(SOURCE)
    copied["cells"].append({"cell_type": "code", "id": "total-answer", "source": "total = 6", "metadata": {}})
    assert assemble(SOURCE, json.dumps(copied).encode()).missing == ()
    assert [cell.source for cell in assemble(SOURCE, json.dumps(copied).encode()).cells if cell.added] == ["total = 6"]
    assert [cell.source for cell in graded.cells if cell.added] == ["total = 6"]


def test_both_halves_of_a_split_cell_are_there() -> None:
    graded = with_cells("rest = 2", after="total_answer", name="total_answer")
    assert [cell.source for cell in graded.cells if cell.added] == ["rest = 2"]
    assert not [cell for cell in graded.cells if cell.is_answer and "rest" in cell.source]


def test_answers_supply_a_name_before_given_cells_and_those_before_added_ones() -> None:
    graded = with_cells("size = 5", "total = 6", after="total_answer")
    end = graded.places["total"]
    assert graded.makers("size", end)[0].id == "parameters"
    assert [cell.added for cell in graded.makers("total", end)] == [False, True]
    assert graded.makers("total", graded.places["total_answer"]) == []


@pytest.mark.parametrize("after", ["total", "question_01"])
def test_what_stands_too_far_down_is_named(after: str) -> None:
    graded = with_cells("def helper(): return 1", after=after)
    end = graded.places["total"]
    assert graded.makers("helper", end) == []
    assert graded.where_else("helper", end) == (
        "You define `helper` further down, in a cell of your own (the notebook's code cell no. 6). "
        "Move it up, into the answer that needs it."
    )
    assert graded.where_else("nothing", end) == ""


def test_a_cell_that_cannot_be_read_is_named_for_what_stands_in_it() -> None:
    graded = with_cells("# best() comes here", "%matplotlib inline", "def best(items: return items", after="parameters")
    end = graded.places["total"]
    assert re.fullmatch(
        r"`best` stands in a cell of your own \(the notebook's code cell no. \d\), which Python 3.\d+, with which work "
        r"is graded, cannot read.",
        graded.where_else("best", end),
    )
    assert graded.where_else("inline", end) == graded.where_else("comes", end) == graded.where_else("", end) == ""


def test_what_the_module_may_depend_on_is_read_from_own_cells() -> None:
    graded = with_cells(
        "import os; os.environ['TF_USE_LEGACY_KERAS'] = '1'\nos.environ['HOME'] = '/x'",
        'os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")',
        "%env TF_CPP_MIN_LOG_LEVEL=2\n%set_env TF_NUM_THREADS 4",
        "kept['TF_OTHER'] = '1'; seen = os.environ['TF_SEEN']",
        after="double",
    )
    assert graded.environment == {
        "TF_USE_LEGACY_KERAS": "1",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "TF_NUM_THREADS": "4",
    }

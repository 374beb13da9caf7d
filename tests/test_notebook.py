"""Notebooks: built the same every time, and nothing taken from a student's but the answers."""

from __future__ import annotations

import json
from typing import Any

import nbformat
import pytest

from autograder.errors import AssignmentError
from autograder.notebook import answer_sources, assemble, build_notebook, load_cells, manual_tasks, restore, text_of
from autograder.regions import solution_lines, stub_module
from tests.tiny import TINY_MODULE, TINY_NOTEBOOK

SOURCE = build_notebook(TINY_NOTEBOOK)


def cell(grade_id: str | None, source: Any = "x = 1", kind: str = "code", **metadata: Any) -> dict[str, Any]:
    """A cell as a student's notebook may hold it."""
    nbgrader = {} if grade_id is None else {"nbgrader": {"grade_id": grade_id}}
    return {"cell_type": kind, "source": source, "metadata": nbgrader | metadata}


def notebook(*cells: Any, nbformat: Any = 4) -> bytes:
    """A student's notebook."""
    return json.dumps({"nbformat": nbformat, "cells": list(cells)}).encode()


def test_rebuild_is_byte_identical() -> None:
    assert build_notebook(TINY_NOTEBOOK) == SOURCE


def test_built_notebook_is_valid_clean_and_ends_with_a_newline() -> None:
    built = json.loads(SOURCE)
    nbformat.validate(nbformat.from_dict(built))
    assert set(built["metadata"]) == {"kernelspec", "language_info"}
    assert [one["id"] for one in built["cells"]][1:3] == ["parameters", "0d2251a34a58"]
    assert SOURCE.endswith(b"}\n")


def test_cell_ids_do_not_move_when_a_cell_is_put_in_front() -> None:
    longer = build_notebook(TINY_NOTEBOOK.replace("# %% [markdown]\n# # Doubling", "# %%\n1\n\n# %% [markdown]\n# # D"))
    before = {one["id"] for one in json.loads(SOURCE)["cells"][1:]}
    assert before <= {one["id"] for one in json.loads(longer)["cells"]}


def test_equal_cells_get_different_ids() -> None:
    ids = [one["id"] for one in json.loads(build_notebook("# %%\n1\n\n# %%\n1\n"))["cells"]]
    assert len(set(ids)) == 2


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"grade_id": "total"', '"grade_id": "double"', "Two cells have the grade_id 'double'"),
        (', "points": 3', "", "The graded cell 'double' has no points"),
        ('{"grade_id": "total_answer", "solution": true}', '{"grade_id": "total_answer"}', "no solution cell"),
        ("### END SOLUTION\n\n", "\n\n", "begins that never ends"),
        ("# Hidden checks of `double`", "### BEGIN HIDDEN TESTS\n# `double`", "has hidden tests in it"),
        ('"grade_id": "total"', '"grade_id": "a b"', "has the grade_id 'a b'"),
        ('tags=["grading"]', 'tag=["grading"]', "unknown key 'tag'"),
    ],
)
def test_build_refuses(old: str, new: str, problem: str) -> None:
    assert old in TINY_NOTEBOOK
    with pytest.raises(AssignmentError, match=problem):
        build_notebook(TINY_NOTEBOOK.replace(old, new))


def test_stub_names_the_function_and_keeps_everything_else() -> None:
    stub = stub_module(TINY_MODULE)
    assert "    # YOUR CODE HERE: multiply every element by two.\n" in stub
    assert '    raise NotImplementedError("double is not written yet: multiply every element by two.")\n' in stub
    assert "twice_of_everything" not in stub
    assert "Float tensor (batch, features)." in stub


def test_stub_of_a_method_is_qualified_wrapped_and_raises_the_whole_sentence() -> None:
    sentence = 'say "twice-over" ' * 20 + "and end."
    region = f"        ### BEGIN SOLUTION: {sentence}\n        x\n        ### END SOLUTION\n"
    solved = f"class Layer:\n    def call(self):\n{region}"
    stub = stub_module(solved)
    assert all(len(line) <= 110 for line in stub.split("\n"))
    names: dict[str, Any] = {}
    exec(stub, names)  # noqa: S102 - our own text
    with pytest.raises(NotImplementedError) as raised:
        names["Layer"]().call()
    assert str(raised.value) == f"Layer.call is not written yet: {sentence}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("def f():\n    ### BEGIN SOLUTION\n    1\n", "line 2: a solution region begins that never ends"),
        ("### BEGIN SOLUTION\n### BEGIN SOLUTION\n### END SOLUTION\n", "line 2: .* inside another"),
        ("x = 1\n### END SOLUTION\n", "line 2: .* never began"),
        ("def f(:\n", "is not Python, line 1"),
    ],
)
def test_stub_refuses(text: str, problem: str) -> None:
    with pytest.raises(AssignmentError, match=problem):
        stub_module(text)


def test_solution_lines_are_those_that_stand_nowhere_else() -> None:
    text = "a = 1\n### BEGIN SOLUTION\n  a = 1\n\n  b = 2\n### END SOLUTION\n"
    assert solution_lines(text) == {"b = 2"}


def test_assemble_takes_given_cells_as_they_are_and_answers_from_the_student() -> None:
    graded = assemble(SOURCE, notebook(cell("parameters", "size = 1"), cell("total_answer", ["total", " = 1"])))
    assert [(one.id, one.source, one.given, one.parameters) for one in graded.cells] == [
        ("parameters", "size = 1000", True, True),
        ("0d2251a34a58", "import utilities", True, False),
        ("total_answer", "total = 1", False, False),
    ]
    assert graded.missing == ()
    assert graded.notes == ()


@pytest.mark.parametrize(
    "hostile",
    [
        cell("total_answer", "mine", tags=["skip-execution", "parameters"]),
        {"cell_type": "code", "source": "mine", "metadata": {"nbgrader": {"grade_id": "total_answer", "grade": True}}},
        {"cell_type": "code", "source": "mine", "metadata": {"nbgrader": {"grade_id": "total_answer", "points": -1}}},
    ],
)
def test_assemble_ignores_metadata(hostile: dict[str, Any]) -> None:
    extra = [cell(None, "import os"), cell("double", "evil"), cell("unknown", "evil"), cell("imports", "evil")]
    graded = assemble(SOURCE, notebook(*extra, hostile, *extra))
    assert graded == assemble(SOURCE, notebook(cell("total_answer", "mine")))


def test_first_of_two_answers_counts_with_a_note() -> None:
    graded = assemble(SOURCE, notebook(cell("total_answer", "text", "markdown"), *map(_answer, ("one", "two"))))
    assert graded.cells[-1].source == "one"
    assert graded.notes == ("The answer cell total_answer is in your notebook 2 times; the first one counts.",)


def _answer(source: str) -> dict[str, Any]:
    return cell("total_answer", source)


@pytest.mark.parametrize(
    ("student", "note"),
    [
        (None, "There is no notebook"),
        (b"", "not valid JSON"),
        (b"\xff\xfe\x00", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[]", "expected a JSON object"),
        (notebook(nbformat=3), "has format 3; expected format 4"),
        (notebook(nbformat=True), "has format none"),
        (b'{"nbformat": 4}', "no list of cells"),
        (notebook(), "is not in your notebook"),
        (notebook(1, None, [], {"cell_type": "code"}, {"cell_type": ["code"]}), "is not in your notebook"),
        (notebook(cell("total_answer", kind="markdown")), "is not in your notebook as a code cell"),
        (notebook(cell("total_answer", source=[1])), "is not in your notebook"),
        (notebook({"cell_type": "code", "source": "", "metadata": {"nbgrader": []}}), "is not in your notebook"),
    ],
)
def test_a_notebook_without_the_answer_is_missing_it(student: bytes | None, note: str) -> None:
    graded = assemble(SOURCE, student)
    assert graded.missing == ("total_answer",)
    assert graded.cells[-1].source == ""
    assert note in graded.notes[0]


def test_half_characters_are_replaced() -> None:
    graded = assemble(SOURCE, notebook(cell("total_answer", "a = '\ud800'")))
    assert graded.cells[-1].source == "a = '?'"


def test_answers_and_manual_tasks_of_the_source() -> None:
    assert "total = sum(range(size))" in answer_sources(SOURCE)["total_answer"]
    assert manual_tasks(SOURCE) == {"question_01": 2.0}


def test_restore_puts_the_structure_back_and_keeps_the_texts() -> None:
    picture = {"image/png": "AAAA", "text/html": "<script>"}
    answer = cell("question_01", "my words", "code", tags=["skip-execution"]) | {"attachments": {"a.png": picture}}
    theirs = notebook(answer, cell("total_answer", "mine"), cell("total_answer", "again"), cell(None, "own", "raw"))
    restored = json.loads(restore(SOURCE, theirs))
    nbformat.validate(nbformat.from_dict(restored))
    by_id = {one["id"]: one for one in restored["cells"]}
    released = {one["id"]: one for one in json.loads(SOURCE)["cells"]}
    for name in ("parameters", "double", "total", "total-answer", "question-01"):
        assert by_id[name]["metadata"] == released[name]["metadata"]
    assert by_id["total-answer"]["source"] == "mine"
    assert (by_id["question-01"]["cell_type"], by_id["question-01"]["source"]) == ("markdown", "my words")
    assert by_id["question-01"]["attachments"] == {"a.png": {"image/png": "AAAA"}}
    assert [one["source"] for one in restored["cells"] if one["metadata"] == {}] == ["again", "own"]
    order = [one["id"] for one in restored["cells"]]
    assert order.index("total") == order.index("total-answer") + 1


def test_restore_twice_is_restore_once() -> None:
    once = restore(SOURCE, notebook(cell("total_answer", "mine"), cell(None, "own")))
    assert list(map(text_of, load_cells(restore(SOURCE, once)))) == list(map(text_of, load_cells(once)))


def test_restore_of_an_unreadable_notebook_is_the_release() -> None:
    assert json.loads(restore(SOURCE, b"nonsense")) == json.loads(SOURCE)

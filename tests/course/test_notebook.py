"""Notebooks: built the same every time, and nothing taken from a student's but the answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbgrader.utils import compute_checksum

from autograder.course.cells import load_cells, read_cells, text_of
from autograder.course.grading_notebook import GradingCell, GradingNotebook, assemble
from autograder.course.notebook import MOST_NOTES, answer_sources, build_notebook, marking_guides, restore
from autograder.course.solution_regions import inside_lines, only_needed, outside_lines, stub_module, taking_more
from autograder.errors import AssignmentError
from tests.tiny import TINY_MODULE, TINY_NOTEBOOK

SOURCE = build_notebook(TINY_NOTEBOOK)
LAB = (Path(__file__).parents[2] / "source" / "vit" / "vit.ipynb").read_bytes()


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
    assert [cell["id"] for cell in built["cells"]][1:3] == ["parameters", "0d2251a34a58"]
    assert SOURCE.endswith(b"}\n")


def test_cell_ids_do_not_move_when_a_cell_is_put_in_front() -> None:
    longer = build_notebook(TINY_NOTEBOOK.replace("# %% [markdown]\n# # Doubling", "# %%\n1\n\n# %% [markdown]\n# # D"))
    before = {cell["id"] for cell in json.loads(SOURCE)["cells"][1:]}
    assert before <= {cell["id"] for cell in json.loads(longer)["cells"]}


def test_equal_cells_get_different_ids() -> None:
    ids = [cell["id"] for cell in json.loads(build_notebook("# %%\n1\n\n# %%\n1\n"))["cells"]]
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


def test_lines_are_known_inside_and_outside_solution_regions() -> None:
    text = "a = 1\n### BEGIN SOLUTION\n  a = 1\n\n  b = 2\n### END SOLUTION\n"
    assert inside_lines(text) == {"a = 1", "b = 2"}
    assert outside_lines(text) == {"a = 1"}


def test_functions_can_ignore_what_a_student_added() -> None:
    names: dict[str, Any] = {}
    exec(taking_more("def a(x, y=2, *, z=3):\n    return x + y + z\ndef b(x, **more):\n    return more\nc = 1"), names)  # noqa: S102
    assert names["a"](1, 1, 5, z=1, verbose=0) == 3
    assert names["b"](1, 2, epochs=3) == {"epochs": 3}
    assert taking_more("%%time\nx = 1") == "%%time\nx = 1"


def test_only_what_a_part_needs_goes_with_it() -> None:
    text = (
        "import os\nSIZE = 3\nOTHER = 4\ndef a(x):\n    return b(x) + SIZE\ndef b(x):\n    return x\n"
        "def c(x):\n    return a(x)\nclass a(a):\n    pass\n"
    )
    kept = only_needed(text, ["a"])
    names: dict[str, Any] = {}
    assert [line.split("(")[0].split(" = ")[0] for line in kept.split("\n") if line and line[0] != " "] == [
        "import os", "SIZE", "def a", "def b", "class a",
    ]  # fmt: skip
    exec(only_needed(text, ["c"]).replace("class a(a):\n    pass", ""), names)  # noqa: S102 - our own text
    assert names["c"](1) == 4


def released(**changes: Any) -> list[dict[str, Any]]:
    """The cells that students get, with some texts changed, as Jupyter and nbgrader leave them."""
    cells = [json.loads(json.dumps(cell)) for cell in load_cells(SOURCE)]
    for cell in cells:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id")
        cell["source"] = changes.get(name, cell["source"])
        if name:
            cell["metadata"]["nbgrader"] |= {"checksum": "0123", "cell_type": cell["cell_type"]}
        cell["metadata"] |= {
            "editable": False,
            "deletable": False,
            "scrolled": True,
            "jupyter": {"source_hidden": True},
        }
        cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "hello"}]
    return cells


def named(cells: list[dict[str, Any]], grade_id: str) -> dict[str, Any]:
    """The cell of this name."""
    return next(cell for cell in cells if cell["metadata"].get("nbgrader", {}).get("grade_id") == grade_id)


def always_run(graded: GradingNotebook) -> list[GradingCell]:
    """The cells that do not wait for a name to be lacking."""
    return [cell for cell in graded.cells if not cell.on_demand]


def test_assemble_takes_given_cells_as_they_are_and_answers_from_the_student() -> None:
    graded = assemble(SOURCE, notebook(*released(parameters="size = 1", total_answer=["total", " = 1"])))
    assert [(cell.id, cell.source, cell.given, cell.parameters) for cell in always_run(graded)] == [
        ("parameters", "size = 1000", True, True),
        ("0d2251a34a58", "import utilities", True, False),
        ("total_answer", "total = 1", False, False),
    ]
    assert [cell.id for cell in graded.cells if cell.on_demand] == ["double", "total"]
    assert graded.missing == ()
    assert graded.notes == ("The given cell parameters was changed; grading uses the original.",)


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
    assert always_run(graded) == always_run(assemble(SOURCE, notebook(cell("total_answer", "mine"))))
    assert graded.missing == ()


def test_untouched_and_saved_notebooks_give_no_notes() -> None:
    extra = [cell(None, "own = 1"), cell(None, "words", "markdown")]
    assert assemble(SOURCE, notebook(*released())).notes == ()
    assert (
        assemble(SOURCE, notebook(*extra, *released(total_answer="total = 1", question_01="words"), *extra)).notes == ()
    )


def _deleted(*names: str) -> list[dict[str, Any]]:
    return [cell for cell in released() if cell["metadata"].get("nbgrader", {}).get("grade_id") not in names]


def _retyped(name: str, kind: str) -> list[dict[str, Any]]:
    cells = released()
    named(cells, name)["cell_type"] = kind
    return cells


def _renamed(old: str, new: str) -> list[dict[str, Any]]:
    cells = released()
    named(cells, old)["metadata"]["nbgrader"]["grade_id"] = new
    return cells


def _with_settings(name: str, tags: list[str] | None = None, **settings: Any) -> list[dict[str, Any]]:
    cells = released()
    named(cells, name)["metadata"]["nbgrader"] |= settings
    named(cells, name)["metadata"] |= {"tags": tags} if tags else {}
    return cells


def _moved_up(name: str) -> list[dict[str, Any]]:
    cells = released()
    cells.insert(0, cells.pop(cells.index(named(cells, name))))
    return cells


CHANGES = {
    "answer deleted": (
        _deleted("total_answer"),
        ["total_answer is not in your notebook as a code cell. What it"],
    ),
    "question deleted": (_deleted("question_01"), ["question_01 is not in your notebook, so it counts as not given"]),
    "test deleted": (_deleted("double"), ["The given cell double is not in your notebook; grading uses the original"]),
    "answer duplicated": (
        [*released(), cell("total_answer", "# total", locked=1) | {"metadata": released()[4]["metadata"]}],
        ["The answer cell total_answer is in your notebook 2 times; the first one counts."],
    ),
    "answer retyped": (
        _retyped("total_answer", "markdown"),
        ["Make it a code cell again: select it, press Esc, then Y"],
    ),
    "question retyped": (_retyped("question_01", "code"), ["question_01 stands in a code cell; it is read as text"]),
    "test retyped": (_retyped("double", "markdown"), ["The given cell double is a markdown cell in your notebook"]),
    "answer renamed": (
        _renamed("total_answer", "mine"),
        ["looked for in your other cells", "1 cell name(s) that are not the lab's: mine."],
    ),
    "renamed to nonsense": (
        _renamed("double", "<b>" * 99),
        ["double is not in your", "1 cell name(s) that are not the lab's."],
    ),
    "points raised": (
        _with_settings("double", points=100),
        ["The settings of the cell double (points, locks, tags) were"],
    ),
    "flag flipped": (
        _with_settings("total", grade=False),
        ["The settings of the cell total (points, locks, tags) were"],
    ),
    "tag added": (
        _with_settings("double", ["skip-execution"]),
        ["The settings of the cell double (points, locks, tags)"],
    ),
    "test moved": (
        _moved_up("total"),
        ["These cells were moved: total. Grading runs all cells in the lab's own order."],
    ),
    "names dropped": ([cell(None, "total = 1")], ["None of the lab's cells is in your notebook"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_of_the_structure_gives_a_clear_line(change: str) -> None:
    cells, expected = CHANGES[change]
    graded = assemble(SOURCE, notebook(*cells))
    assert len(graded.notes) == len(expected), graded.notes
    for note, words in zip(graded.notes, expected, strict=True):
        assert words in note
        assert len(note) < 300


@pytest.mark.parametrize("change", CHANGES)
def test_no_change_of_the_structure_changes_what_is_run_or_recorded(change: str) -> None:
    cells, _ = CHANGES[change]
    untouched, graded = assemble(SOURCE, notebook(*released())), assemble(SOURCE, notebook(*cells))
    for cell, before in zip(always_run(graded), always_run(untouched), strict=True):
        assert cell.id == before.id
        assert cell.source in (before.source, "")
        assert cell.given == before.given
    restored, source = (load_cells(text) for text in (restore(SOURCE, notebook(*cells)), SOURCE))
    assert graded_metadata(restored) == graded_metadata(source)


def graded_metadata(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """The metadata of the cells that nbgrader knows, by cell id."""
    return {cell["id"]: cell["metadata"] for cell in cells if "nbgrader" in cell["metadata"]}


def test_many_changes_are_counted_not_listed() -> None:
    cells = [json.loads(json.dumps(cell)) for cell in load_cells(LAB)]
    for cell in cells:
        if "nbgrader" in cell["metadata"]:
            cell["metadata"]["nbgrader"]["points"] = 100
    notes = assemble(LAB, notebook(*cells)).notes
    assert len(notes) == MOST_NOTES + 1
    assert notes[-1].endswith("more changes of this kind.")


def test_first_of_two_answers_counts() -> None:
    graded = assemble(SOURCE, notebook(cell("total_answer", "text", "markdown"), *map(_answer, ("one", "two"))))
    assert always_run(graded)[-1].source == "one"


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
        (notebook(), "None of the lab's cells is in your notebook"),
        (notebook(1, None, [], {"cell_type": "code"}, {"cell_type": ["code"]}), "None of the lab's cells"),
        (notebook(cell("total_answer", kind="markdown")), "is not in your notebook as a code cell"),
        (notebook(cell("total_answer", source=[1])), "None of the lab's cells"),
        (notebook({"cell_type": "code", "source": "", "metadata": {"nbgrader": []}}), "None of the lab's cells"),
    ],
)
def test_a_notebook_without_the_answer_is_missing_it(student: bytes | None, note: str) -> None:
    graded = assemble(SOURCE, student)
    assert graded.missing == ("total_answer",)
    assert always_run(graded)[-1].source == ""
    assert note in graded.notes[0]


def test_half_characters_are_replaced() -> None:
    graded = assemble(SOURCE, notebook(cell("total_answer", "a = '\ud800'")))
    assert always_run(graded)[-1].source == "a = '?'"


def test_answers_and_marking_guides_of_the_source() -> None:
    assert "total = sum(range(size))" in answer_sources(SOURCE)["total_answer"]
    assert set(marking_guides(SOURCE)) == {"question_01"}


def test_restore_puts_the_structure_back_and_keeps_the_texts() -> None:
    png = "iVBORw0KGgo="
    picture = {"image/png": png, "text/html": "<script>"}
    answer = cell("question_01", "my words", "code", tags=["skip-execution"]) | {"attachments": {"a.png": picture}}
    theirs = notebook(answer, cell("total_answer", "mine"), cell("total_answer", "again"), cell(None, "own", "raw"))
    restored = json.loads(restore(SOURCE, theirs))
    nbformat.validate(nbformat.from_dict(restored))
    by_id = {cell["id"]: cell for cell in restored["cells"]}
    released = {cell["id"]: cell for cell in json.loads(SOURCE)["cells"]}
    for name in ("parameters", "double", "total", "total-answer", "question-01"):
        assert by_id[name]["metadata"] == released[name]["metadata"]
    assert by_id["total-answer"]["source"] == "mine"
    assert (by_id["question-01"]["cell_type"], by_id["question-01"]["source"]) == ("markdown", "my words")
    assert by_id["question-01"]["attachments"] == {"a.png": {"image/png": png}}
    assert [cell["source"] for cell in restored["cells"] if cell["metadata"] == {}] == ["again", "own"]
    order = [cell["id"] for cell in restored["cells"]]
    assert order.index("total") == order.index("total-answer") + 1


def test_restore_twice_is_restore_once() -> None:
    once = restore(SOURCE, notebook(cell("total_answer", "mine"), cell(None, "own")))
    assert list(map(text_of, load_cells(restore(SOURCE, once)))) == list(map(text_of, load_cells(once)))


def test_restore_of_an_unreadable_notebook_is_the_release() -> None:
    assert json.loads(restore(SOURCE, b"nonsense")) == json.loads(SOURCE)


def released_cell(name: str, **changed: Any) -> dict[str, Any]:
    """A cell as nbgrader releases it, with its checksum; changes come after that."""
    cells = nbformat.reads(SOURCE.decode(), as_version=4).cells
    released = next(cell for cell in cells if cell.metadata.get("nbgrader", {}).get("grade_id") == name)
    released.metadata.nbgrader["checksum"] = compute_checksum(released)
    return {**released, **changed}


def test_a_course_that_fixes_a_given_cell_accuses_nobody() -> None:
    """Who has the cell as it was released has changed nothing; who has changed it is told so."""
    names = ("parameters", "double", "total_answer", "total", "question_01")
    theirs = notebook(*(released_cell(name) for name in names))
    typo_fixed = TINY_NOTEBOOK.replace("size = 1000", "size = 1000  # numbers").replace('"points": 3', '"points": 5')
    fixed = build_notebook(typo_fixed)
    assert assemble(fixed, theirs).notes == ()
    changed = notebook(released_cell("parameters", source="size = 3"), *(released_cell(name) for name in names[1:]))
    assert assemble(fixed, changed).notes == ("The given cell parameters was changed; grading uses the original.",)


@pytest.mark.parametrize(
    ("cell", "problem"),
    [(b"[0]", "too large"), (b'{"cell_type": "raw", "source": ""}', "more than 6000 cells"), (b"{}", "too large")],
)
def test_a_notebook_of_countless_values_is_refused(cell: bytes, problem: str) -> None:
    """Each takes up to thirty times the memory of its text, and each cell some time."""
    notebook = b'{"nbformat": 4, "cells": [' + b",".join([cell] * ((2 << 20) // len(cell))) + b"]}"
    cells, why = read_cells(notebook)
    assert (cells, problem in why) == ([], True), why
    assert restore(SOURCE, notebook) == restore(SOURCE, None)

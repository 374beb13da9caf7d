"""Where the names that an answer lacks come from; the student process is this one, without TensorFlow."""

from __future__ import annotations

import builtins
import json
from typing import Any

import pytest

from autograder import wire
from autograder.course.grading_notebook import assemble
from autograder.course.notebook import answer_sources, build_notebook
from autograder.errors import StudentRaised, StudentTimeout
from autograder.grading.notebook_run import CellProcess, Deadly, NotebookRun
from autograder.grading.reference import NO_STAND_INS, CellTexts, Reference

LAB = """# %%
import os

# %% tags=["grading"] nbgrader={"grade_id": "data", "locked": true}
numbers = [3, 1, 2]

# %%
shown = "slow"; palette = ["red"]

# %% nbgrader={"grade_id": "sort_answer", "solution": true}
### BEGIN SOLUTION
ordered = sorted(numbers)
### END SOLUTION

# %% nbgrader={"grade_id": "sort", "grade": true, "locked": true, "points": 1}
# Hidden checks of `sort` run here.

# %% nbgrader={"grade_id": "count_answer", "solution": true}
### BEGIN SOLUTION
def count(items=ordered):
    return len(items)
### END SOLUTION

# %% nbgrader={"grade_id": "count", "grade": true, "locked": true, "points": 1}
# Hidden checks of `count` run here.
"""
SOURCE = build_notebook(LAB)
QUICK = 'ordered = ["quick"]\nshown = "quick"\n'


class PlainProcess:
    """Runs cells as a student process does, but for all that confines it."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.ran: list[str] = []

    def ask(self, question: wire.Question, seconds: float) -> Any:
        """Answer what a notebook asks."""
        if isinstance(question, wire.Restart):
            self.names = {}
        elif isinstance(question, wire.Lacking):
            return tuple(n for n in question.names if n not in self.names and not hasattr(builtins, n))
        elif isinstance(question, wire.Assign):
            self.names |= question.variables
        elif isinstance(question, wire.RunCell):
            self.ran.append(question.id)
            if "interrupted" in question.source:
                error = StudentRaised("Interrupted", "", "cell", 1)
                error.interrupted = True
                raise error
            if "endless" in question.source:
                raise StudentTimeout("Your code gave no answer.")
            try:
                exec(question.source, self.names)  # noqa: S102 - our own text
            except Exception as fault:
                missing = fault.name if isinstance(fault, NameError) else ""
                raise StudentRaised(type(fault).__name__, str(fault), "cell", 1, missing or "") from fault
        return ()


def reference() -> Reference:
    """The instructor's texts."""
    return Reference("", {}, frozenset(), frozenset(), "", SOURCE, answer_sources(SOURCE), "", QUICK, "", "")


def notebook(*added: tuple[str, str], **answers: str) -> bytes:
    """The lab as handed in: with cells put in after those of these names, and with other answers."""
    cells = json.loads(SOURCE)["cells"]
    named = {cell["metadata"].get("nbgrader", {}).get("grade_id", ""): cell for cell in cells}
    for name, text in answers.items():
        named[name]["source"] = text
    for after, text in added:
        cells.insert(cells.index(named[after]) + 1, {"cell_type": "code", "source": text, "metadata": {}})
    return json.dumps({"nbformat": 4, "cells": cells}).encode()


def run(task: str, handed_in: bytes, deadly: Deadly | None = None) -> tuple[NotebookRun, PlainProcess]:
    """Run one task's answer."""
    process: Any = PlainProcess()
    graded = assemble(SOURCE, handed_in)
    texts = CellTexts(graded, reference(), NO_STAND_INS)
    found = NotebookRun(task, texts, CellProcess(process, lambda: 9.0, {} if deadly is None else deadly))
    found.run_up_to(frozenset({f"{task}_answer"}))
    return found, process


def test_only_what_is_needed_runs() -> None:
    found, process = run("sort", notebook())
    assert process.ran == ["data", "sort_answer"]
    assert found.faults["sort_answer"] is None


def test_an_answer_above_supplies_a_name() -> None:
    _, process = run("count", notebook())
    assert process.names["count"]() == 3


@pytest.mark.parametrize("broken", ["ordered = undefined", "1 / 0", "ordered = ("])
def test_a_quick_stand_in_takes_the_place_of_an_answer_that_does_not_work(broken: str) -> None:
    _, process = run("count", notebook(sort_answer=broken))
    assert process.names["count"]() == 1


def test_no_answer_gets_what_it_must_define_itself() -> None:
    found, process = run("sort", notebook(sort_answer="pass"))
    assert "ordered" not in process.names
    assert found.faults["sort_answer"] is None


def test_given_cells_supply_names_unless_there_is_something_quick() -> None:
    _, process = run("sort", notebook(sort_answer="ordered = [os.sep, palette, shown]"))
    assert process.names["ordered"][1:] == [["red"], "quick"] or process.names["shown"] == "slow"
    _, process = run("sort", notebook(sort_answer="ordered = shown"))
    assert process.names["ordered"] == "quick"


def test_added_cells_supply_what_nothing_else_does() -> None:
    _, process = run(
        "sort", notebook(("data", "def helper(x): return sorted(x)"), sort_answer="ordered = helper(numbers)")
    )
    assert process.names["ordered"] == [1, 2, 3]
    _, process = run("sort", notebook(("data", "numbers = []\nother = 1"), ("data", "1 / 0")))
    assert process.ran == ["data", "sort_answer"]


def test_a_helper_below_the_answer_is_there_when_a_function_is_called() -> None:
    helped = "def count(items=ordered):\n    return helper(items)"
    _, process = run("count", notebook(("count_answer", "def helper(x): return 7"), count_answer=helped))
    assert process.names["count"]() == 7


def test_the_second_half_of_a_split_answer_counts_and_one_below_the_checks_is_named() -> None:
    _, process = run("sort", notebook(("sort_answer", "ordered = [1]"), sort_answer="pass"))
    assert process.names["ordered"] == [1]
    found, process = run("sort", notebook(("count", "ordered = [1]"), sort_answer="pass"))
    assert "ordered" not in process.names
    assert found.hint("ordered") == (
        "You define `ordered` further down, in a cell of your own (the notebook's code cell no. 8). "
        "Move it up, into the answer that needs it."
    )


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("1 / 0\nshare = 1", ", which stops with ZeroDivisionError: division by zero (line 1)."),
        ("'interrupted'; share = 1", ", which takes longer than grading waits for it."),
        ("later; share = 1", ", which stops with NameError: name 'later' is not defined (line 1)."),
    ],
)
def test_a_supplier_that_stops_is_named(broken: str, reason: str) -> None:
    found, _ = run("sort", notebook(("data", broken), sort_answer="ordered = [share]"))
    fault = found.faults["sort_answer"]
    assert fault is not None
    assert fault.message.endswith(f"You define `share` in a cell of your own (the notebook's code cell no. 3){reason}")


def test_what_follows_the_definitions_is_a_note() -> None:
    found, _ = run("sort", notebook(sort_answer="ordered = [1]\n1 / 0"))
    assert found.faults["sort_answer"] is None
    assert found.take_notes() == [
        "The cell `sort_answer` is graded for what it defines; what follows there stops with ZeroDivisionError: "
        "division by zero (line 1)."
    ]
    found, process = run("count", notebook(count_answer="def count(): return 1\nendless"))
    assert process.names["count"]() == 1
    assert found.take_notes() == [
        "The cell `count_answer` is graded for what it defines; what follows there is not run."
    ]


def test_what_comes_before_the_definitions_stops_the_cell() -> None:
    found, _ = run("sort", notebook(sort_answer="1 / 0\nordered = [1]"))
    fault = found.faults["sort_answer"]
    assert fault is not None
    assert "stops with ZeroDivisionError" in fault.message


def test_a_cell_that_ended_the_process_is_not_tried_again() -> None:
    deadly: Deadly = {}
    handed_in = notebook(sort_answer="ordered = 'endless'")
    with pytest.raises(StudentTimeout):
        run("count", handed_in, deadly)
    found, process = run("count", handed_in, deadly)
    assert process.names["count"]() == 1
    assert "sort_answer" not in process.ran
    assert isinstance(found.faults["sort_answer"], StudentTimeout)


def test_what_follows_the_definitions_may_end_the_process_once() -> None:
    deadly: Deadly = {}
    handed_in = notebook(sort_answer="ordered = [1]\nendless")
    with pytest.raises(StudentTimeout):
        run("sort", handed_in, deadly)
    found, process = run("sort", handed_in, deadly)
    assert process.names["ordered"] == [1]
    assert found.faults["sort_answer"] is None


def test_answers_run_again_with_other_values() -> None:
    found, process = run("sort", notebook())
    found.run_again({"numbers": wire.Items([5])})
    assert process.ran == ["data", "sort_answer", "sort_answer"]

"""Where the names that an answer lacks come from; the student process is this one, without TensorFlow."""

from __future__ import annotations

import builtins
import json
import time
from typing import Any

import numpy as np
import pytest

from autograder import wire
from autograder.course.grading_notebook import GradingCell, assemble
from autograder.course.notebook import answer_sources, build_notebook
from autograder.errors import CellStopped, StudentRaised, StudentTimeout
from autograder.grading.notebook.cell_process import CellProcess, Deadly
from autograder.grading.notebook.own_cells import cells_in_touch
from autograder.grading.notebook.run import NotebookRun
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

# %% nbgrader={"grade_id": "share_answer", "solution": true}
### BEGIN SOLUTION
def share(items):
    return 1 / count(items)
### END SOLUTION
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
            self.names |= {name: plain(value) for name, value in question.variables.items()}
        elif isinstance(question, wire.Forget):
            self.names = {name: value for name, value in self.names.items() if name not in question.names}
        elif isinstance(question, wire.Read):
            return self.names[question.name]
        elif isinstance(question, wire.RunCell):
            self._run(question)
        return ()

    def _run(self, question: wire.RunCell) -> None:
        self.ran.append(question.id)
        if "interrupted" in question.source:
            error = StudentRaised("Interrupted", "", f"cell {question.id}", 1)
            error.interrupted = True
            raise error
        if "endless" in question.source:
            raise StudentTimeout("Your code gave no answer.")
        try:
            exec(question.source, self.names)  # noqa: S102 - our own text
        except Exception as fault:
            missing = fault.name if isinstance(fault, NameError) else ""
            raise StudentRaised(type(fault).__name__, str(fault), f"cell {question.id}", 1, missing or "") from fault


def plain(value: wire.Value) -> object:
    """A value as the process holds it."""
    if isinstance(value, wire.Items):
        return [plain(item) for item in value.items]
    return np.frombuffer(value.data, value.dtype).reshape(value.shape) if isinstance(value, wire.Array) else value


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
    found = NotebookRun(
        task, texts, CellProcess(lambda question: process.ask(question, 9.0), {} if deadly is None else deadly)
    )
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
    _, process = run("sort", notebook(("data", "other = 1"), ("data", "1 / 0")))
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
        ("'interrupted'; share = 1", ", which takes longer than the 10 s that grading waits for it."),
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


def test_what_follows_a_function_is_run_unless_it_uses_it_or_trains() -> None:
    answer = """
def count(): return SETTINGS["size"]
SETTINGS = {}
def set_up(size): SETTINGS["size"] = size
set_up(3)
counted = count("endless")
shown = [counted, "endless"]
model.fit(ordered, epochs="endless")
unread = "endless"
log = []
log.append(1)
"""
    found, process = run("count", notebook(count_answer=answer))
    assert process.names["count"]() == 3
    assert process.names["log"] == [1]
    assert found.take_notes() == [
        "The cell `count_answer` is graded for what it defines; what uses it there, or trains, is not run."
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


def test_an_answer_that_was_moved_up_takes_no_helper_down_with_it() -> None:
    handed_in = json.loads(notebook(sort_answer="ordered = helper(numbers)"))
    cells = handed_in["cells"]
    moved = next(cell for cell in cells if cell["metadata"].get("nbgrader", {}).get("grade_id") == "count_answer")
    cells.remove(moved)
    cells[:0] = [moved, {"cell_type": "code", "source": "def helper(x): return sorted(x)", "metadata": {}}]
    found, process = run("sort", json.dumps(handed_in).encode())
    assert found.faults["sort_answer"] is None
    assert process.names["ordered"] == sorted(process.names["numbers"])


def test_a_cell_that_keeps_what_it_made_is_run_again_as_if_for_the_first_time() -> None:
    kept = """
if "ordered" not in globals():
    ordered = sorted(numbers)
try:
    first
except NameError:
    first = ordered[0]
"""
    found, process = run("sort", notebook(sort_answer=kept))
    found.run_again({"numbers": wire.Items([7, 5])})
    assert (process.names["ordered"], process.names["first"]) == ([5, 7], 5)


def test_answers_run_again_with_other_values() -> None:
    found, process = run("sort", notebook())
    found.run_again({"numbers": wire.Items([5])})
    assert process.ran == ["data", "sort_answer", "sort_answer"]


def test_the_nearest_definition_counts_as_in_jupyter() -> None:
    _, process = run("sort", notebook(("data", "numbers = [7]"), ("data", "1 / 0")))
    assert process.names["ordered"] == [7]
    _, process = run("sort", notebook(("data", "def sorted(x): return 'own'")))
    assert process.names["ordered"] == "own"
    _, process = run("count", notebook(("data", "ordered = 'above'")))
    assert process.names["count"]() == 3  # the answer stands below it


@pytest.mark.parametrize(
    "changing",
    [
        "numbers.append(4)",
        "numbers += [4]",
        "numbers[:] = [4]",
        "if True: numbers.insert(0, 4)",
        "class Own(list):\n    def fit(self): self.append(4)\nnumbers = Own(numbers)\nnumbers.fit()",
    ],
)
def test_own_cells_change_what_an_answer_reads(changing: str) -> None:
    _, process = run("sort", notebook(("data", changing)))
    assert 4 in process.names["ordered"]


@pytest.mark.parametrize(
    "changing",
    [
        ("own = []\ndef step(f):\n    own.append(4)\n    return f", "@step\ndef half(x): return x / 2"),
        ("own = []\ndef fill(items): items.append(4)", "fill(own)"),
        ("own = []\nalso = own", "also.append(4)"),
        ("own = []", "[own.append(i) for i in (4,)]"),
        ("own = []", "list(map(lambda x: own.append(x), [4]))"),
        ("class Own(list): pass", "setattr(Own, 'add', list.append)", "own = Own()", "own.add(4)"),
        ("own = []\nclass Kind:\n    def __init_subclass__(cls): own.append(4)", "class Child(Kind): pass"),
        ("own = []\ndef step(f):\n    own.append(f)\n    return f", "@step\ndef late(): return SIZE", "SIZE = 4"),
        ("own = []", "def __more():\n    own.append(4)\n    return 1", "one = __more()"),
        ("own = iter([3, 4])", "print(next(own))"),
    ],
)
def test_own_cells_run_that_have_to_do_with_what_an_answer_takes_from_them(changing: tuple[str, ...]) -> None:
    added = [("data", text) for text in reversed(changing)]  # each is put in before the others
    answer = "ordered = [item() if callable(item) else item for item in own]"
    _, process = run("sort", notebook(*added, sort_answer=answer))
    assert process.names["ordered"] == [4], process.ran


def test_own_cells_that_have_nothing_to_do_with_an_answer_do_not_run() -> None:
    added = [
        ("data", text)
        for text in (
            "model = own[0]\nmodel.fit(numbers, epochs=2)",
            "print(len(own), own)",
            "assert isinstance(own, list)",
            "other = {}\nother['a'] = 1",
            "own = [4]",
        )
    ]
    _, process = run("sort", notebook(*added, sort_answer="ordered = own"))
    assert [cell for cell in process.ran if "own" in cell] == ["a cell of your own (the notebook's code cell no. 3)"]


def test_to_look_for_cells_in_touch_takes_no_longer_than_their_text_is_long() -> None:
    many = "=".join(f"name{number}" for number in range(4000))
    wide = [GradingCell(f"wide {n}", f"{many} = other{n}", added=True) for n in range(5)]
    long = [GradingCell(f"long {n}", f"link{n} = link{n + 1}", added=True) for n in range(400)]
    began = time.thread_time()
    assert len(cells_in_touch({"name1"}, [*wide, *long])) == 5
    assert len(cells_in_touch({"link1"}, [*wide, *long])) == 400
    assert time.thread_time() - began < 10


def test_own_cells_that_leave_something_else_run_where_an_answer_may_need_it() -> None:
    leaving = (
        ("data", "import os; os.environ['SHARE'] = '2'"),
        ("data", "open('/dev/null', 'w').close()"),
        ("data", "import random; random.seed(1)"),
    )
    _, process = run("sort", notebook(*leaving))
    assert [cell for cell in process.ran if "own" in cell] == ["a cell of your own (the notebook's code cell no. 3)"]
    reading = "import os\nordered = [os.environ['SHARE']]  # open(…)"
    _, process = run("sort", notebook(*leaving, sort_answer=reading))
    assert process.names["ordered"] == ["2"]
    assert len([cell for cell in process.ran if "own" in cell]) == 3


def test_own_cells_change_the_values_of_a_check_but_not_their_sizes() -> None:
    def ordered_after(changing: str) -> str:
        found, process = run("sort", notebook(("data", changing), sort_answer="ordered = numbers"))
        found.run_again({"numbers": wire.Array("uint8", [2], b"\1\2")})
        return str(process.names["ordered"])

    assert ordered_after("numbers = numbers if isinstance(numbers, list) else numbers / 2") == "[0.5 1. ]"
    assert ordered_after("numbers = numbers[:1]") == "[1 2]"
    assert ordered_after("numbers = [1, 2, 3]") == "[1 2]"


def test_names_of_no_visible_maker_come_from_cells_that_may_hide_one() -> None:
    answer = "ordered = [share]"
    hiding = "def set_up():\n    global share\n    share = 2\nset_up()"
    for text in (
        hiding,
        "exec('share = 2')",
        "locals()['share'] = 2",
        "globals()['share'] = 2",
        "print([share := 2 for x in [1]])",
    ):
        _, process = run("sort", notebook(("data", text), ("data", "1 / 0"), sort_answer=answer))
        assert process.names["ordered"] == [2]
        assert "a cell of your own (the notebook's code cell no. 3)" not in process.ran


def test_what_a_student_adds_to_a_given_cell_supplies_names_that_are_new() -> None:
    changed = "import random\nnumbers = []\nshare = 2"
    _, process = run("sort", notebook(data=changed, sort_answer="ordered = [*numbers, share, random.__name__]"))
    assert process.names["ordered"] == [3, 1, 2, 2, "random"]


def test_what_is_written_elsewhere_is_graded_in_place_of_an_answer_that_stops() -> None:
    stub = "raise NotImplementedError('This cell is not written yet.')"
    found, process = run("sort", notebook(("sort_answer", "ordered = [1]"), sort_answer=stub))
    assert found.faults["sort_answer"] is None
    assert process.names["ordered"] == [1]
    assert found.take_notes() == [
        "The cell `sort_answer` stops with NotImplementedError: This cell is not written yet. (line 1). What it must "
        "define is graded as you define it in a cell of your own (the notebook's code cell no. 5)."
    ]
    found.run_again({"numbers": wire.Array("uint8", [1], b"\1")})
    assert found.faults["sort_answer"] is None
    found, process = run("sort", notebook(("count", "ordered = [1]"), sort_answer=stub))
    fault = found.faults["sort_answer"]
    assert fault is not None
    assert "You define `ordered` further down, in a cell of your own" in fault.message
    both = "ordered = [1]\ndef count(): return 5"
    found, process = run("count", notebook(sort_answer=both, count_answer=stub))
    assert found.faults["count_answer"] is None
    assert process.names["count"]() == 5
    found, _ = run("count", notebook(count_answer=stub))
    assert found.faults["count_answer"] is not None
    function = "def count(items=()): raise NotImplementedError('This cell is not written yet.')"
    _, process = run("count", notebook(("count_answer", "def count(): return 6"), count_answer=function))
    assert process.names["count"]() == 6


def test_functions_merged_into_the_cell_of_another_answer_are_graded() -> None:
    merged = """
def count(items=()):
    return len(items)

tried = count([1, 2])

def part(number):
    return number / count([1, 2])

def share(items):
    return part(1)

def unused(items):
    return count(items)
"""
    cells = json.loads(notebook(count_answer=merged))["cells"]
    cells = [cell for cell in cells if "share_answer" not in str(cell["metadata"])]
    found, process = run("share", json.dumps({"nbformat": 4, "cells": cells}).encode())
    assert found.faults["share_answer"] is None
    assert process.names["share"]([1]) == 0.5
    assert not {"tried", "unused"} & process.names.keys()
    *_, note = found.take_notes()
    assert note == (
        "The cell `share_answer` is missing from what you handed in. What it must define is graded as you define it in "
        "the cell `count_answer`."
    )
    _, process = run("share", notebook(count_answer=merged))  # here it stands in a cell of its own
    assert not {"tried", "part"} & process.names.keys()


def test_what_stands_in_a_cell_that_lost_its_name_is_graded() -> None:
    cells = json.loads(notebook(sort_answer="ordered = [1]"))["cells"]
    answer = next(cell for cell in cells if cell["source"] == "ordered = [1]")
    answer["metadata"], answer["id"] = {}, "another"
    found, process = run("sort", json.dumps({"nbformat": 4, "cells": cells}).encode())
    assert found.faults["sort_answer"] is None
    assert process.names["ordered"] == [1]
    assert found.take_notes() == [
        "The cell `sort_answer` is missing from what you handed in. What it must define is graded as you define it in "
        "a cell of your own (the notebook's code cell no. 4)."
    ]
    answer["source"] = "other = [1]"
    found, _ = run("sort", json.dumps({"nbformat": 4, "cells": cells}).encode())
    fault = found.faults["sort_answer"]
    assert fault is not None
    assert fault.message == "The notebook's cell `sort_answer` is missing from what you handed in."


def test_the_last_copy_that_defines_what_it_must_counts() -> None:
    def result(*copies: str) -> object:
        cells = json.loads(notebook(sort_answer=copies[0]))["cells"]
        place = next(n for n, cell in enumerate(cells) if cell["source"] == copies[0])
        cells[place + 1 : place + 1] = [cells[place] | {"source": source} for source in copies[1:]]
        _, process = run("sort", json.dumps({"nbformat": 4, "cells": cells}).encode())
        return process.names["ordered"]

    assert result("ordered = [1]", "ordered = [2]") == [2]
    assert result("raise NotImplementedError('not written')", "ordered = [2]") == [2]
    assert result("ordered = [1]", "raise NotImplementedError('not written')") == [1]
    assert result("half = [1]", "ordered = [*half, 2]") == [1, 2]


def test_a_cell_of_their_own_that_ends_the_process_costs_nothing() -> None:
    deadly: Deadly = {}
    handed_in = notebook(("data", "numbers.append(4); 'endless'"))
    with pytest.raises(StudentTimeout):
        run("sort", handed_in, deadly)
    found, _ = run("sort", handed_in, deadly)
    assert found.faults["sort_answer"] is None


@pytest.mark.parametrize(
    ("cell", "place", "where"),
    [
        ("data", "cell data, in <module>", "(line 3)"),
        ("data", "cell data", "(line 3)"),
        ("data", "", "(line 3)"),
        ("data", "cell data_answer, in f", "(cell data_answer, in f, line 3)"),
        ("data", "utilities.py, in call", "(utilities.py, in call, line 3)"),
        ("a cell of your own (no. 5)", "cell a cell of your own (no. 5), in <module>", "(line 3)"),
    ],
)
def test_a_line_in_another_text_is_told_with_that_text(cell: str, place: str, where: str) -> None:
    assert CellStopped(cell, StudentRaised("ValueError", "no", place, 3)).what == f"stops with ValueError: no {where}"


def test_a_cell_that_goes_by_a_sentence_has_no_word_before_it() -> None:
    for name in ("a cell of your own (the notebook's code cell no. 5)", "your version of the given cell `data`"):
        told = StudentRaised("ValueError", "no", f"cell {name}, in f", 3).message
        assert told == f"Your code raised ValueError: no ({name}, in f, line 3)"
    assert StudentRaised("ValueError", "no", "cell data, in f", 3).message.endswith("(cell data, in f, line 3)")

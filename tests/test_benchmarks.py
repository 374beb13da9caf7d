"""The benchmarks' own logic: what they run, what they count, how they show it. Nothing here is timed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from autograder import wire
from autograder.course.assignment import load_assignment
from autograder.course.cells import flag, grade_id_of, load_cells, text_of
from autograder.course.submission import Snapshot
from autograder.grading.grader import Grader
from benchmarks import (
    classes,
    compare_trees,
    cost_by_cause,
    cost_split,
    minimal_tests,
    replay,
    throughput,
    worker_memory,
)
from benchmarks.check_cost import ratio
from benchmarks.measuring import QUIET, table
from benchmarks.replay import Asked, Took
from tests.tiny import TINY_MODULE, TinyCourse

ROOT = Path(__file__).parents[1]
VIT = load_assignment(ROOT, "vit")


def test_tables_are_markdown_with_numbers_to_the_right() -> None:
    shown = table(("what", "s"), [("a", "1.5"), ("longer", 20)])
    assert shown.splitlines() == ["| what   |   s |", "|--------|----:|", "| a      | 1.5 |", "| longer |  20 |"]


def test_throughput_is_compared_with_nbgraders() -> None:
    runs = [
        throughput.Run("autograder grade", 30.0, 50.0, 3, ()),
        throughput.Run("nbgrader autograde", 240.0, 260.0, 3, ("ada",)),
    ]
    ours, theirs = throughput.rendered(runs).splitlines()[2:]
    assert [cell.strip() for cell in ours.split("|")] == [
        "",
        "autograder grade",
        "30.0",
        "50.0",
        "6.00",
        "8.00",
        "0",
        "",
    ]
    assert [cell.strip() for cell in theirs.split("|")] == [
        "",
        "nbgrader autograde",
        "240.0",
        "260.0",
        "0.75",
        "1.00",
        "1",
        "",
    ]


def test_a_ratio_of_two_trees_has_an_interval() -> None:
    found = compare_trees.compared([2.0, 4.0, 8.0], [3.0, 6.0, 12.0])
    assert (found.before, found.after) == (4.0, 6.0)
    assert [found.low, found.ratio, found.high] == pytest.approx([1.5, 1.5, 1.5])
    noisy = compare_trees.compared([1.0, 1.0, 1.0], [0.9, 1.0, 1.1])
    assert noisy.low < 0.8 < 1.0 < 1.2 < noisy.high


def test_a_class_holds_different_submissions() -> None:
    for students in (classes.right_class(VIT, 40), classes.real_class(VIT, 40)):
        assert len(students) == len({snapshot.digest for snapshot in students.values()}) == 40
    with pytest.raises(SystemExit, match="right submissions"):
        classes.right_class(VIT, 1000)


def test_a_real_class_is_a_third_right_and_drawn_with_a_seed() -> None:
    students, right = classes.real_class(VIT, 9), classes.right_names(VIT)
    assert [name in right for name in students] == [True] * 3 + [False] * 6
    assert classes.real_class(VIT, 9) == students
    assert classes.ENDLESS in students
    assert classes.ENDLESS not in classes.real_class(VIT, 9, endless=False)
    assert list(students) != list(classes.real_class(VIT, 9, seed=1))


def test_submissions_are_spread_over_the_corpus() -> None:
    names = list(classes.spread_submissions(VIT, 9))
    in_order = [variant.slug for variant in classes.read_corpus(VIT).variants]
    assert names[0] == in_order[0] and len(names) == 9
    steps = {later - before for before, later in pairwise(map(in_order.index, names))}
    assert steps == {len(in_order) // 9}


def test_costs_are_told_apart_by_points() -> None:
    costs = {"a": cost_by_cause.Cost(points=4.0, cpu=1.0), "b": cost_by_cause.Cost(points=3.0, cpu=2.0)}
    assert cost_by_cause.by_points(costs, 4.0) == {"full marks": [1.0], "fewer": [2.0]}


def test_reasons_for_lost_points_are_told() -> None:
    checks = [{"id": "mlp::widths", "outcome": "failed", "message": "Too wide."}]
    result = {"score": 1.0, "max_score": 4.0, "tasks": [{"checks": checks}]}
    assert throughput._lost(result) == " (mlp::widths: Too wide.)"
    assert throughput._lost(result | {"score": 4.0}) == ""


def test_every_automatic_task_has_in_kernel_tests() -> None:
    assert list(minimal_tests.TESTS) == [task.id for task in VIT.tasks]
    for task in minimal_tests.TESTS:
        text = minimal_tests.tests_of(task)
        compile(text, task, "exec")
        assert "assert" in text
        assert "{epochs}" not in text


def test_the_minimal_notebook_holds_the_students_answers_and_nothing_to_mark_by_hand() -> None:
    theirs = json.loads(VIT.notebook_path.read_bytes())
    for cell in theirs["cells"]:
        if grade_id_of(cell) == "carbon_answer":
            cell["source"] = "mine = 1"
    cells = {
        grade_id_of(cell): cell for cell in load_cells(minimal_tests.minimal_notebook(VIT, json.dumps(theirs).encode()))
    }
    assert text_of(cells["carbon_answer"]) == "mine = 1"
    assert text_of(cells["parameters"]).endswith((VIT.checks_dir / "parameters.py").read_text("utf-8"))
    graded = {name for name, cell in cells.items() if flag(cell, "grade")}
    assert graded == set(minimal_tests.TESTS)


def asked(task: str, question: wire.Question, *refs: int) -> Asked:
    return Asked(0, task, wire.Request(0, question), list(refs))


def test_right_work_passes_the_minimal_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)
    (snapshot,) = classes.right_class(VIT, 1).values()
    Snapshot(minimal_tests.in_kernel_files(VIT, snapshot), snapshot.notebook).write_to(tmp_path / "vit")
    notebook = nbformat.read(tmp_path / "vit" / snapshot.notebook, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path / "vit")}}).execute()


def test_objects_get_the_names_that_the_replaying_process_gives_them() -> None:
    layer = wire.Ref(7, "layer", "Dense")
    answer = (layer, {"layers": (wire.Ref(9, "layer", "Add"),)})
    assert list(wire.refs_in(answer)) == [7, 9]
    question = wire.Request(1, wire.Call("notebook", "f", [wire.Items([layer])], {"by": layer}))
    renamed = replay._renamed(question, {7: 70})
    assert renamed.question.args[0].items[0].id == 70
    assert renamed.question.kwargs["by"].id == 70


def test_cost_is_split_and_grouped() -> None:
    split = cost_split.Split(
        total=10.0, grader=0.5, student=9.5, tensorflow=8.0, wall=11.0, start=8.0, processes=1
    )  # fmt: skip
    assert split.overhead == pytest.approx(20)
    assert split.overhead_in_batch == pytest.approx(100 * (1 - 8 / 10.2))
    assert "15.0 %" in cost_split.rendered(split)
    questions = [
        asked("mlp", wire.Read("a")),
        asked("carbon", wire.Read("b")),
        asked("mlp", wire.Load("utilities", "")),
    ]
    took = [Took(0.1, 0.2), Took(0.5, 0.6), Took(0.2, 0.3)]
    rows = cost_split.rows_by(lambda one: one.task, questions, took)
    assert [(row.name, row.questions) for row in rows] == [("carbon", 1), ("mlp", 2)]
    assert rows[1].tensorflow == pytest.approx(0.3)


def test_check_is_compared_with_import_and_own_work() -> None:
    assert ratio(check=18.0, bare=4.0, own=8.0) == pytest.approx(1.5)


@pytest.mark.slow
def test_questions_of_a_grading_are_answered_again(tiny_course: TinyCourse) -> None:
    snapshot = Snapshot({"utilities.py": TINY_MODULE.encode()}, "tiny.ipynb")
    with Grader(tiny_course.course, tiny_course.assignment, threads=1) as grader:
        recording = replay.record(grader, snapshot, tiny_course.assignment, threads=1)
    asked = [(question.task, question.kind) for question in recording.asked if question.kind in ("Load", "Call")]
    assert asked[:3] == [("start", "Load"), ("double", "Call"), ("double", "Call")]
    took = replay.replayed(recording, repeats=1)
    assert len(took) == len(recording.asked)
    assert replay.together(took).cpu > 0


def test_the_peak_of_a_worker_is_that_of_all_parts_together() -> None:
    seen = [Counter(grader=100, zygote=600, student=300), Counter(grader=150, zygote=500, student=320)]
    shown = worker_memory.rendered(Counter(grader=90, zygote=700), seen).splitlines()
    rows = {cells[1].strip(): [cell.strip() for cell in cells[2:-1]] for cells in (line.split("|") for line in shown)}
    assert rows["student"] == ["0", "320", "300"]
    assert rows["together"] == ["790", "", "1000"]


def test_a_worker_is_looked_at_while_it_works() -> None:
    seen: list[Counter[str]] = []
    with worker_memory.watched(seen), subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as one:
        ends = time.monotonic() + 60
        while not any(look["zygote"] for look in seen) and time.monotonic() < ends:
            time.sleep(worker_memory.SECONDS)
        one.communicate(b"\n")
    assert any(look["zygote"] for look in seen)
    assert all(look["grader"] > 10 for look in seen)

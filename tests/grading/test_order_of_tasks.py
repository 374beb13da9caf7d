"""A task's marks do not depend on the tasks that were graded before it, and an answer runs as it runs in Jupyter."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from autograder.audit.worker import AuditSubject, Worker
from autograder.course.assignment import load_assignment
from autograder.course.cells import grade_id_of
from autograder.course.course import Course
from autograder.course.submission import Snapshot
from benchmarks.as_in_jupyter import ANSWERS, KINDS, compared
from benchmarks.task_order import Passed, Ran, Run, differing, job_of, planned_runs, ran
from tests.submissions.corpus import FOLDER, ROOT, read_corpus

pytestmark = pytest.mark.slow

ASSIGNMENT = load_assignment(ROOT, "vit")
HELPER = "def rescaled(images):\n    return images.astype('float32') / 127.5 - 1\n"
CASES = [(answer, kind) for answer, kind in zip(list(ANSWERS) * len(KINDS), KINDS, strict=False)]


def submission() -> Snapshot:
    """Work that counts on other cells in several ways, with a wrong split."""
    corpus = read_corpus()
    variant = corpus.variant("training-with-data-as-defaults")
    notebook = json.loads(corpus.notebook_of(variant))
    answers = {
        "data_split_answer": "Xtrain, Xval, Ytrain, Yval = train_test_split(X_train, Y_train, test_size=0.3)",
        "preprocessing_answer": "Xtrain, Xval, Xtest = map(rescaled, (Xtrain, Xval, X_test))\nYtest = Y_test",
    }
    for cell in notebook["cells"]:
        cell["source"] = answers.get(grade_id_of(cell), cell["source"])
    place = next(n for n, cell in enumerate(notebook["cells"]) if grade_id_of(cell) == "data_split_answer")
    notebook["cells"].insert(place, {"cell_type": "code", "source": HELPER, "metadata": {}})
    return Snapshot(
        {"utilities.py": corpus.module_of(variant).encode(), "vit.ipynb": json.dumps(notebook).encode()}, "vit.ipynb"
    )


def test_marks_are_the_same_in_every_order() -> None:
    digests = {"this": {task: task for task in ("data_split", "preprocessing", "carbon")}}
    with closing(Worker(AuditSubject(Course(root=ROOT), "vit", FOLDER))) as worker:
        found = [ran(run, worker.results_of(submission(), job_of(run))) for run in planned_runs(digests)]
    assert differing(digests, found) == {"this": []}


def test_what_a_comparison_of_orders_needs_and_sees() -> None:
    """Two submissions that differ in `a`, on which `c` builds; they share what `b` uses."""
    digests = {"one": {"a": "a1", "b": "b", "c": "c1"}, "two": {"a": "a2", "b": "b", "c": "c2"}}
    runs = planned_runs(digests)
    assert [("".join(run.tasks), run.slug) for run in runs] == [
        ("abc", "one"), ("cba", "one"), ("b", "one"), ("abc", "two"), ("cba", "two"),
    ]  # fmt: skip
    right: Passed = {task: frozenset({"check"}) for task in "abc"}
    found = [Ran(run, {task: right[task] for task in run.tasks}) for run in runs]
    assert differing(digests, found) == {"one": [], "two": []}
    found[2] = Ran(Run("one", ("b",)), {"b": frozenset()})
    assert differing(digests, found) == {"one": ["b"], "two": ["b"]}
    found[4] = Ran(found[4].run, right | {"c": frozenset()})
    assert differing(digests, found[:2] + found[3:]) == {"one": [], "two": ["c"]}
    assert differing(digests, found[:1]) == {}


def test_answers_stop_where_they_stop_in_a_kernel() -> None:
    """Twelve of those that `benchmarks.as_in_jupyter` tries."""
    assert len(CASES) == 12
    for answer, kind, kernel, grader in compared(ASSIGNMENT, CASES):
        assert grader.agrees(kernel) == (KINDS[kind].differs == ""), (answer, kind, kernel, grader)

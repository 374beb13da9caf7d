"""A task's marks do not depend on the tasks that were graded before it, and an answer runs as it runs in Jupyter."""

from __future__ import annotations

import json

import pytest

from autograder.course.assignment import load_assignment
from autograder.course.cells import grade_id_of
from autograder.course.submission import Snapshot
from autograder.grading.zygote_client import Zygote
from benchmarks.as_in_jupyter import ANSWERS, KINDS, compared
from benchmarks.task_order import Orders
from tests.submissions.corpus import ROOT, read_corpus

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
    digests = {task: task for task in ("data_split", "preprocessing", "carbon")}
    with Zygote(threads=1, preload=ASSIGNMENT.task("carbon").preload) as zygote:
        assert Orders(ROOT, ASSIGNMENT, zygote).tried("", submission(), digests).differing == []


def test_answers_stop_where_they_stop_in_a_kernel() -> None:
    """Twelve of those that `benchmarks.as_in_jupyter` tries."""
    assert len(CASES) == 12
    for answer, kind, kernel, grader in compared(ASSIGNMENT, CASES):
        assert grader.agrees(kernel) == (KINDS[kind].differs == ""), (answer, kind, kernel, grader)

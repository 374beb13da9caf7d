"""What students read of mistakes that real hand-ins had: each reason names the fault, and is said once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from autograder.audit.corpus import Variant
from autograder.checking.comparisons import OTHER_KERAS
from autograder.course.assignment import load_assignment
from autograder.course.course import Course, read_course
from autograder.course.submission import Snapshot
from autograder.grading.check_runner import collected_checks
from autograder.grading.grader import Grader
from autograder.grading.live_submission import GradingCase, LiveSubmission
from autograder.grading.reference import Reference
from autograder.grading.zygote_client import Zygote
from autograder.rendering.result_text import render_text
from tests.submissions.corpus import ROOT, read_corpus

pytestmark = pytest.mark.slow

ASSIGNMENT = load_assignment(ROOT, "vit")
CORPUS = read_corpus()


def hand_in(*changes: tuple[str, str]) -> Snapshot:
    """The solved lab with these texts of its module replaced."""
    return CORPUS.submission(Variant(slug="changed", right=False, replace=changes))


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    with Zygote(threads=1) as zygote:
        yield zygote


def reasons(zygote: Zygote, snapshot: Snapshot, task: str) -> list[str]:
    """The reasons of one task in the submission's own process, each once."""
    reference = Reference.read(ASSIGNMENT)
    case = GradingCase.begin(read_course(ROOT).settings, ASSIGNMENT, reference, zygote, snapshot)
    seed = hashlib.sha256(snapshot.digest.encode()).digest()
    tasks = [ASSIGNMENT.task(task)]
    with LiveSubmission(case) as live, collected_checks(tasks) as checks:
        found = checks.run(tasks[0], live.student(tasks[0]), seed)
    return list(dict.fromkeys(check.message for check in found if check.outcome != "passed"))


# One paragraph for each submission of the corpus: its name, and what its task is told, without numbers of lines.
GOLDEN = [
    text.split("\n    ")
    for text in Path(__file__).with_name("real_mistakes.txt").read_text("utf-8").strip().split("\n\n")
]


@pytest.mark.parametrize(("name", "told"), [(name, told) for name, *told in GOLDEN], ids=[name for name, *_ in GOLDEN])
def test_what_students_read_of_a_mistake(zygote: Zygote, name: str, told: list[str]) -> None:
    variant = CORPUS.variant(name)
    found = reasons(zygote, CORPUS.submission(variant), variant.task)
    assert [re.sub(r"line \d+", "line 0", reason) for reason in found] == told


KERAS_3 = ("import tf_keras as keras\n", "import keras\n")


@pytest.mark.parametrize("task", ["multi_head_attention", "mlp", "transformer_block", "patch_encoder"])
def test_one_import_line_of_another_keras_is_named_in_every_task(zygote: Zygote, task: str) -> None:
    assert reasons(zygote, hand_in(KERAS_3), task) == [OTHER_KERAS]


def test_a_layer_of_another_keras_that_needs_nothing_is_right(zygote: Zygote) -> None:
    change = ("class PatchExtractor(keras.layers.Layer):", "class PatchExtractor(tf.keras.layers.Layer):")
    assert reasons(zygote, hand_in(change), "patch_extractor") == []


def test_several_mistakes_at_once_keep_their_reasons() -> None:
    """Where a stand-in takes the place of a wrong part, the line is told at which the student's own code stops."""
    (without_wq,) = CORPUS.variant("multi-head-without-wq").replace
    with Grader(Course(ROOT), ASSIGNMENT, threads=1) as grader:
        result = grader.grade(hand_in((" / tf.sqrt(head_dim)", ""), without_wq))
    text = render_text(result, ASSIGNMENT.titles)
    assert "Your scores are not scaled." in text
    assert text.count("has no attribute 'WQ' (utilities.py, in call, line ") == 1

"""The hidden checks on the whole corpus."""

from __future__ import annotations

import re
import tomllib
import zlib
from dataclasses import replace

import numpy as np
import pytest

from autograder.audit.audit import Scope, audit
from autograder.audit.records import Audit
from autograder.audit.worker import AuditSubject
from autograder.checks.vit.oracles.vision_transformer import layer_norm
from autograder.cli.main import main
from autograder.course.assignment import load_assignment
from autograder.course.course import Course
from tests.audit.tiny_corpus import write_corpus
from tests.submissions.corpus import FOLDER, RIGHT, ROOT, read_corpus
from tests.tiny import TinyCourse

ASSIGNMENT = load_assignment(ROOT, "vit")


_FOLDER = re.compile(r"(?<![\w.])/(?:home|root|usr|opt|tmp|var|work|submission|scratch|proc)/")
ONE_IN = {"unseen_": 60, "unusual_": 60}
"""Of tables whose names begin so, one variant in so many is tried here."""
ONE_IN_RIGHT, ONE_IN_WRONG = 24, 50
"""The same for the other tables."""
ALONE = {
    "attention-drops-scores",
    "attention-needs-a-batch",
    "attention-no-gradient-of-values",
    "attention-output-of-unscaled-scores",
    "attention-overflows",
    "attention-unscaled-by-definition",
    "block-dropout-of-whole-tokens",
    "block-in-a-list",
    "block-mlp-of-another-rate",
    "block-no-gradient-of-attention",
    "block-other-default-rate",
    "block-wrong-beside-the-model-s-own-class",
    "encoder-batch-size-hard-coded",
    "encoder-class-token-without-position-by-definition",
    "encoder-class-token-zeros",
    "encoder-first-position-masked",
    "encoder-no-gradient-of-class-token",
    "encoder-other-defaults",
    "footprint-saves-elsewhere",
    "footprint-tracker-never-started",
    "footprint-without-history",
    "labels-cut-at-the-comma",
    "labels-of-training-one-hot",
    "labels-of-validation-shuffled",
    "mlp-dropout-before-gelu",
    "mlp-elu",
    "mlp-frozen",
    "mlp-layers-kept-between-calls",
    "mlp-rank-three-only",
    "mlp-regularised",
    "model-frozen-tokens",
    "model-msa-dropout-ignored",
    "model-of-other-settings",
    "model-regularised",
    "model-single-output-for-two-classes",
    "multi-head-batch-size-fixed-in-split",
    "multi-head-biases",
    "multi-head-fused-and-scaled-by-dk",
    "multi-head-fused-and-split-elsewhere",
    "multi-head-length-of-the-first-call",
    "multi-head-no-gradient-of-values",
    "multi-head-queries-and-keys-of-zeros",
    "multi-head-uniform-with-flag",
    "patches-channels-first-unless-three-channels",
    "patches-column-by-column-dense-loops",
    "patches-noisy-in-training",
    "patches-noisy-when-told-the-phase",
    "patches-of-unknown-width",
    "patches-other-default-size",
    "pixels-of-validation-in-0-1",
    "pixels-split-again-in-order",
    "pretrained-always-five",
    "pretrained-logits",
    "pretrained-picture-cropped",
    "split-70-30",
    "split-first-quarter-of-each-class",
    "split-tests-on-validation-images",
    "split-with-replacement",
    "training-always-in-the-same-folder",
    "training-drops-the-last-batch",
    "training-loop-without-a-phase",
    "training-loss-of-probabilities",
    "training-names-the-metric-acc",
    "training-never-tests",
    "training-of-shuffled-labels",
    "training-of-the-head-only",
    "training-validates-on-test-data",
}
"""Variants that a single check kills, for checks of which the others here have none."""
KILLING_NOTHING_ALONE = {
    "transformer_block::output",
    "transformer_block::without_attention",
    "vit_model::output",
}
"""Checks that have no wrong work of their own in the whole corpus; see docs/audit.md."""


def sampled_slugs() -> frozenset[str]:
    """Return the whole modules and a share of the tables, the same in every run; the command tries all of it."""
    corpus = {variant.slug: variant for variant in read_corpus().variants if not variant.misjudged}
    left_out = {
        row["slug"]
        for table in FOLDER.glob("*/*.toml")
        for row in tomllib.loads(table.read_text("utf-8")).get("variant", [])
        if zlib.crc32(row["slug"].encode()) % _one_in(table.name, right=table.parent.name == "right")
    }
    return frozenset(corpus) - (left_out - ALONE)


def _one_in(table: str, *, right: bool) -> int:
    shares = [share for beginning, share in ONE_IN.items() if table.startswith(beginning)]
    return shares[0] if shares else ONE_IN_RIGHT if right else ONE_IN_WRONG


@pytest.fixture(scope="module")
def found() -> Audit:
    """A part of the corpus, tried once; what is known to be misjudged is left to the command.

    Those that a single check kills are tried in their own task alone.
    """
    subject, sample = AuditSubject(Course(root=ROOT), "vit", FOLDER), sampled_slugs()
    everywhere = audit(subject, Scope(slugs=sample - ALONE, jobs=1))
    alone = audit(subject, Scope(slugs=sample & ALONE, own=True, jobs=1))
    return replace(everywhere, submissions=everywhere.submissions + alone.submissions)


@pytest.mark.slow
def test_right_submissions_get_full_marks(found: Audit) -> None:
    assert len(found.right()) >= 15
    assert {row.variant.slug: row.lost for row in found.right() if not row.is_as_expected} == {}


@pytest.mark.slow
def test_wrong_submissions_lose_points_in_their_task_and_nowhere_else(found: Audit) -> None:
    assert len(found.wrong()) >= 70
    assert {row.variant.slug: row.lost for row in found.wrong() if not row.is_as_expected} == {}


@pytest.mark.slow
def test_mistakes_are_named_and_never_wrongly(found: Audit) -> None:
    asked = [row for row in found.wrong() if row.variant.misconception]
    assert {row.variant.slug: row.named for row in found.wrong() if row.naming == "wrong"} == {}
    assert sum(row.naming == "right" for row in asked) >= 0.95 * len(asked)
    assert [row.variant.slug for row in found.wrong() if not row.says] == []


@pytest.mark.slow
def test_nearly_every_check_kills_something_alone(found: Audit) -> None:
    assert {worth.id for worth in found.worth() if not worth.alone} <= KILLING_NOTHING_ALONE


@pytest.mark.slow
def test_no_reason_holds_a_folder_of_this_machine(found: Audit) -> None:
    checks = [check for row in found.submissions for checks in row.checks.values() for check in checks]
    told = {check.message for check in checks} | {check.sentence for check in checks}
    assert {text for text in told if "site-packages" in text or _FOLDER.search(text)} == set()


def test_corpus_is_as_large_as_it_must_be() -> None:
    corpus = read_corpus()
    assert len(RIGHT) >= 8
    assert {variant.task for variant in corpus.variants if not variant.right} == {task.id for task in ASSIGNMENT.tasks}


def test_a_wrong_part_may_stand_beside_an_answer_that_counts_on_another_cell() -> None:
    corpus = read_corpus()
    wrong = corpus.variant("heads-not-merged-and-os-of-the-first-cell")
    assert "heads_last = attended" in corpus.module_of(wrong)
    assert b"os.path.join(ckpt_path" in corpus.notebook_of(wrong)


def test_equal_features_are_normalised_without_dividing_by_zero() -> None:
    """A wrong block may make them, and NumPy's warning would be an internal error."""
    assert layer_norm(np.zeros((2, 3)), np.ones(3), np.full(3, 0.5)).tolist() == [[0.5] * 3] * 2


@pytest.mark.slow
def test_an_instructors_own_checks_are_audited(released_course: TinyCourse, capsys: pytest.CaptureFixture[str]) -> None:
    write_corpus(released_course)
    with (released_course.root / "course_config.py").open("a") as settings:
        settings.write("c.Autograder.jobs = 1\n")
    words = ["audit", "--course", str(released_course.root), "--assignment", "tiny", "--matrix", "--seeds", "2"]
    assert main(words) == 0
    report = capsys.readouterr().out
    assert "right submissions with full marks: 1 of 1" in report
    assert "wrong submissions that lose points in their task: 2 of 2" in report
    assert "adds-one: off_by_one; named nothing" in report
    assert "the same marks in 2 audits: 3 of 3" in report

"""The hidden checks on the whole corpus, and the audit's own judgement."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from autograder.audit.audit import audit
from autograder.audit.corpus import Corpus, Variant, load_corpus
from autograder.audit.records import Audit, AuditedSubmission
from autograder.audit.render import render_audit
from autograder.audit.stability import render_stability, repeat, seeds_of
from autograder.audit.worker import Subject
from autograder.checks.vit.misconceptions import SENTENCES
from autograder.checks.vit.oracle import (
    Projections,
    layer_norm,
    wrong_attention,
    wrong_blocks,
    wrong_multi_head_attention,
    wrong_patches,
)
from autograder.cli.main import main
from autograder.course.assignment import load_assignment
from autograder.course.course import Course
from autograder.errors import CorpusError
from autograder.results import CheckResult, Outcome
from tests.submissions.corpus import FOLDER, ROOT, read_corpus
from tests.tiny import TinyCourse

ASSIGNMENT = load_assignment(ROOT, "vit")
TINY_CORPUS = """
[[variant]]
slug = "adds-one"
task = "double"
misconception = "off_by_one"
replace = [["twice_of_everything = 2.0 * x", "twice_of_everything = x + 1.0"]]

[[variant]]
slug = "total-is-off"
cell = "total_answer"
task = "total"
says = "not the sum"
text = "total = 0"
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """The whole corpus, tried once."""
    return audit(Subject(Course(root=ROOT), "vit", FOLDER))


@pytest.mark.slow
def test_right_submissions_get_full_marks(found: Audit) -> None:
    assert len(found.right()) >= 40
    assert {row.variant.slug: row.lost for row in found.right() if not row.is_as_expected} == {}


@pytest.mark.slow
def test_wrong_submissions_lose_points_in_their_task_and_nowhere_else(found: Audit) -> None:
    assert len(found.wrong()) >= 150
    assert {row.variant.slug: row.lost for row in found.wrong() if not row.is_as_expected} == {}


@pytest.mark.slow
def test_mistakes_are_named_and_never_wrongly(found: Audit) -> None:
    asked = [row for row in found.wrong() if row.variant.misconception]
    assert {row.variant.slug: row.named for row in found.wrong() if row.naming == "wrong"} == {}
    assert sum(row.naming == "right" for row in asked) >= 0.95 * len(asked)
    assert [row.variant.slug for row in found.wrong() if not row.says] == []


@pytest.mark.slow
def test_every_check_kills_something_alone(found: Audit) -> None:
    assert [worth.id for worth in found.worth() if not worth.alone] == []


def test_corpus_is_as_large_as_it_must_be() -> None:
    corpus = read_corpus()
    assert {variant.task for variant in corpus.variants if not variant.right} == {task.id for task in ASSIGNMENT.tasks}


def test_equal_features_are_normalised_without_dividing_by_zero() -> None:
    """A wrong block may make them, and NumPy's warning would be an internal error."""
    assert layer_norm(np.zeros((2, 3)), np.ones(3), np.full(3, 0.5)).tolist() == [[0.5] * 3] * 2


def test_every_wrong_oracle_has_a_sentence() -> None:
    """Without one, a recognised mistake would end in an internal error, which costs no points."""
    rng = np.random.default_rng(1)
    q, k, v = rng.normal(size=(3, 2, 4, 5))
    query, key, value, output = rng.normal(size=(4, 2, 5, 5))
    heads = Projections(query, key, value, output)
    same = [partial(np.multiply, 2.0)]
    known: list[Mapping[str, object]] = [
        wrong_attention(q, k, v),
        wrong_multi_head_attention(q, k, v, heads),
        wrong_patches(rng.normal(size=(1, 4, 4, 3)), 2),
    ]
    slugs = {slug for table in known for slug in table}
    slugs |= {slug for slug, _ in wrong_blocks(q, np.tanh, same, (np.exp, np.sin))}
    assert slugs <= SENTENCES.keys()


def check(outcome: Outcome, misconception: str | None = None, message: str = "") -> CheckResult:
    """A result of the task `double`."""
    return CheckResult(id="double::a", outcome=outcome, weight=1, message=message, misconception=misconception)


def audited(*checks: CheckResult, right: bool = False, **changes: object) -> AuditedSubmission:
    """What was found about one submission."""
    lost = {"double": 1.0} if any(result.outcome == "failed" for result in checks) else {}
    variant = Variant("one", right=right, task="double", **changes)  # type: ignore[arg-type]
    return AuditedSubmission(variant, {"double": checks}, lost)


def test_rows_are_judged() -> None:
    failed, passed = check("failed", "a+b"), check("passed")
    assert audited(failed).is_as_expected
    assert not audited(passed).is_as_expected
    assert audited(passed, right=True).is_as_expected
    assert not audited(check("error"), right=True).is_as_expected
    assert audited(failed, misconception="b").naming == "right"
    assert audited(failed, misconception="c").naming == "wrong"
    assert audited(failed, misconception="c", also=("a",)).naming == "none"
    assert audited(check("failed", "wrong_shape"), misconception="b").naming == "none"
    assert audited(failed).naming == "wrong"
    assert audited(passed).naming == "-"


def test_checks_that_kill_nothing_alone_are_found() -> None:
    one, two = (CheckResult(id=f"double::{name}", outcome="failed", weight=1, message="") for name in "ab")
    rows = (
        audited(one, two),
        AuditedSubmission(Variant("two", right=False, task="double"), {"double": (one,)}, {"double": 1.0}),
    )
    assert [(worth.id, len(worth.kills), len(worth.alone)) for worth in Audit(rows, 0.0, 1).worth()] == [
        ("double::a", 2, 1),
        ("double::b", 1, 0),
    ]
    report = render_audit(Audit(rows, 0.0, 1), matrix=True)
    assert "Checks that kill nothing alone (1)\n  double::b" in report
    assert "wrong submissions that lose points in their task: 2 of 2" in report
    assert "  ab  one" in report


def test_marks_that_change_are_found() -> None:
    losses = iter([{"double": 1.0}, {"double": 1.0}, {"double": 0.5}])

    def run(seed: bytes, number: int) -> Audit:
        variant = Variant(f"seen-{len(seed)}", right=False, task="double")
        return Audit((AuditedSubmission(variant, {}, next(losses)),), seconds=0.0, workers=1)

    first, stability = repeat(run, seeds_of("s", different=1, each=3))
    assert first.lost("seen-1") == {"double": 1.0}
    assert stability.runs == 3
    assert list(stability.unstable) == ["seen-1"]
    assert "the same marks in 3 audits: 0 of 1" in render_stability(stability)
    assert seeds_of("s", different=2, each=2) == [b"s", b"s", b"s1", b"s1"]


def write_corpus(course: TinyCourse, text: str = TINY_CORPUS) -> Path:
    """Write a corpus into a miniature course."""
    folder = course.root / "tests" / "submissions"
    (folder / "wrong").mkdir(parents=True)
    (folder / "wrong" / "tiny.toml").write_text(text)
    (folder / "right").mkdir()
    (folder / "right" / "plus.py").write_text("def double(x):\n    return x + x\n")
    return folder


@pytest.mark.slow
def test_an_instructors_own_checks_are_audited(released_course: TinyCourse, capsys: pytest.CaptureFixture[str]) -> None:
    write_corpus(released_course)
    words = ["audit", "--course", str(released_course.root), "--assignment", "tiny", "--matrix", "--seeds", "2"]
    assert main(words) == 0
    report = capsys.readouterr().out
    assert "right submissions with full marks: 1 of 1" in report
    assert "wrong submissions that lose points in their task: 2 of 2" in report
    assert "adds-one: off_by_one; named nothing" in report
    assert "the same marks in 2 audits: 3 of 3" in report


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('slug = "total-is-off"', 'slug = "adds-one"', "Two submissions have the slug 'adds-one'"),
        ('task = "total"', 'task = "sum"', "'sum' is no task of tiny"),
        ("2.0 * x", "3.0 * x", "found it 0 times"),
        ("x + 1.0", "x +", "the edited module is not Python"),
        ('says = "not', 'sais = "not', "unknown key 'sais'"),
        ('[["twice', '["twice', "is not TOML"),
    ],
)
def test_a_corpus_that_does_not_fit_is_refused(tiny_course: TinyCourse, old: str, new: str, problem: str) -> None:
    folder = write_corpus(tiny_course, TINY_CORPUS.replace(old, new))
    with pytest.raises(CorpusError, match=problem):
        load_corpus(folder, tiny_course.assignment)


def test_no_corpus_is_an_error(tiny_course: TinyCourse) -> None:
    with pytest.raises(CorpusError, match="There is no corpus"):
        load_corpus(tiny_course.root, tiny_course.assignment)


def test_variants_are_made_from_their_base(tiny_course: TinyCourse) -> None:
    corpus: Corpus = load_corpus(write_corpus(tiny_course), tiny_course.assignment)
    assert "x + 1.0" in corpus.module_of(corpus.variant("adds-one"))
    assert b'"total = 0"' in corpus.notebook_of(corpus.variant("total-is-off"))
    assert b"SOLUTION" not in corpus.notebook_of(corpus.variant("total-is-off")).partition(b"total = 0")[0][-80:]

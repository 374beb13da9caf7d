"""What a run over mutants concludes, keeps and prints."""

from __future__ import annotations

from pathlib import Path

from autograder.audit.mutants.records import Verdict, VerdictFile, VerdictKind, tally
from autograder.audit.mutants.render import mutants_json, render_mutants
from autograder.audit.mutants.run import MutantAudit


def verdict(name: str, kind: VerdictKind = "wrong", lost: dict[str, float] | None = None, **more: object) -> Verdict:
    """A verdict on a mutant of the task `mlp`."""
    rest = {"differences": (("output", "off by 1 of the largest value"),), **more}
    return Verdict(name, f"key of {name}", "einsum", "mlp", "axis", kind, "-one\n+two", lost=lost or {}, **rest)  # type: ignore[arg-type]


VERDICTS = (
    verdict("killed", lost={"mlp": 4.0}, named=("over_queries",)),
    verdict("survivor"),
    verdict("elsewhere", lost={"vit_model": 1.0}),
    verdict("unfair", lost={"mlp": 4.0, "vit_model": 1.0}),
    verdict("same", "equivalent", differences=()),
    verdict("other", "free", freedom="initial values"),
    verdict("rewritten", "rewriting", {"mlp": 0.5}),
    verdict("rewritten-too", "rewriting"),
)


def test_verdicts_are_counted() -> None:
    counts = tally(VERDICTS[:6])
    assert (counts.made, counts.equivalent, counts.free, counts.wrong) == (6, 1, 1, 4)
    assert (counts.killed, counts.elsewhere_only, counts.survived, counts.collateral) == (2, 1, 1, 1)
    assert not MutantAudit(VERDICTS, 1.0, 1).is_as_expected
    assert MutantAudit((VERDICTS[0], *VERDICTS[4:6], VERDICTS[7]), 1.0, 1).is_as_expected


def test_a_run_is_shown() -> None:
    text = render_mutants(MutantAudit(VERDICTS, 1.0, 1))
    assert (
        "Wrong mutants that no check of their task kills (2)\n  survivor\n    -one\n    +two\n    output: off by 1"
        in text
    )
    assert "Rewritings of right work that lose points (1)\n  rewritten: mlp -0.5" in text
    assert "Points lost elsewhere (1)\n  unfair: mlp -4, vit_model -1" in text
    assert "over_queries: axis 1" in text
    assert "rewritings of right work with full marks: 1 of 2" in text
    assert b'"freedom": "initial values"' in mutants_json(MutantAudit(VERDICTS, 1.0, 1))


def test_a_run_resumes_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "new" / "verdicts.jsonl"
    first = VerdictFile(path)
    for verdict in VERDICTS:
        first.add(verdict)
    path.write_bytes(path.read_bytes() + b'{"name": "cut o')
    again = VerdictFile(path)
    assert all(again[verdict.key] == verdict for verdict in VERDICTS)
    assert "another key" not in again

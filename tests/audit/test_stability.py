"""Repeated audits: marks that change are found."""

from __future__ import annotations

from autograder.audit.corpus import Variant
from autograder.audit.records import Audit, AuditedSubmission
from autograder.audit.stability import render_stability, repeat, seeds_of


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

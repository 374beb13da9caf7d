"""What an audit concludes from what the checks found."""

from __future__ import annotations

from autograder.audit.corpus import Variant
from autograder.audit.records import Audit, AuditedSubmission
from autograder.audit.render import render_audit
from autograder.results import CheckResult, Outcome


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

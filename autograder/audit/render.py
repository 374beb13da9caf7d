"""Render an audit as text and as a table: what is wrong first, the figures last."""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence

import msgspec

from autograder.audit.records import Audit, AuditedSubmission, function_of
from autograder.results import CheckId


def render_audit(audit: Audit, *, matrix: bool = False) -> str:
    """Return an audit as text, with a final newline.

    Args:
        audit: What was found.
        matrix: Also show, for each task, which check fails on which wrong submission.
    """
    lines = list(_matrix(audit)) if matrix else []
    for title, findings in _sections(audit):
        if findings:
            lines += [f"{title} ({len(findings)})", *(f"  {finding}" for finding in findings), ""]
    return "\n".join([*lines, *_figures(audit)]) + "\n"


def audit_json(audit: Audit) -> bytes:
    """Return an audit as JSON: a row for each submission, and the figures."""
    rows = [
        {
            "slug": submission.variant.slug,
            "right": submission.variant.right,
            "task": submission.variant.task,
            "lost": dict(submission.lost),
            "expected": submission.variant.misconception,
            "named": sorted(submission.named),
            "naming": submission.naming,
            "failed": [
                {"id": check.id, "sentence": check.sentence, "message": check.message} for check in submission.failed
            ],
        }
        for submission in audit.submissions
    ]
    return msgspec.json.encode({"rows": rows, "figures": _figures(audit), "seconds": audit.seconds})


def _sections(audit: Audit) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield the title of each section and its lines, of which there are none if all is well."""
    right, wrong, checks = audit.right(), audit.wrong(), audit.worth()
    unfair = [submission for submission in right if not submission.is_as_expected]
    yield "Right submissions that lose points", list(map(_losses, unfair))
    survivors = [submission for submission in wrong if not submission.is_killed]
    yield "Wrong submissions that no check of their task kills", list(map(_survivor, survivors))
    yield "Losses in other tasks", [_losses(submission) for submission in wrong if submission.collateral]
    yield "Internal errors", [_errors(submission) for submission in audit.submissions if submission.errors]
    yield "Named wrongly", [_naming(submission) for submission in wrong if submission.naming == "wrong"]
    yield "Not named", [_naming(submission) for submission in wrong if submission.naming == "none"]
    yield "Reasons without the expected words", [submission.variant.slug for submission in wrong if not submission.says]
    yield "Checks that kill nothing", [check.id for check in checks if not check.kills]
    yield "Checks that kill nothing alone", [check.id for check in checks if check.kills and not check.alone]
    yield "Checks that always fail together", [", ".join(ids) for ids in audit.together()]


def _losses(submission: AuditedSubmission) -> str:
    """Name the tasks in which a submission lost points that it should have kept."""
    lost = (f"{task} -{submission.lost[task]:g}" for task in submission.lost if task in submission.collateral)
    return f"{submission.variant.slug}: {', '.join(lost)}"


def _survivor(submission: AuditedSubmission) -> str:
    return f"{submission.variant.slug} ({submission.variant.task})"


def _errors(submission: AuditedSubmission) -> str:
    return f"{submission.variant.slug}: {', '.join(submission.errors)}"


def _naming(submission: AuditedSubmission) -> str:
    named = ", ".join(sorted(submission.named)) or "nothing"
    return f"{submission.variant.slug}: {submission.variant.misconception}; named {named}"


def _matrix(audit: Audit) -> Iterator[str]:
    """Yield a table for each task: a column for each check, a row for each wrong submission."""
    known = [check.id for check in audit.worth()]
    for task in dict.fromkeys(submission.variant.task for submission in audit.wrong()):
        names = (name for name in known if CheckId.parse(name).task == task)
        columns = dict(zip(names, string.ascii_letters, strict=False))
        yield from (f"{letter} {name}" for name, letter in columns.items())
        for submission in audit.wrong():
            if submission.variant.task == task:
                failed = {function_of(check.id) for check in submission.failed}
                marks = "".join(letter if name in failed else "·" for name, letter in columns.items())
                yield f"  {marks}  {submission.variant.slug}"
        yield ""


def _figures(audit: Audit) -> list[str]:
    right, wrong, worth = audit.right(), audit.wrong(), audit.worth()
    full = sum(submission.is_as_expected for submission in right)
    killed = sum(submission.is_killed for submission in wrong)
    asked = [submission for submission in wrong if submission.variant.misconception is not None]
    named = sum(submission.naming == "right" for submission in wrong)
    misnamed = sum(submission.naming == "wrong" for submission in wrong)
    alone = sum(bool(check.alone) for check in worth)
    return [
        f"right submissions with full marks: {full} of {len(right)}",
        f"wrong submissions that lose points in their task: {killed} of {len(wrong)}",
        f"losses in other tasks: {sum(len(submission.collateral) for submission in wrong)}",
        f"misconception named: {named} of {len(asked)} listed; a wrong name: {misnamed}",
        f"checks that alone kill at least one submission: {alone} of {len(worth)}",
        f"{audit.seconds:.0f} s with {audit.workers} at once",
    ]

"""Render an audit: what is wrong first, the figures last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from autograder.audit.audit import Audit, Row


def render_audit(audit: Audit, *, matrix: bool = False) -> str:
    """Return an audit as text, with a final newline.

    Args:
        audit: What was found.
        matrix: Also show, for each task, which check fails on which wrong submission.
    """
    lines = list(_matrix(audit)) if matrix else []
    lines += _section("Right submissions that lose points", [_losses(row) for row in audit.right() if not row.good])
    lines += _section("Wrong submissions that no check of their task kills", _survivors(audit))
    lines += _section("Losses in other tasks", [_losses(row) for row in audit.wrong() if row.collateral])
    lines += _section(
        "Errors of ours", [f"{row.variant.slug}: {', '.join(row.errors)}" for row in audit.rows if row.errors]
    )
    lines += _section("Named wrongly", [_naming(row) for row in audit.wrong() if row.naming == "wrong"])
    lines += _section("Not named", [_naming(row) for row in audit.wrong() if row.naming == "none"])
    lines += _section("Reasons without the expected words", [row.variant.slug for row in audit.wrong() if not row.says])
    worth = audit.worth()
    lines += _section("Checks that kill nothing", [one.id for one in worth if not one.kills])
    lines += _section("Checks that kill nothing alone", [one.id for one in worth if one.kills and not one.alone])
    lines += _section("Checks that always fail together", [", ".join(names) for names in audit.together()])
    return "\n".join([*lines, *_figures(audit)]) + "\n"


def to_table(audit: Audit) -> bytes:
    """Return an audit as JSON: one row a submission, and the figures."""
    rows = [
        {
            "slug": row.variant.slug,
            "right": row.variant.right,
            "task": row.variant.task,
            "lost": dict(row.lost),
            "expected": row.variant.misconception,
            "named": sorted(row.named),
            "naming": row.naming,
            "failed": [{"id": one.id, "sentence": one.sentence, "message": one.message} for one in row.failed],
        }
        for row in audit.rows
    ]
    return msgspec.json.encode({"rows": rows, "figures": _figures(audit), "seconds": audit.seconds})


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [f"{title} ({len(lines)})", *(f"  {line}" for line in lines), ""] if lines else []


def _losses(row: Row) -> str:
    lost = {name: points for name, points in row.lost.items() if row.variant.right or name != row.variant.task}
    return f"{row.variant.slug}: " + ", ".join(f"{name} -{points:g}" for name, points in lost.items())


def _survivors(audit: Audit) -> list[str]:
    return [f"{row.variant.slug} ({row.variant.task})" for row in audit.wrong() if row.variant.task not in row.lost]


def _naming(row: Row) -> str:
    return f"{row.variant.slug}: {row.variant.misconception}; named {', '.join(sorted(row.named)) or 'nothing'}"


def _matrix(audit: Audit) -> Iterator[str]:
    """Yield a table for each task: a column for each check, a row for each wrong submission."""
    ids = [one.id for one in audit.worth()]
    for task in dict.fromkeys(row.variant.task for row in audit.wrong()):
        checks = [name for name in ids if name.startswith(f"{task}::")]
        yield from (f"{chr(97 + place)} {name}" for place, name in enumerate(checks))
        for row in audit.wrong():
            if row.variant.task == task:
                failed = {one.id.partition("[")[0] for one in row.failed}
                marks = "".join(chr(97 + place) if name in failed else "·" for place, name in enumerate(checks))
                yield f"  {marks}  {row.variant.slug}"
        yield ""


def _figures(audit: Audit) -> list[str]:
    right, wrong, worth = audit.right(), audit.wrong(), audit.worth()
    killed = sum(row.variant.task in row.lost for row in wrong)
    asked = [row for row in wrong if row.variant.misconception is not None]
    named, wrongly = (sum(row.naming == word for row in wrong) for word in ("right", "wrong"))
    return [
        f"right submissions with full marks: {sum(row.good for row in right)} of {len(right)}",
        f"wrong submissions that lose points in their task: {killed} of {len(wrong)}",
        f"losses in other tasks: {sum(len(row.collateral) for row in wrong)}",
        f"misconception named: {named} of {len(asked)} listed; a wrong name: {wrongly}",
        f"checks that alone kill at least one submission: {sum(bool(one.alone) for one in worth)} of {len(worth)}",
        f"{audit.seconds:.0f} s with {audit.jobs} at once",
    ]

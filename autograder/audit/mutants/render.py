"""Render the verdicts on mutants as text: what is wrong first, then the figures by task and by operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import msgspec

from autograder.audit.mutants.records import Tally, Verdict, tally
from autograder.audit.mutants.run import MutantAudit

SHOWN_EQUIVALENT = 50
COLUMNS = ("made", "equal", "free", "wrong", "killed", "outright", "elsewhere", "survived", "unfair", "errors")


def render_mutants(audit: MutantAudit) -> str:
    """Return a run over mutants as text, with a final newline."""
    mutants = [verdict for verdict in audit.verdicts if verdict.kind != "rewriting"]
    rewritings = [verdict for verdict in audit.verdicts if verdict.kind == "rewriting"]
    lines: list[str] = []
    for title, verdicts, show in _sections(mutants, rewritings):
        if verdicts:
            lines += [f"{title} ({len(verdicts)})", *(line for verdict in verdicts for line in show(verdict)), ""]
    lines += [*_named(mutants), *_freedoms(mutants)]
    for name, group in (("task", lambda verdict: verdict.task), ("operator", lambda verdict: verdict.operator)):
        lines += [*_table(name, mutants, group), ""]
    return "\n".join([*lines, *_figures(audit, mutants, rewritings)]) + "\n"


def mutants_json(audit: MutantAudit) -> bytes:
    """Return the verdicts as JSON."""
    return msgspec.json.format(msgspec.json.encode({"verdicts": audit.verdicts, "seconds": audit.seconds}), indent=1)


def _sections(
    mutants: Sequence[Verdict], rewritings: Sequence[Verdict]
) -> Iterator[tuple[str, list[Verdict], Callable[[Verdict], Iterator[str]]]]:
    unfair = [verdict for verdict in rewritings if verdict.lost]
    yield "Rewritings of right work that lose points", unfair, _with_diff
    survivors = [verdict for verdict in mutants if verdict.survives]
    yield "Wrong mutants that no check of their task kills", survivors, _with_diff
    yield "Points lost elsewhere", [verdict for verdict in mutants if verdict.collateral], _with_diff
    broken = [verdict for verdict in (*mutants, *rewritings) if verdict.errors]
    yield "Internal errors", broken, _with_diff
    equivalent = [verdict for verdict in mutants if verdict.kind == "equivalent"]
    step = max(1, len(equivalent) // SHOWN_EQUIVALENT)
    yield "Some of the equivalent mutants", equivalent[::step][:SHOWN_EQUIVALENT], _with_diff


def _with_diff(verdict: Verdict) -> Iterator[str]:
    """Yield a mutant's name, its lines, and what proves that it is wrong."""
    lost = ", ".join(f"{task} -{points:g}" for task, points in verdict.lost.items())
    yield f"  {verdict.name}{f': {lost}' if lost else ''}"
    yield from (f"    {line}" for line in verdict.diff.split("\n"))
    yield from (f"    {aspect}: {words}" for aspect, words in verdict.differences[:2])
    yield from (f"    internal error in {check}" for check in verdict.errors)


def _named(mutants: Sequence[Verdict]) -> list[str]:
    """Return which mistakes were named for which operators, for a person to read."""
    found = Counter((name, verdict.operator) for verdict in mutants for name in verdict.named)
    rows: dict[str, list[str]] = {}
    for (name, operator), times in sorted(found.items()):
        rows.setdefault(name, []).append(f"{operator} {times}")
    if not rows:
        return []
    title = f"Mistakes named, with the operators that made them ({len(rows)})"
    return [title, *(f"  {name}: {', '.join(operators)}" for name, operators in rows.items()), ""]


def _freedoms(mutants: Sequence[Verdict]) -> list[str]:
    found = Counter(verdict.freedom for verdict in mutants if verdict.kind == "free")
    return (
        ["Differences that are free, by rule", *(f"  {times:5} {name}" for name, times in found.most_common()), ""]
        if found
        else []
    )


def _table(name: str, mutants: Sequence[Verdict], group: Callable[[Verdict], str]) -> Iterator[str]:
    groups: dict[str, list[Verdict]] = {}
    for verdict in mutants:
        groups.setdefault(group(verdict), []).append(verdict)
    width = max(map(len, (name, *groups)))
    yield f"{name:{width}} {' '.join(f'{column:>9}' for column in COLUMNS)}"
    for key in sorted(groups):
        yield f"{key:{width}} {_numbers(tally(groups[key]))}"


def _numbers(counts: Tally) -> str:
    return " ".join(f"{number:9}" for number in msgspec.structs.astuple(counts))


def _figures(audit: MutantAudit, mutants: Sequence[Verdict], rewritings: Sequence[Verdict]) -> list[str]:
    counts = tally(mutants)
    full = sum(not verdict.lost for verdict in rewritings)
    spent = sum(verdict.seconds for verdict in audit.verdicts)
    return [
        f"wrong mutants that lose points in their task: {counts.killed} of {counts.wrong}",
        f"wrong mutants that only a later task kills: {counts.elsewhere_only}; that survive: {counts.survived}",
        f"wrong mutants that lose points in other tasks: {counts.collateral}",
        f"equivalent: {counts.equivalent} of {counts.made}; free: {counts.free}; internal errors: {counts.errors}",
        f"rewritings of right work with full marks: {full} of {len(rewritings)}",
        f"{audit.seconds:.0f} s with {audit.workers} at once, of {spent:.0f} in all",
    ]

"""Commands that look at the grading itself: `audit` tries the hidden checks, `doctor` looks at this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.text import Text

from autograder.cli.arguments import INSTEAD, Argument, Options
from autograder.cli.course import open_course
from autograder.cli.output import err, out, write_json, write_record
from autograder.cli.progress_bar import shown
from autograder.errors import UsageError
from autograder.progress import part_of

if TYPE_CHECKING:
    from autograder.cli.doctor import Finding


@dataclass(frozen=True, kw_only=True)
class AuditOptions(Options):
    """What `audit` takes."""

    tasks: Annotated[
        Sequence[str], Argument("only submissions that are about these tasks", "TASK", positional=True)
    ] = ()
    json: Annotated[Path | None, Argument(f"also write everything found as JSON; {INSTEAD}", "FILE")] = None
    corpus: Annotated[Path | None, Argument("with right/ and wrong/; default tests/submissions", "DIR")] = None
    jobs: Annotated[int, Argument("submissions tried at once; 0 chooses", "N")] = 0
    seed: Annotated[str, Argument("draw other hidden inputs", "TEXT")] = ""
    own: Annotated[bool, Argument("each submission only on the task that it is about")] = False
    seeds: Annotated[int, Argument("audit with N seeds and compare the marks", "N")] = 1
    repeat: Annotated[int, Argument("audit N times with each seed", "N")] = 1
    matrix: Annotated[bool, Argument("also print which check fails on which wrong submission")] = False
    mutants: Annotated[
        int | None,
        Argument(
            "try N generated wrong answers, and half as many right ones, in place of the corpus; by default 3000",
            "N",
            bare=3000,
        ),
    ] = None
    resume: Annotated[
        Path | None, Argument("with --mutants: file of verdicts from which a run resumes, and to which it adds", "FILE")
    ] = None


@dataclass(frozen=True, kw_only=True)
class DoctorOptions(Options):
    """What `doctor` takes."""

    json: Annotated[
        Path | None,
        Argument(
            "also write what was found as JSON; - or nothing prints that instead of the text", "FILE", bare=Path("-")
        ),
    ] = None


def audit(options: AuditOptions) -> int:
    """Try the hidden checks on the corpus."""
    from autograder.audit.audit import Scope
    from autograder.audit.audit import audit as try_checks
    from autograder.audit.records import Audit
    from autograder.audit.render import audit_json, render_audit
    from autograder.audit.stability import render_stability, repeat, seeds_of
    from autograder.audit.worker import AuditSubject

    if options.mutants is not None:
        return _audit_mutants(options)
    if options.seeds < 1 or options.repeat < 1:
        raise UsageError("--seeds and --repeat must be 1 or more.")
    course, name = open_course(options)
    assignment = course.assignment(name)
    for task in options.tasks:
        assignment.task(task)  # refuses a name that does not exist
    corpus = options.corpus or course.root / "tests" / "submissions"
    scope = Scope(options.tasks, own=options.own, jobs=options.jobs)
    seeds = seeds_of(options.seed, options.seeds, options.repeat)
    with shown("auditing", err, quiet=options.quiet) as progress:

        def run(seed: bytes, number: int) -> Audit:
            return try_checks(AuditSubject(course, name, corpus, seed), scope, part_of(number, len(seeds), progress))

        found, stability = repeat(run, seeds)
    out.print(render_audit(found, matrix=options.matrix), end="")
    if stability.runs > 1:
        out.print(render_stability(stability), end="")
    write_json(options, audit_json(found))
    return 0 if found.is_as_expected and not stability.unstable else 1


def _audit_mutants(options: AuditOptions) -> int:
    """Try the hidden checks on generated mutants of the corpus's right work."""
    from autograder.audit.mutants.render import mutants_json, render_mutants
    from autograder.audit.mutants.run import MutantScope, audit_mutants
    from autograder.audit.worker import AuditSubject

    if options.mutants is None or options.mutants < 1:
        raise UsageError("--mutants must be 1 or more.")
    if options.own or options.matrix or options.seeds != 1 or options.repeat != 1:
        raise UsageError("--own, --matrix, --seeds and --repeat are for the corpus; --mutants takes none of them.")
    course, name = open_course(options)
    assignment = course.assignment(name)
    for task in options.tasks:
        assignment.task(task)  # refuses a name that does not exist
    corpus = options.corpus or course.root / "tests" / "submissions"
    resume = options.resume or course.root / ".autograder" / "mutants.jsonl"
    scope = MutantScope(
        options.mutants, options.mutants // 2, options.seed, options.tasks, resume=resume, jobs=options.jobs
    )
    with shown("judging mutants", err, quiet=options.quiet) as progress:
        found = audit_mutants(AuditSubject(course, name, corpus), scope, progress)
    out.print(render_mutants(found), end="")
    write_json(options, mutants_json(found))
    return 0 if found.is_as_expected else 1


def doctor(options: DoctorOptions) -> int:
    """Say what this machine can do."""
    from autograder.cli.doctor import examine

    findings = []
    for finding in examine(options.course, options.assignment):
        findings.append(finding)
        out.print(_line(finding))
    write_record(options, findings)
    return 1 if any(finding.needed and not finding.good for finding in findings) else 0


def _line(finding: Finding) -> Text:
    if finding.good:
        mark, style = "ok  ", "green"
    elif finding.needed:
        mark, style = "MISS", "bold red"
    else:
        mark, style = "no  ", "yellow"
    remedy = f"\n       {finding.remedy}" if finding.remedy else ""
    return Text.assemble((mark, style), f" {finding.name}: {finding.found}{remedy}")

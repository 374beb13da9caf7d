"""A fixed sample of mutants and rewritings, judged as the command judges thousands."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograder.audit.mutants.run import MutantAudit, MutantScope, audit_mutants
from autograder.audit.worker import AuditSubject
from autograder.course.course import Course
from autograder.errors import UsageError
from tests.submissions.corpus import FOLDER, ROOT

SUBJECT = AuditSubject(Course(root=ROOT), "vit", FOLDER)
STYLES = ("solution",)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> MutantAudit:
    """Four mutants of each task, and twelve rewritings."""
    resume = tmp_path_factory.mktemp("mutants") / "verdicts.jsonl"
    return audit_mutants(SUBJECT, MutantScope(48, 12, "fixed", styles=STYLES, resume=resume))


@pytest.mark.slow
def test_wrong_mutants_are_killed_in_their_task_alone(found: MutantAudit) -> None:
    wrong = [verdict for verdict in found.verdicts if verdict.kind == "wrong"]
    assert len(wrong) >= 32
    assert {verdict.task for verdict in wrong} == {task.id for task in SUBJECT.course.assignment("vit").tasks}
    assert [verdict.name for verdict in wrong if verdict.survives or verdict.collateral or verdict.errors] == []


@pytest.mark.slow
def test_rewritings_keep_all_points(found: MutantAudit) -> None:
    rewritten = [verdict for verdict in found.verdicts if verdict.kind == "rewriting"]
    assert len(rewritten) == 12
    assert [(verdict.name, verdict.lost, verdict.diff) for verdict in rewritten if verdict.lost or verdict.errors] == []


def test_an_assignment_whose_parts_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing says how to compare its parts.*\s.*knows vit"):
        audit_mutants(AuditSubject(Course(root=tmp_path), "tiny", tmp_path), MutantScope(1))

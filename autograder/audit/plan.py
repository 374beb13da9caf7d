"""Plan an audit: which tasks of which submissions to grade, so that equal work is done once.

Two submissions that differ only in parts that a task does not use, or that a stand-in replaces, share that task's
result. A digest of all that the result depends on tells.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from autograder.audit.corpus import Corpus, Variant
from autograder.course.assignment import Assignment, Task
from autograder.course.cells import grade_id_of, load_cells, text_of


@dataclass(frozen=True)
class Job:
    """Some tasks of one submission, graded with the same stand-ins.

    Attributes:
        slug: The submission.
        stand_ins: Tasks whose parts stand-ins replace.
        digests: Task to the digest of all that its result depends on.
    """

    slug: str
    stand_ins: tuple[str, ...]
    digests: Mapping[str, str]


@dataclass(frozen=True)
class Plan:
    """What has to be graded, and where each submission finds its results.

    Attributes:
        jobs: No two of them have a digest in common.
        digests: For each submission the digest of each task's result.
    """

    jobs: tuple[Job, ...]
    digests: Mapping[str, Mapping[str, str]]


def plan_audit(corpus: Corpus, assignment: Assignment, variants: Sequence[Variant], *, own: bool) -> Plan:
    """Plan the grading of some submissions.

    Args:
        corpus: Where they come from.
        assignment: The assignment.
        variants: The submissions.
        own: Grade each on the task that it is about alone.
    """
    jobs: list[Job] = []
    digests: dict[str, dict[str, str]] = {}
    planned: set[str] = set()
    for variant in variants:
        tasks = [assignment.task(variant.task)] if own and variant.task else assignment.tasks
        texts = _Texts(corpus.module_of(variant), _answers(corpus.notebook_of(variant)))
        found = {task.id: _result_digest(texts, assignment, variant, task) for task in tasks}
        digests[variant.slug] = found
        new = [task for task in tasks if found[task.id] not in planned]
        planned.update(found.values())
        for stand_ins in dict.fromkeys(_stand_ins(variant, task) for task in new):
            together = [task.id for task in new if _stand_ins(variant, task) == stand_ins]
            jobs.append(Job(variant.slug, stand_ins, {task_id: found[task_id] for task_id in together}))
    return Plan(tuple(jobs), digests)


def _stand_ins(variant: Variant, task: Task) -> tuple[str, ...]:
    """Return the earlier tasks whose parts must be replaced: the wrong one, where this task builds on it."""
    is_wrong_earlier = not variant.right and variant.task in task.builds_on and variant.task != task.id
    return (variant.task,) if is_wrong_earlier else ()


@dataclass(frozen=True)
class _Texts:
    """What a submission consists of: its module, and grade_id and text of each cell."""

    module: str
    answers: Sequence[tuple[str, str]]


def _result_digest(texts: _Texts, assignment: Assignment, variant: Variant, task: Task) -> str:
    """Digest the parts of module and notebook that a task uses and that no stand-in replaces."""
    stand_ins = _stand_ins(variant, task)
    used = [assignment.task(name) for name in {task.id, *task.builds_on} - set(stand_ins)]
    names = {name for other in used for name in other.provides}
    unused = {name for other in assignment.tasks for name in other.provides} - names
    cells = {name for other in used for name in other.answers}
    answers = [text for grade_id, text in texts.answers if grade_id in cells]
    whole = repr((task.id, stand_ins, _without(texts.module, unused), answers))
    return hashlib.sha256(whole.encode()).hexdigest()


@functools.lru_cache(maxsize=8)
def _answers(notebook: bytes) -> list[tuple[str, str]]:
    """Return grade_id and text of a notebook's cells."""
    return [(grade_id_of(cell), text_of(cell)) for cell in load_cells(notebook)]


def _without(module: str, names: set[str]) -> str:
    """Return a module's text without some of its top-level functions and classes."""
    lines = module.split("\n")
    for name, first, last in reversed(_definitions(module)):
        if name in names:
            del lines[first - 1 : last]
    return "\n".join(lines)


@functools.lru_cache(maxsize=8)
def _definitions(module: str) -> list[tuple[str, int, int]]:
    """Return name, first and last line of a module's functions and classes."""
    return list(_spans(ast.parse(module)))


def _spans(module: ast.Module) -> Iterator[tuple[str, int, int]]:
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            first = min((decorator.lineno for decorator in node.decorator_list), default=node.lineno)
            yield node.name, first, node.end_lineno or node.lineno

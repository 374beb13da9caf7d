"""Right work that mutants are made from: for each style and task the text of the task's part, and where it stands."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import libcst as cst

from autograder.audit.corpus import Corpus, Variant
from autograder.audit.mutants.operators.places import SourceText
from autograder.course.assignment import MODULE, Assignment, Task
from autograder.course.cells import grade_id_of, load_cells, text_of
from autograder.course.submission import Snapshot


@dataclass(frozen=True)
class Original:
    """One right submission, and the part of it that one task is about.

    Attributes:
        style: Slug of the right submission; `solution` for the solved one.
        cell: grade_id of the answer that is changed; empty if it is the module.
        text: The module, or the answer.
        names: Top-level names of the module that belong to the part; of an answer, all do.
    """

    style: str
    task: str
    cell: str
    text: str
    names: frozenset[str]

    @property
    def key(self) -> str:
        """What tells it from all others."""
        return f"{self.style}/{self.cell or self.task}"

    def nodes(self) -> Iterator[tuple[cst.CSTNode, SourceText]]:
        """Yield the nodes of the part, in the order of the text, with the source that each is of."""
        for source in _sources(self):
            yield from ((node, source) for node in source.nodes())


@functools.lru_cache(maxsize=4)
def _sources(original: Original) -> tuple[SourceText, ...]:
    """Return a part as syntax trees, one for each of its definitions. They are large and never leave this process."""
    if original.cell:
        return (SourceText(original.text),)
    body = [node for node in ast.parse(original.text).body if original.names.intersection(_defined(node))]
    firsts = (min([node.lineno, *(line.lineno for line in getattr(node, "decorator_list", []))]) for node in body)
    return tuple(SourceText(original.text, first, node.end_lineno) for first, node in zip(firsts, body, strict=True))


class RightWork:
    """The right submissions of a corpus, whole and by part.

    Args:
        corpus: The corpus.
        assignment: Whose tasks the parts belong to.
    """

    def __init__(self, corpus: Corpus, assignment: Assignment) -> None:
        self._corpus = corpus
        self._assignment = assignment
        solved = Variant(slug="solution", right=True)
        self._variants = {variant.slug: variant for variant in (solved, *corpus.variants) if variant.right}

    def originals(self, tasks: Iterable[Task]) -> list[Original]:
        """Return what mutants of these tasks can be made from.

        Of the module, whole right modules; of an answer in the notebook, each right way to write it.
        """
        modules = [variant for variant in self._variants.values() if not variant.task]
        found = []
        for task in tasks:
            if task.provides:
                found += [self._of_module(variant, task) for variant in modules]
            found += [self._of_answer(variant, cell) for cell in task.answers for variant in self._answers(cell)]
        return found

    def _of_module(self, variant: Variant, task: Task) -> Original:
        text = self._corpus.module_of(variant)
        return Original(variant.slug, task.id, "", text, part_of(text, task, self._assignment))

    def _of_answer(self, variant: Variant, cell: str) -> Original:
        task = next(task for task in self._assignment.tasks if cell in task.answers)
        return Original(variant.slug, task.id, cell, self._texts(variant)[cell], frozenset())

    def submission(self, original: Original, text: str) -> Snapshot:
        """Return a submission whose part has another text."""
        variant = self._variants[original.style]
        if original.cell:
            return self._corpus.submission(
                replace(variant, cell=original.cell, text=text, replace=self._edits(variant))
            )
        files = self._corpus.submission(variant).files
        return Snapshot({**files, f"{MODULE}.py": text.encode()}, self._corpus.notebook_name)

    def _edits(self, variant: Variant) -> tuple[tuple[str, str], ...]:
        """Return a variant's replacements in its module; those in its cell are in the text of the cell already."""
        return () if variant.cell and variant.text is None else variant.replace

    def _answers(self, cell: str) -> list[Variant]:
        """Return the right submissions that write an answer in a way of their own, in plain Python."""
        variants = [
            variant for variant in self._variants.values() if variant.cell == cell or variant.slug == "solution"
        ]
        return [variant for variant in variants if is_python(self._texts(variant)[cell])]

    def _texts(self, variant: Variant) -> dict[str, str]:
        """Return the answers of a right notebook, without the marks around solutions."""
        lines = {
            grade_id_of(cell): [
                line for line in text_of(cell).split("\n") if "### BEGIN" not in line and "### END" not in line
            ]
            for cell in load_cells(self._corpus.notebook_of(variant))
        }
        answers = {name for task in self._assignment.tasks for name in task.answers}
        return {name: "\n".join(text) for name, text in lines.items() if name in answers}


def is_python(text: str) -> bool:
    """Whether a text is plain Python, without a notebook's own commands."""
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def part_of(module: str, task: Task, assignment: Assignment) -> frozenset[str]:
    """Return a task's names in a module, with those of helpers that no other task's part uses."""
    uses = {name: _used(node) for node in ast.parse(module).body for name in _defined(node)}
    public = {name for other in assignment.tasks for name in other.provides}
    parts = {other.id: _reached(set(other.provides), uses, public) for other in assignment.tasks if other.provides}
    others = set().union(*(names for task_id, names in parts.items() if task_id != task.id))
    return frozenset(parts[task.id] - others)


def _reached(names: set[str], uses: Mapping[str, set[str]], public: set[str]) -> set[str]:
    """Return what names use, directly or not; a public part of another task ends the way."""
    reached: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting |= (uses.get(name, set()) & uses.keys()) - reached - (public - names)
    return reached


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return []


def _used(node: ast.stmt) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}

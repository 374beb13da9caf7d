"""The corpus: submissions known to be right or wrong, on which `audit` tries the hidden checks.

A corpus folder holds whole right modules, `right/<style>.py`, and tables of variants, `right/*.toml` and
`wrong/*.toml`. A variant is a few replacements in a right module, or in a notebook's model answer:

    [[variant]]
    slug = "attention-unscaled-einsum"
    base = "einsum"                                  # or cell = "training_answer"
    task = "attention"                               # the task that it is about
    misconception = "unscaled"                       # what the feedback must name (wrong ones; optional)
    replace = [[" * scale", ""]]                     # or text = "...", the whole cell; then replace edits the module
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from autograder.course.assignment import MODULE, Assignment
from autograder.course.cells import grade_id_of, load_cells, text_of
from autograder.course.submission import Snapshot
from autograder.errors import CorpusError
from autograder.suggestions import did_you_mean

WRITTEN = "docs/audit.md says how a corpus is written; --corpus names another folder."
_KEYS = {
    "slug", "base", "cell", "task", "misconception", "also", "needs_stand_in", "says", "replace", "text", "misjudged",
}  # fmt: skip
_MARKER = re.compile(r"(?m)^\s*### (BEGIN|END) SOLUTION.*\n?")


@dataclass(frozen=True)
class Variant:
    """One submission that differs from a right one in one place.

    Attributes:
        slug: Unique name.
        right: Whether it must get full marks; otherwise it must lose points in `task` and nowhere else.
        task: The task that it is about; empty for a whole right module.
        base: Style of the right module that is edited; empty means the solved module.
        cell: grade_id of the notebook's answer that is edited in place of the module.
        replace: Pairs of old and new text; every old text stands exactly once in the original.
        text: The whole cell; replacements are then made in the module.
        misconception: What the feedback must name; None where the corpus asks for no name.
        also: Other names that are right for it.
        needs_stand_in: Tasks that fail, too, unless a stand-in takes the wrong part's place.
        says: Words that one of the reasons must hold.
        misjudged: Why the checks do not judge it rightly yet; empty where they do. The audit counts it like any other.
    """

    slug: str
    right: bool
    task: str = ""
    base: str = ""
    cell: str | None = None
    replace: tuple[tuple[str, str], ...] = ()
    text: str | None = None
    misconception: str | None = None
    also: tuple[str, ...] = ()
    needs_stand_in: tuple[str, ...] = ()
    says: str = ""
    misjudged: str = ""


@dataclass(frozen=True)
class Corpus:
    """The variants of one corpus folder, with the texts they are made from.

    Attributes:
        modules: Text of each right module by style; the solved module under the empty name.
        notebook: The built source notebook, answers included.
        notebook_name: Its file name.
    """

    variants: tuple[Variant, ...]
    modules: dict[str, str]
    notebook: bytes
    notebook_name: str = field(default="")

    def variant(self, slug: str) -> Variant:
        """Return the variant of this name.

        Raises:
            CorpusError: If there is none.
        """
        for variant in self.variants:
            if variant.slug == slug:
                return variant
        raise CorpusError(f"The corpus has no submission {slug!r}.")

    def module_of(self, variant: Variant) -> str:
        """Return the text of a variant's module.

        Raises:
            CorpusError: If it does not fit its base, or is not Python.
        """
        base = self.modules[variant.base]
        edits_the_cell = variant.cell is not None and variant.text is None
        text = base if edits_the_cell else _replaced(base, variant)
        try:
            compile(text, f"{variant.slug}.py", "exec")
        except SyntaxError as error:
            raise CorpusError(f"{variant.slug}: the edited module is not Python: {error}.") from error
        return text

    def notebook_of(self, variant: Variant) -> bytes:
        """Return a variant's notebook: the solved one, with one answer changed if the variant is about a cell."""
        if variant.cell is None:
            return self.notebook
        text = variant.text if variant.text is not None else _replaced(self._answers[variant.cell], variant)
        notebook = json.loads(self.notebook)
        for cell in notebook["cells"]:
            if grade_id_of(cell) == variant.cell:
                cell["source"] = text
        return json.dumps(notebook).encode()

    def submission(self, variant: Variant) -> Snapshot:
        """Return a variant as a submission."""
        files = {f"{MODULE}.py": self.module_of(variant).encode(), self.notebook_name: self.notebook_of(variant)}
        return Snapshot(files, self.notebook_name)

    @cached_property
    def _answers(self) -> dict[str, str]:
        return {grade_id_of(cell): _MARKER.sub("", text_of(cell)) for cell in load_cells(self.notebook)}


def load_corpus(folder: Path, assignment: Assignment) -> Corpus:
    """Read a corpus folder, and make every variant once to see that it can be made.

    Args:
        folder: With `right/` and `wrong/`.
        assignment: Whose solved module and notebook the variants may start from.

    Raises:
        CorpusError: If there is no corpus, or a table does not fit; it names the place.
    """
    styles = {path.stem: path.read_text("utf-8") for path in sorted(folder.glob("right/*.py"))}
    tables = sorted((*folder.glob("right/*.toml"), *folder.glob("wrong/*.toml")))
    if not styles and not tables:
        raise CorpusError(f"There is no corpus in {folder}: no right/*.py, right/*.toml or wrong/*.toml.", WRITTEN)
    whole = [Variant(slug=style, right=True, base=style) for style in styles]
    variants = (*whole, *(variant for path in tables for variant in _read_table(path, assignment)))
    solved = (assignment.solution_dir / f"{MODULE}.py").read_text("utf-8")
    corpus = Corpus(variants, {"": solved, **styles}, assignment.notebook_path.read_bytes(), f"{assignment.name}.ipynb")
    _check(corpus)
    return corpus


def _read_table(path: Path, assignment: Assignment) -> list[Variant]:
    try:
        rows = tomllib.loads(path.read_text("utf-8")).get("variant", [])
    except tomllib.TOMLDecodeError as error:
        raise CorpusError(f"{path} is not TOML: {error}.", "Fix that line.") from error
    return [_variant(row, path, assignment) for row in rows]


def _variant(row: dict[str, object], path: Path, assignment: Assignment) -> Variant:
    where = f"{path.name}, {row.get('slug', 'a variant without a slug')}"
    _check_keys(row, where)
    _check_tasks(row, where, assignment)
    pairs = row.get("replace", [])
    if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise CorpusError(f"{where}: replace is a list of pairs, [[old, new], ...].")
    return Variant(
        slug=str(row["slug"]),
        right=path.parent.name == "right",
        task=str(row["task"]),
        base=str(row.get("base", "")),
        cell=str(row["cell"]) if "cell" in row else None,
        replace=tuple((str(old), str(new)) for old, new in pairs),
        text=str(row["text"]) if "text" in row else None,
        misconception=str(row["misconception"]) if "misconception" in row else None,
        also=_words(row.get("also")),
        needs_stand_in=_words(row.get("needs_stand_in")),
        says=str(row.get("says", "")),
        misjudged=str(row.get("misjudged", "")),
    )


def _check_keys(row: dict[str, object], where: str) -> None:
    for key in sorted(set(row) - _KEYS):
        raise CorpusError(f"{where}: unknown key {key!r}.", did_you_mean(key, sorted(_KEYS)))
    if "slug" not in row:
        raise CorpusError(f"{where}: it needs a slug.", "Give it one that no other has.")


def _check_tasks(row: dict[str, object], where: str, assignment: Assignment) -> None:
    known = [task.id for task in assignment.tasks]
    for task in (row.get("task"), *_words(row.get("needs_stand_in"))):
        if task not in known:
            raise CorpusError(f"{where}: {task!r} is no task of {assignment.name}.", did_you_mean(str(task), known))


def _words(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _replaced(text: str, variant: Variant) -> str:
    places = []
    for old, new in variant.replace:
        if not old or text.count(old) != 1:
            raise CorpusError(
                f"{variant.slug}: expected {old!r} once in its original, found it {text.count(old)} times.",
                "Write more of the lines around it, or what the original holds now.",
            )
        places.append((text.index(old), old, new))
    end = len(text)
    for start, old, new in sorted(places, reverse=True):
        if start + len(old) > end:
            raise CorpusError(f"{variant.slug}: {old!r} overlaps the text of another replacement.")
        text, end = text[:start] + new + text[start + len(old) :], start
    return text


def _check(corpus: Corpus) -> None:
    seen: set[str] = set()
    for variant in corpus.variants:
        if variant.slug in seen:
            raise CorpusError(f"Two submissions have the slug {variant.slug!r}.")
        seen.add(variant.slug)
        if variant.base not in corpus.modules:
            raise CorpusError(
                f"{variant.slug}: no right module {variant.base!r}.", did_you_mean(variant.base, corpus.modules)
            )
        corpus.submission(variant)

"""A wrong submission as a few replacements in a right one."""

from dataclasses import dataclass
from pathlib import Path

TASKS = (
    "attention",
    "multi_head_attention",
    "mlp",
    "transformer_block",
    "patch_extractor",
    "patch_encoder",
    "vit_model",
)
"""The tasks solved in `utilities.py`, in the order in which they build on each other."""

STYLES = ("by_definition", "einsum", "dense_loops", "wide_dense")
"""The right submissions, each written in a different way."""

RIGHT: dict[str, Path] = {style: Path(__file__).parent / "right" / f"{style}.py" for style in STYLES}
"""The file of every right submission, by style."""


class EditError(ValueError):
    """An edit does not fit the right submission it is made from."""


@dataclass(frozen=True)
class Edit:
    """One mistake, made in one right submission.

    Attributes:
        slug: Unique name of the wrong submission, such as `attention-unscaled-einsum`.
        base: Style of the right submission that is edited.
        replace: Pairs of old and new source text. Every old text stands exactly once in the base.
        task: The `grade_id` that must lose points.
        misconception: Short name of the mistake. Edits of several bases may share one.
        suffers: Later tasks that are written correctly and behave otherwise only because of `task`.
    """

    slug: str
    base: str
    replace: tuple[tuple[str, str], ...]
    task: str
    misconception: str
    suffers: tuple[str, ...] = ()


def source_of(edit: Edit) -> str:
    """Make the wrong module.

    Args:
        edit: The mistake to make.

    Returns:
        The text of `utilities.py` with the mistake in it.

    Raises:
        EditError: The base is unknown, an old text does not stand exactly once in the base, two old texts
            overlap, or the result is not Python.
    """
    if edit.base not in RIGHT:
        raise EditError(f"{edit.slug}: expected a base among {', '.join(RIGHT)}, got {edit.base!r}.")
    text = RIGHT[edit.base].read_text(encoding="utf-8")
    done = len(text)
    for start, old, new in sorted((_position(edit, text, old), old, new) for old, new in edit.replace)[::-1]:
        if start + len(old) > done:
            raise EditError(f"{edit.slug}: {old!r} overlaps the text of another replacement.")
        text = text[:start] + new + text[start + len(old) :]
        done = start
    return _compiled(edit, text)


def _position(edit: Edit, text: str, old: str) -> int:
    """Find the only place of a text in the base."""
    found = text.count(old) if old else 0
    if found != 1:
        raise EditError(f"{edit.slug}: expected {old!r} once in {edit.base}.py, found it {found} times.")
    return text.index(old)


def _compiled(edit: Edit, text: str) -> str:
    """Return the text unchanged if it is Python."""
    try:
        compile(text, f"{edit.slug}.py", "exec")
    except SyntaxError as error:
        raise EditError(f"{edit.slug}: the edited {edit.base}.py is not Python: {error}.") from error
    return text

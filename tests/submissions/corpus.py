"""The submissions that the hidden checks are tried on: every right one passes, every wrong one loses points.

The right submissions are files in `right/`. A wrong one is an `Edit` of a right one; `wrong/` has one module
of them for each task.
"""

from .edits import RIGHT, STYLES, TASKS, Edit, EditError, source_of
from .wrong import (
    attention,
    mlp,
    multi_head_attention,
    patch_encoder,
    patch_extractor,
    transformer_block,
    vit_model,
)

__all__ = ["RIGHT", "STYLES", "TASKS", "WRONG", "Edit", "EditError", "edit_named", "source_of"]

WRONG: tuple[Edit, ...] = (
    *attention.EDITS,
    *multi_head_attention.EDITS,
    *mlp.EDITS,
    *transformer_block.EDITS,
    *patch_extractor.EDITS,
    *patch_encoder.EDITS,
    *vit_model.EDITS,
)
"""All wrong submissions, in the order of their tasks."""


def edit_named(slug: str) -> Edit:
    """Find a wrong submission by its name.

    Args:
        slug: The edit's slug.

    Returns:
        The edit.

    Raises:
        EditError: There is no edit of that name.
    """
    for edit in WRONG:
        if edit.slug == slug:
            return edit
    raise EditError(f"expected the slug of an edit in WRONG, got {slug!r}.")

"""What nbgrader writes a released notebook with."""

from __future__ import annotations

from typing import Any

from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode

from autograder.course.rubrics import METADATA


class ReleaseExporter(NotebookExporter):  # type: ignore[misc]
    """Writes a notebook without the rubrics, which only an instructor's notebook has in its metadata."""

    def from_notebook_node(
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **kwargs: object
    ) -> tuple[str, dict[str, Any]]:
        """Convert one notebook; `nb` itself stays as it is."""
        copied = NotebookNode(nb)
        copied.cells = [_without_rubric(cell) for cell in nb.cells]
        text, resources = super().from_notebook_node(copied, resources, **kwargs)
        return text, resources


def _without_rubric(cell: NotebookNode) -> NotebookNode:
    metadata = {key: value for key, value in cell.metadata.items() if key != METADATA}
    return NotebookNode({**cell, "metadata": NotebookNode(metadata)})

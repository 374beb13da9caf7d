"""The pictures of an answer that lie in files beside the notebook: they are put into it, as if they had been pasted.

A picture is told by its content, never by its name. One that cannot be shown leaves a note that says why.
"""

from __future__ import annotations

import base64
import json
import posixpath
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import unquote

from autograder.course.cells import NOTE, Bundle, parse_notebook
from autograder.rendering.page_effort import is_laid_out
from autograder.rendering.picture_kinds import picture_kind

_ADDRESSES = re.compile(
    r"""!\[[^\]]{0,999}\]\(\s*(?:<(?P<angle>[^>\n]+)>|(?P<plain>[^)\s]+))"""
    r"""|<img\b[^>]{0,999}?\bsrc\s*=\s*["'](?P<html>[^"']+)["']""",
    re.IGNORECASE,
)
_ELSEWHERE = re.compile(r"\s*([A-Za-z][\w+.-]+:|[/\\#])")
_MOST_PICTURES = 50
"""In one cell."""
_LARGEST_TOGETHER = 16 << 20
"""Bytes of all pictures that are put into a notebook: cells that show the same file have one each."""


def embed_pictures(notebook: bytes, beside: Callable[[], Mapping[str, bytes]], given: Collection[str] = ()) -> bytes:
    """Return a student's notebook with the pictures that its words show from files beside it.

    A notebook that cannot be read stays as it is.

    Args:
        notebook: The student's.
        beside: Returns the whole submission, relative path to content; asked only where it is needed.
        given: Paths of the release's own files, which lie beside every page.
    """
    if b"![" not in notebook and b"<img" not in notebook.lower():
        return notebook
    data, problem = parse_notebook(notebook)
    words = [cell for cell in data["cells"] if isinstance(cell, dict) and cell.get("cell_type") == "markdown"]
    wanted = [(cell, _addresses(cell, given)) for cell in words]
    if problem or not any(addresses for _, addresses in wanted):
        return notebook
    files, left = beside(), _LARGEST_TOGETHER
    for cell, addresses in wanted:
        pictures: dict[str, Bundle] = {}
        for address in addresses:
            left -= len(files.get(_path(address), b""))
            pictures[address] = _picture(address, files) if left >= 0 else {NOTE: "is one too many"}
        pasted = cell.get("attachments")
        cell["attachments"] = pictures | (pasted if isinstance(pasted, dict) else {})
    return json.dumps(data).encode()


def _addresses(cell: dict[str, Any], given: Collection[str]) -> list[str]:
    """Return the addresses of pictures that a cell shows from beside the notebook, as they are written."""
    source = cell.get("source")
    text = "".join(map(str, source)) if isinstance(source, list) else str(source)
    if not is_laid_out(text):
        return []
    found = (match["angle"] or match["plain"] or match["html"] for match in _ADDRESSES.finditer(text))
    beside = (address for address in found if not _ELSEWHERE.match(address) and _path(address) not in given)
    return list(dict.fromkeys(beside))[:_MOST_PICTURES]


def _picture(address: str, files: Mapping[str, bytes]) -> Bundle:
    path = _path(address)
    content = files.get(path)
    if content is None:
        return {NOTE: "lies outside the hand-in" if path.startswith("..") else "is not in the hand-in"}
    kind, problem = picture_kind(content)
    return {kind: base64.b64encode(content).decode()} if kind else {NOTE: problem}


def _path(address: str) -> str:
    return posixpath.normpath(unquote(address.partition("#")[0].partition("?")[0]).replace("\\", "/"))

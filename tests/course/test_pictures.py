"""Pictures of answers: safe ones are shown, others leave a note."""

from __future__ import annotations

import base64
import json
import time
from html.parser import HTMLParser

import nbformat
import pytest

from autograder.course.cells import read_cells
from autograder.course.pictures import embed_pictures
from autograder.rendering.picture_kinds import picture_kind
from autograder.rendering.sanitising import clean_html, markdown2html

PICTURES = {
    "image/png": b"\x89PNG\r\n\x1a\n rest",
    "image/jpeg": b"\xff\xd8\xff\xe0 rest",
    "image/gif": b"GIF89a rest",
    "image/webp": b"RIFF1234WEBPVP8 rest",
    "image/svg+xml": b"""<?xml version="1.0"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x">
<svg><path d="M0 0"/></svg>""",
}
UNSAFE = {
    b"<html><script>x</script></html>": "is no PNG",
    b"<svg onload='x()'/>": "with a program in it",
    b"<svg><script>x()</script></svg>": "with a program in it",
    b"<svg><foreignObject/></svg>": "with a program in it",
    b'<!DOCTYPE svg [<!ENTITY a "b">]><svg/>': "is no PNG",
    b"MZ a program": "is no PNG",
    b"\x89PNG\r\n\x1a\n" + bytes(9 << 20): "is larger than 8 MiB",
}


class Tags(HTMLParser):
    """Collects the names of tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take in one element."""
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def notebook(source: str, attachments: object = None) -> bytes:
    """A student's notebook of one answer."""
    cell = {"cell_type": "markdown", "metadata": {"nbgrader": {"grade_id": "q"}}, "source": source}
    return json.dumps(
        {
            "nbformat": 4,
            "nbformat_minor": 4,
            "metadata": {},
            "cells": [cell | ({"attachments": attachments} if attachments else {})],
        }
    ).encode()


def shown(notebook: bytes) -> str:
    """What markers and students see of it."""
    (cell,), problem = read_cells(notebook)
    assert not problem
    return markdown2html({"cell": {"attachments": cell.attachments}}, cell.source)


@pytest.mark.parametrize("kind", PICTURES)
def test_pasted_pictures_are_shown(kind: str) -> None:
    encoded = base64.b64encode(PICTURES[kind]).decode()
    page = shown(notebook("See ![a plot](attachment:plot%20one).", {"plot one": {kind: encoded}}))
    assert f'src="data:{kind};base64,{encoded}"' in page
    assert "a plot" in page


@pytest.mark.parametrize("kind", PICTURES)
def test_pictures_beside_the_notebook_are_shown(kind: str) -> None:
    files = {"plots/my plot": PICTURES[kind]}
    source = '![one](plots/my%20plot) <img src="plots/my%20plot" width=3 onerror="x()"> ![three](<./plots/my plot>)'
    page = shown(embed_pictures(notebook(source), lambda: files))
    assert page.count(f'src="data:{kind};base64,{base64.b64encode(PICTURES[kind]).decode()}"') == 3
    assert "onerror" not in page


@pytest.mark.parametrize("content", UNSAFE, ids=UNSAFE.values())
def test_a_picture_that_is_not_safe_leaves_a_note(content: bytes) -> None:
    why = UNSAFE[content]
    assert why in picture_kind(content)[1]
    page = shown(embed_pictures(notebook("**Before** ![x](plot.png) after"), lambda: {"plot.png": content}))
    assert "<strong>Before</strong> <em>[The picture plot.png " in page
    assert why in page
    assert "<img" not in page
    encoded = {"image/png": base64.b64encode(content).decode()}
    assert why in shown(notebook("![x](attachment:plot.png)", {"plot.png": encoded}))


def test_one_bad_picture_does_not_cost_the_answer_its_layout() -> None:
    good = base64.b64encode(PICTURES["image/png"]).decode()
    attachments = {"good.png": {"image/png": good}, "bad.png": {"image/png": "?"}, "odd": 3, "list": {"image/png": [1]}}
    source = "# Title\n![](attachment:bad.png) ![](attachment:gone.png) ![](attachment:odd) ![](attachment:good.png)"
    page = shown(notebook(source, attachments))
    assert "<h1" in page
    assert f"base64,{good}" in page
    for note in ("bad.png is damaged", "gone.png is not in the notebook", "odd is no picture"):
        assert f"[The picture {note}.]" in page


def test_what_is_not_handed_in_or_elsewhere_is_said() -> None:
    source = "![](gone.png) ![](../../other/plot.png) ![](images/given.png) ![far](https://example.org/x.png)"
    page = shown(embed_pictures(notebook(source), dict, given={"images/given.png"}))
    assert "[The picture gone.png is not in the hand-in.]" in page
    assert "[The picture ../../other/plot.png lies outside the hand-in.]" in page
    assert '<img src="images/given.png"' in page
    assert "[The picture far is not loaded.]" in page


def test_notes_and_pictures_outlast_a_second_reading() -> None:
    """Nbgrader reads a notebook twice, the second time without what lies beside it."""
    files = {"plot.png": PICTURES["image/png"]}
    once = embed_pictures(notebook("![](plot.png) ![](gone.png)"), lambda: files)
    written = nbformat.writes(nbformat.reads(once.decode(), as_version=4)).encode()  # which takes texts apart
    assert shown(embed_pictures(written, dict)) == shown(once)


@pytest.mark.parametrize(
    "broken", [b"![", b'{"nbformat": 4, "cells": ["![](x.png)", {"cell_type": "markdown"}]}', b"<img"]
)
def test_a_notebook_that_cannot_be_read_stays_as_it_is(broken: bytes) -> None:
    assert embed_pictures(broken, dict) == broken


def test_a_drawing_with_a_program_in_it_is_not_shown_from_an_address_either() -> None:
    for drawing, is_shown in ((b"<svg><path/></svg>", True), (b"<svg onload='x()'/>", False)):
        encoded = base64.b64encode(drawing).decode()
        assert ("<img" in clean_html(f'<img src="data:image/svg+xml;base64,{encoded}">')) == is_shown


@pytest.mark.parametrize("quote", ['"', "'"])
def test_what_stands_in_an_attribute_stays_in_it(quote: str) -> None:
    hidden = "><script>x()</script><img src=x onerror=x()>"
    for start in (f"alt={quote}{hidden}{quote}", f"title={quote}{hidden}{quote} src=http://x.invalid/"):
        page = clean_html(f"<img {start}>") + shown(notebook(f"<img {start}>"))
        parser = Tags()
        parser.feed(page)
        assert "script" not in parser.tags
        assert not {name for name in parser.attributes if name.startswith("on")}


def test_the_same_file_in_many_cells_is_put_into_few_of_them() -> None:
    cells = [{"cell_type": "markdown", "source": "![a](a.png)"}] * 40
    notebook = json.dumps({"nbformat": 4, "cells": cells}).encode()
    large = PICTURES["image/png"] + bytes(4 << 20)
    embedded = embed_pictures(notebook, lambda: {"a.png": large})
    assert len(embedded) < 40 << 20
    assert b"one too many" in embedded


def test_pictures_without_an_end_are_looked_for_in_no_time() -> None:
    began = time.thread_time()
    for text in ("![" * 1_400, "![" * 1_000_000, "<img " * 1_400):
        notebook = json.dumps({"nbformat": 4, "cells": [{"cell_type": "markdown", "source": text}]}).encode()
        assert embed_pictures(notebook, dict) == notebook
    assert time.thread_time() - began < 1

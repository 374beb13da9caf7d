"""Pages made of a hostile submission, in a real browser: nothing of it runs, in students' feedback and formgrader."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nbgrader.api import Gradebook
from playwright.sync_api import Page

from autograder.errors import RecordingError
from autograder.feedback.exporter import write_feedback
from autograder.rendering.sanitising import clean_html, markdown2html
from autograder.rendering.style_values import plain_style
from autograder.results import SubmissionResult
from tests.browsers import IN_BROWSER
from tests.formgrader import opened, served, submission_page
from tests.tiny import TinyCourse, tiny_result

RUN = "window.pwned=(window.pwned||0)+1"
SVG = base64.b64encode(f"<svg xmlns='http://www.w3.org/2000/svg' onload='{RUN}'/>".encode()).decode()
FRAGMENTS = (
    f"<script>{RUN}</script>",
    f"<scr<script>ipt>{RUN}</script>",
    f"<SCRIPT SRC=data:text/javascript,{RUN}></SCRIPT>",
    f"<img src=x onerror={RUN}>",
    f"<img src=x:x oNeRRoR\n=\n'{RUN}'>",
    f"<svg onload={RUN}><script>{RUN}</script></svg>",
    f"<svg><animate onbegin={RUN} attributeName=x dur=1s></svg>",
    f"<body onload={RUN}>",
    f"<details open ontoggle={RUN}><summary>x</summary></details>",
    f"<input class=score autofocus onfocus={RUN}>",
    f"<iframe src='javascript:parent.{RUN}'></iframe>",
    f"<iframe srcdoc='<script>parent.{RUN}</script>'></iframe>",
    f"<object data='data:text/html,<script>{RUN}</script>'></object>",
    f"<embed src='data:text/html,<script>{RUN}</script>'>",
    f"<a href='javascript:{RUN}'>one</a>",
    f"<a href='java\tscript:{RUN}'>two</a>",
    f"<a href='&#106;avascript:{RUN}'>three</a>",
    f"<a href='data:text/html,<script>{RUN}</script>'>four</a>",
    f"[five](javascript:{RUN.replace('(', '%28').replace(')', '%29')})",
    f"<form action='javascript:{RUN}'><button>six</button></form>",
    f"<math><mtext></table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror={RUN}&gt;'>",
    f"<noscript><p title='</noscript><img src=x onerror={RUN}>'></noscript>",
    f"<style>@import 'https://evil.invalid/x.css'; * {{ background: url(https://evil.invalid/{'x'}) }}</style>",
    "<img src='https://evil.invalid/track.png'> ![x](https://evil.invalid/track.png) <img src='//evil.invalid/x'>",
    f"<img src='data:image/svg+xml;base64,{SVG}'>",
    "<base href='https://evil.invalid/'><meta http-equiv=refresh content='0;url=https://evil.invalid/'>",
    "<link rel=stylesheet href='https://evil.invalid/x.css'>",
    "<div style='position:fixed;inset:0;z-index:9999;background:url(https://evil.invalid/x)' id=save-icon>over</div>",
    "<div class='navbar navbar-fixed-top' data-link='https://evil.invalid' data-toggle=tooltip>over</div>",
    f"<p title='{{{{ 7*7 }}}}' onmouseover={RUN}>hover</p>",
    f"</div></div></body></html><script>{RUN}</script>",
    f"$x \\href{{javascript:{RUN}}}{{y}}$ and $<img src=x onerror={RUN}>$",
    "> " * 3000 + "deep",
    "![gone](attachment:gone.png) ![g][r]\n\n[r]: &#97;ttachment:gone",
    "[" * 20_000,
    "x" * 200_000,
    f"```html\n</code></pre><script>{RUN}</script>\n```",
)
BAD = """place => {
  const bad = [];
  for (const element of document.querySelectorAll(place + ' *')) {
    if (/^(script|iframe|object|embed|svg|form|base|meta|link|input)$/i.test(element.tagName)
        && !element.closest('.nbgrader_cell .panel-heading'))
      bad.push(element.outerHTML);
    for (const {name, value} of element.attributes)
      if (name.startsWith('on') || /^\\s*(javascript|vbscript|data:text)/i.test(value.replace(/[\\t\\n]/g, '')))
        bad.push(element.outerHTML.slice(0, 200));
  }
  return bad;
}"""


def hostile_notebook(course: TinyCourse) -> bytes:
    """The released notebook with every fragment in an answer in words, in cells of the student's own, and in code."""
    notebook = course.released_notebook()
    notebook["cells"][-1]["source"] = "\n\n".join(FRAGMENTS)
    for kind in ("markdown", "raw", "code"):
        for fragment in FRAGMENTS:
            cell: dict[str, Any] = {"cell_type": kind, "metadata": {"raw_mimetype": "text/html"}, "source": fragment}
            if kind == "code":
                output = {"output_type": "display_data", "data": {"text/html": fragment}, "metadata": {}}
                cell |= {"outputs": [output], "execution_count": 1}
            notebook["cells"].append(cell)
    notebook["metadata"]["title"] = FRAGMENTS[0]
    attachments = {"x' onerror='": {"image/svg+xml": SVG, "image/png": f"x' onerror='{RUN}"}}
    picture = {"cell_type": "markdown", "metadata": {}, "source": "![x](attachment:x)", "attachments": attachments}
    notebook["cells"].append(picture)
    return json.dumps(notebook).encode()


def hostile_result() -> SubmissionResult:
    """A result whose every text is hostile."""
    result = tiny_result(double=1.0, notes=FRAGMENTS)
    checks = tuple(
        msgspec.structs.replace(check, message="\n".join(FRAGMENTS), sentence=FRAGMENTS[3], misconception=FRAGMENTS[0])
        for check in result.tasks[0].checks
    )
    return msgspec.structs.replace(
        result, tasks=(msgspec.structs.replace(result.tasks[0], checks=checks), result.tasks[1])
    )


def record_hostile(course: TinyCourse) -> Path:
    """Hand in and record it all."""
    folder = course.hand_in("eve", hostile_notebook(course))
    course.record("eve", folder, hostile_result())
    return folder


def assert_nothing_ran(page: Page, place: str = "#notebook-container") -> None:
    """Try what a reader may do on the page, then look at what ran."""
    for link in page.locator("#notebook-container a").all():
        link.evaluate(
            "one => one.getAttribute('href')?.startsWith('#') || one.dispatchEvent(new MouseEvent('mouseover'))"
        )
    for words in ("one", "two", "three", "five"):
        for link in page.locator("#notebook-container").get_by_text(words, exact=True).all():
            link.evaluate("one => one.click()")
    page.evaluate("document.querySelectorAll('*').forEach(one => one.dispatchEvent(new Event('mouseover')))")
    assert page.evaluate(BAD, place) == []
    assert page.evaluate("window.pwned") is None


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_a_cleaned_fragment_holds_nothing_that_runs_or_loads(fragment: str) -> None:
    cleaned = clean_html(fragment).lower()
    tags = ("<script", "<svg", "<iframe", "<form", "<style", "<meta", "<base", "<link", "<object", "<embed", "<input")
    attributes = ('<img src="http', 'src="//', 'href="java', 'href="data', "position", '"navbar', "data-link=")
    assert [word for word in (*tags, *attributes) if word in cleaned] == []


@pytest.mark.parametrize(
    ("style", "kept"),
    [
        ("color:red;margin-top:-40px", "color:red"),
        ("margin:-40px 0 0", ""),
        ("margin: 1em auto; position: absolute; top: 0", "margin:1em auto"),
        ("font-size:9999px;padding:0 65px", ""),
        ("padding:calc(0px - 4em);color:url(x)", ""),
        ("font-family:'DejaVu Sans', serif;color:rgb(10, 20, 30);font-weight:700", None),
        ("margin:1e9px;padding-left:-0.1em;border-left:2px solid #a00", "border-left:2px solid #a00"),
        ("margin:\\2d 40px;margin:/**/-4px", ""),
    ],
)
def test_styles_move_and_cover_nothing(style: str, kept: str | None) -> None:
    assert plain_style(style) == (style if kept is None else kept)


COVERING = '<div style="margin:-900px 0 0;padding:60px;font-size:48pt">over</div>' * 3 + "".join(
    f'<h1 style="margin:-{height}px 0 0 -{height // 10}px;padding:64px 0">over</h1>' for height in range(100, 1500, 100)
)
COVERED = """place => [...document.querySelectorAll(place)].filter(score => {
  score.scrollIntoView({block: 'center'});
  const box = score.getBoundingClientRect(), at = (x, y) => document.elementFromPoint(x, y);
  const steps = [...Array(19).keys()].map(n => (n + 1) / 20);  // within the borders
  return steps.some(x => steps.some(y => {
    const seen = at(box.left + x * box.width, box.top + y * box.height);
    return seen && !score.contains(seen) && !seen.contains(score);
  }));
}).map(score => score.innerText)"""


@pytest.mark.slow
@IN_BROWSER
def test_no_score_is_covered(released_course: TinyCourse) -> None:
    notebook = released_course.released_notebook()
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = COVERING
    folder = released_course.hand_in("eve", json.dumps(notebook).encode())
    released_course.record("eve", folder, tiny_result())
    (path,) = write_feedback(released_course.course, released_course.assignment)
    with opened(path.as_uri()) as page:
        scores = ".total, .standing, .overview td, .whose"
        assert page.locator(scores).count() > 0
        assert page.evaluate(COVERED, scores) == []


def test_markdown_that_takes_long_is_shown_as_it_is() -> None:
    for hard in ("[" * 4000, "\\ " * 25_000, "word " * 7000):
        assert markdown2html({}, hard).startswith("<pre>")
    assert "<strong>bold</strong>" in markdown2html({}, "**bold** " * 100)


def test_plain_formatting_stays() -> None:
    kept = '<h2 id="A">A</h2><p><b>b</b> <code>c</code></p><table><tbody><tr><td>d</td></tr></tbody></table>'
    assert clean_html(kept) == kept
    assert (
        clean_html('<img src="data:image/png;base64,iVBO" alt="x">') == '<img src="data:image/png;base64,iVBO" alt="x">'
    )


@pytest.mark.slow
@IN_BROWSER
def test_the_students_page_runs_nothing(released_course: TinyCourse) -> None:
    record_hostile(released_course)
    (path,) = write_feedback(released_course.course, released_course.assignment)
    with opened("about:blank") as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("dialog", lambda dialog: dialog.dismiss())
        page.route("http*://**", lambda route: route.abort())
        page.goto(path.as_uri(), wait_until="load")
        assert_nothing_ran(page, "body")
        assert not [url for url in asked if "evil" in url]
        assert "1 of 3 points" in page.inner_text("body")


@pytest.mark.slow
@IN_BROWSER
def test_formgraders_page_runs_nothing(released_course: TinyCourse, tmp_path: Path) -> None:
    scratch = tmp_path / "jupyter"
    scratch.mkdir()
    record_hostile(released_course)
    with Gradebook(f"sqlite:///{released_course.root / 'gradebook.db'}") as book:
        submission = book.find_submission_notebook("tiny", "tiny", "eve").id
    with served(released_course, scratch) as address, opened(address) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        submission_page(page, address, submission)
        assert_nothing_ran(page)
        assert not [url for url in asked if "evil" in url]
        assert page.locator("input.score").count() == 3


@pytest.mark.parametrize(
    "name", ["<img src=x onerror=a>", "a&b", 'a"b', "=1+1", "+1", "-1", "@x", "a\x1b[2J", "a\u202eb"]
)
def test_names_that_pages_or_spreadsheets_would_run_are_refused(released_course: TinyCourse, name: str) -> None:
    folder = released_course.hand_in("eve", None)
    with pytest.raises(RecordingError, match="cannot be a student's id"):
        released_course.record(name, folder, tiny_result())


@pytest.mark.parametrize("name", ["Ada Lovelace", "o'brien", "çelik.ümit", "a;b", "$(id)", "{{7-7}}", "李明"])
def test_odd_names_are_recorded(released_course: TinyCourse, name: str) -> None:
    folder = released_course.hand_in("eve", None)
    course = replace(released_course)
    course.record(name, folder, tiny_result())
    assert len(write_feedback(course.course, course.assignment)) == 1

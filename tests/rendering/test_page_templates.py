"""What templates do with the texts that they are given."""

from __future__ import annotations

import pytest

from autograder.rendering.page_templates import code_marked


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("by `run_experiment`, on `x`", "by <code>run_experiment</code>, on <code>x</code>"),
        ("one ` too many", "one ` too many"),
        ("`<b>` & <i>", "<code>&lt;b&gt;</code> &amp; &lt;i&gt;"),
        ("", ""),
    ],
)
def test_what_stands_between_backticks_is_code(text: str, html: str) -> None:
    assert code_marked(text) == html

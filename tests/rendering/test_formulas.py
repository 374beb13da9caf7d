"""Formulas: what is laid out, and what stays."""

from __future__ import annotations

import pytest
from markupsafe import Markup

from autograder.rendering.formulas import with_formulas


def laid_out(text: str) -> str:
    return str(with_formulas(Markup(text)))  # noqa: S704


@pytest.mark.parametrize(
    "source, expected",
    [
        (r"$N^2$", "<math><mrow><msup><mi>N</mi><mrow><mn>2</mn></mrow></msup></mrow></math>"),
        (r"$x_i^{2}$", "<msubsup><mi>x</mi><mrow><mi>i</mi></mrow><mrow><mn>2</mn></mrow></msubsup>"),
        (r"$\frac{a}{\sqrt{d}}$", "<mfrac><mrow><mi>a</mi></mrow><mrow><msqrt><mi>d</mi></msqrt></mrow></mfrac>"),
        (r"$QK^{\top}$", "<mi>⊤</mi>"),
        (r"$\text{all keys}$", "<mtext>all keys</mtext>"),
        (r"$a &lt; b$", "<mo>&lt;</mo>"),
        (r"$$\sigma$$", '<math display="block"><mrow><mi>σ</mi></mrow></math>'),
        ("$f(x)$", '<mo stretchy="false">(</mo><mi>x</mi><mo stretchy="false">)</mo>'),
        (
            r"$\left( \frac{a}{b} \right]$",
            "<mrow><mo>(</mo><mfrac><mrow><mi>a</mi></mrow><mrow><mi>b</mi></mrow></mfrac>",
        ),
        (r"$\left\{ x \right.$", "<mrow><mo>{</mo><mi>x</mi></mrow>"),
        (r"\(1.5 \cdot 10^6\)", "<mn>1.5</mn><mo>·</mo>"),
    ],
)
def test_formulas_become_mathml(source: str, expected: str) -> None:
    assert expected in laid_out(f"<p>{source}</p>")


@pytest.mark.parametrize(
    "source",
    [
        "It costs $5 and $6.",
        r"$\unknown{x}$",
        "$x^{2$",
        "$x}$",
        r"$\left( x$",
        r"$x \right)$",
        r"$\left a \right b$",
        "$" + r"\left(" * 20 + r"\right)" * 20 + "$",
        "$^2$",
        "$x^2^3$",
        "$" + "{" * 30 + "}" * 30 + "$",
        "$" + r"\sqrt" * 60 + "x$",
        "<code>$x$</code>",
        "<pre>$x$ and <em>$y$</em></pre>",
        '<img alt="$x$" src="data:image/png;base64,AAAA">',
    ],
)
def test_what_cannot_be_read_and_what_is_no_formula_stays(source: str) -> None:
    assert laid_out(source) == source


@pytest.mark.parametrize(
    "hostile", ["&lt;script&gt;", r"\text{&lt;img src=x onerror=alert(1)&gt;}", "&amp;lt;b&amp;gt;"]
)
def test_nothing_in_a_formula_becomes_markup(hostile: str) -> None:
    shown = laid_out(f"${hostile}$")
    assert "<script" not in shown and "<img" not in shown and "<b" not in shown

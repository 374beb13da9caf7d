"""Formulas in clean HTML, from LaTeX to MathML, which browsers lay out by themselves; what cannot be read stays."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from markupsafe import Markup

LONGEST = 400
"""Characters of a formula that is laid out."""
DEEPEST = 12
"""How deep arguments and braces may be nested."""
_FORMULA = re.compile(
    r"\$\$(?P<block>[^$]{1,400})\$\$|(?<![\\$\w])\$(?P<line>[^$\s](?:[^$\n]{0,398}[^$\s])?)\$(?!\w)"
    r"|\\\((?P<round>.{1,400}?)\\\)|\\\[(?P<square>.{1,400}?)\\\]",
    re.DOTALL,
)
_TAG = re.compile(r"(<[^>]*>)")
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\d+(?:[.,]\d+)*|\s+|.", re.DOTALL)
_SYMBOLS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε", "eta": "η",
    "theta": "θ", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ",
    "phi": "φ", "varphi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω", "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ",
    "Lambda": "Λ", "Sigma": "Σ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω", "infty": "∞", "partial": "∂", "nabla": "∇",
    "ell": "ℓ", "ldots": "…", "cdots": "⋯", "dots": "…", "top": "⊤", "hbar": "ℏ",
}  # fmt: skip
_OPERATORS = {
    "cdot": "·", "times": "×", "div": "÷", "pm": "±", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "ne": "≠",
    "neq": "≠", "approx": "≈", "sim": "∼", "propto": "∝", "equiv": "≡", "in": "∈", "notin": "∉", "subset": "⊂",
    "to": "→", "rightarrow": "→", "leftarrow": "←", "Rightarrow": "⇒", "mapsto": "↦", "sum": "∑", "prod": "∏",
    "int": "∫", "odot": "⊙", "oplus": "⊕", "circ": "∘", "ast": "∗", "mid": "∣", "forall": "∀", "exists": "∃",
    "ll": "≪", "gg": "≫", "{": "{", "}": "}", "%": "%", "_": "_", "&": "&", "#": "#", "|": "‖", "langle": "⟨",
    "rangle": "⟩", "lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉",
}  # fmt: skip
_NAMES = {"log", "ln", "exp", "max", "min", "sin", "cos", "tan", "softmax", "arg", "argmax", "dim", "det", "lim", "Pr"}
_TEXT = {"text", "mathrm", "operatorname", "textbf", "mathbf", "mathit", "mathcal", "mathbb", "textit", "boldsymbol"}
_ACCENTS = {"hat": "^", "tilde": "~", "vec": "→", "bar": "¯", "overline": "¯"}
_SPACES = {",", ";", ":", "!", " ", "quad", "qquad", "\\"}
_FENCES = "()[]|"
"""They are as high as a line; those after `\\left` and `\\right` are as high as what they enclose."""
_IGNORED = {"displaystyle", "big", "Big", "limits", "nolimits"}


class _Unreadable(Exception):
    """A formula that this module does not know how to lay out."""


def with_formulas(fragment: Markup) -> Markup:
    """Return clean HTML whose formulas are MathML.

    Args:
        fragment: What `clean_html` made, or less; code stays as it is.
    """
    parts: list[str] = []
    literal = 0
    for part in _TAG.split(fragment):
        if part.startswith("<"):
            literal += {"<pre": 1, "<code": 1, "</pre": -1, "</code": -1}.get(re.split(r"[\s>]", part)[0], 0)
            parts.append(part)
        else:
            parts.append(part if literal else _FORMULA.sub(_laid_out, part))
    return Markup("".join(parts))  # noqa: S704 (tags and entities of clean HTML, and what is escaped below)


def _laid_out(found: re.Match[str]) -> str:
    source = html.unescape(next(filter(None, found.groups())))
    try:
        body = "".join(_Reader(_TOKEN.findall(source)).row())
    except _Unreadable:
        return found[0]
    display = ' display="block"' if found["block"] or found["square"] else ""
    return f"<math{display}><mrow>{body}</mrow></math>"


class _Reader:
    """Reads the tokens of one formula from the left to the right."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def row(self, end: str = "") -> Iterator[str]:
        """Yield MathML up to a closing sign, which is taken, too; or to the end of the formula."""
        while self._peek():
            sign = self._take()
            if sign == end:
                return
            if sign in ("}", "&"):
                raise _Unreadable
            yield self._with_scripts(self._atom(sign))
        if end:
            raise _Unreadable

    def _with_scripts(self, base: str) -> str:
        scripts: dict[str, str] = {}
        while self._peek() in ("_", "^", "'"):
            mark = self._take()
            if mark == "'":
                scripts["^"] = scripts.get("^", "") + "<mo>′</mo>"
            elif mark in scripts:
                raise _Unreadable
            else:
                scripts[mark] = self._argument()
        below, above = scripts.get("_"), scripts.get("^")
        if below and above:
            return f"<msubsup>{base}<mrow>{below}</mrow><mrow>{above}</mrow></msubsup>"
        if below or above:
            kind = "msub" if below else "msup"
            return f"<{kind}>{base}<mrow>{below or above}</mrow></{kind}>"
        return base

    def _atom(self, sign: str) -> str:
        if sign == "{":
            self._at -= 1
            return f"<mrow>{self._argument()}</mrow>"
        if sign.startswith("\\"):
            return self._command(sign[1:])
        if sign[0].isdigit():
            return f"<mn>{sign}</mn>"
        if sign.isalpha():
            return f"<mi>{html.escape(sign)}</mi>"
        if sign in ("_", "^"):
            raise _Unreadable
        if sign in _FENCES:
            return f'<mo stretchy="false">{sign}</mo>'
        return f"<mo>{html.escape({'-': '−', '*': '∗'}.get(sign, sign))}</mo>"

    def _command(self, name: str) -> str:
        if name in ("frac", "tfrac", "dfrac"):
            return f"<mfrac><mrow>{self._argument()}</mrow><mrow>{self._argument()}</mrow></mfrac>"
        if name == "sqrt":
            return f"<msqrt>{self._argument()}</msqrt>"
        if name == "left":
            return self._fenced()
        if name in _ACCENTS:
            return f'<mover accent="true"><mrow>{self._argument()}</mrow><mo>{_ACCENTS[name]}</mo></mover>'
        if name in _TEXT:
            return f"<mtext>{html.escape(self._plain())}</mtext>"
        if name in _SPACES:
            return '<mspace width="0.3em"></mspace>'
        return "<mrow></mrow>" if name in _IGNORED else _symbol(name)

    def _argument(self) -> str:
        sign = self._take()
        self._depth += 1
        if self._depth > DEEPEST:
            raise _Unreadable
        inside = "".join(self.row("}")) if sign == "{" else self._atom(sign)
        self._depth -= 1
        return inside

    def _fenced(self) -> str:
        """Return what stands between a left and a right bracket that grow, and the two."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise _Unreadable
        parts = (self._fence(), *self.row(r"\right"), self._fence())
        self._depth -= 1
        return f"<mrow>{''.join(parts)}</mrow>"

    def _fence(self) -> str:
        """Return a bracket that grows; a full stop stands for none."""
        sign = self._take().removeprefix("\\")
        if sign == ".":
            return ""
        if sign not in (*_FENCES, "{", "}", "langle", "rangle"):
            raise _Unreadable
        return f"<mo>{_OPERATORS.get(sign, sign)}</mo>"

    def _plain(self) -> str:
        """Return the words in braces."""
        if self._take() != "{":
            raise _Unreadable
        words: list[str] = []
        while self._at < len(self._tokens):
            sign = self._tokens[self._at]
            self._at += 1
            if sign == "}":
                return "".join(words)
            words.append(sign.removeprefix("\\"))
        raise _Unreadable

    def _peek(self) -> str:
        """Return the next sign that is no space; empty at the end."""
        while self._at < len(self._tokens) and self._tokens[self._at].isspace():
            self._at += 1
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        sign = self._peek()
        if not sign:
            raise _Unreadable
        self._at += 1
        return sign


def _symbol(name: str) -> str:
    if name in _NAMES:
        return f"<mi>{name}</mi>"
    if name in _SYMBOLS:
        return f"<mi>{_SYMBOLS[name]}</mi>"
    if name in _OPERATORS:
        return f"<mo>{html.escape(_OPERATORS[name])}</mo>"
    raise _Unreadable

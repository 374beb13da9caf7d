"""Which values of CSS a submission may set: nothing that moves, covers or hides what stands around it."""

from __future__ import annotations

import re

LARGEST = {"px": 64.0, "pt": 48.0, "em": 4.0, "rem": 4.0, "ex": 8.0, "ch": 8.0, "%": 200.0, "": 1000.0}
"""Up to which number a length goes, by its unit; without one it is a weight, a colour's part or 0."""
PROPERTIES = frozenset(
    {
        "border-left", "color", "font-family", "font-size", "font-weight", "list-style", "margin", "padding",
        "padding-left", "text-align", "white-space",
    }
)  # fmt: skip
_WORD = re.compile(r"[a-zA-Z][a-zA-Z-]*")
_COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}")
_TEXT = re.compile(r"'[\w .-]*'|\"[\w .-]*\"")
_NUMBER = re.compile(r"(\d{1,4}(?:\.\d{1,4})?|\.\d{1,4})(px|pt|r?em|ex|ch|%|)")
_SEPARATORS = re.compile(r"[\s,()]+")


def plain_style(style: str) -> str:
    """Return a `style` attribute's value with those declarations that are plain formatting.

    A value may have words, colours, names of fonts, and lengths that are neither negative nor large.

    Args:
        style: What a submission has, such as `margin: -40px; color: red`.
    """
    declarations = [declaration.partition(":") for declaration in style.split(";")]
    kept = [f"{name.strip().lower()}:{value.strip()}" for name, _, value in declarations if _is_plain(name, value)]
    return ";".join(kept)


def _is_plain(name: str, value: str) -> bool:
    words = [word for word in _SEPARATORS.split(_TEXT.sub("", value)) if word]
    return name.strip().lower() in PROPERTIES and bool(value.strip()) and all(map(_is_plain_word, words))


def _is_plain_word(word: str) -> bool:
    if _WORD.fullmatch(word):
        return word.lower() not in {"url", "calc", "var", "env", "expression", "attr"}
    number = _NUMBER.fullmatch(word)
    return bool(_COLOUR.fullmatch(word)) or (number is not None and float(number[1]) <= LARGEST[number[2]])

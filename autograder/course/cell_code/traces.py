"""What a notebook's cell does beside making names that its text shows: told by its words, nothing is parsed."""

from __future__ import annotations

import functools
import re

_UNSEEN = re.compile(r"(?m)\bimport[ \t]*\*|\b(?:exec|globals|locals|vars)[ \t]*\(|^[ \t]*global\b|^[ \t]*%run\b|:=")
_TRACES = tuple(
    (re.compile(leaves, re.MULTILINE), re.compile(reads))
    for leaves, reads in (
        (
            r"\bsys\.path\b|\b(?:run_functions_eagerly|enable_numpy_behavior|get_custom_objects|register_keras_serializable|"
            r"chdir|seed|style\.use)\(|\.set_\w+\(|\brcParams\b|^[ \t]*%cd\b",
            "",
        ),
        (r"\bos\.(?:environ|putenv)\b|%(?:set_)?env\b", r"\b(?:environ|getenv)\b"),
        (
            r"open\([^\n]{0,200}['\"][rbt+]{0,2}[wax][rbt+]{0,2}['\"]|\.(?:write_\w+|save\w*|dump|to_\w+)\(|\bm(?:ake|k)dirs?\(|"
            r"^%%(?:writefile|file|bash|sh)\b|^[ \t]*(?:[!%]mkdir|!unzip)\b|\bos\.system\(",
            r"\b(?:open|\w*(?:load|read|save|write)\w*|exists|listdir|glob|import|run|to_\w+|dump|CSVLogger|ModelCheckpoint)\b",
        ),
    )
)
"""What a cell leaves beside names, and what in another one may depend on it."""


def makes_unseen(source: str) -> bool:
    """Whether a cell may make names that its text does not show: by a star import, `exec`, `globals()` or `%run`."""
    return bool(_UNSEEN.search(source))


def leaves_traces(source: str, reader: str) -> bool:
    """Whether a cell sets something other than a name that another text may depend on.

    Args:
        source: The cell.
        reader: The other text. A setting of a library counts always; a variable of the environment, or a file, only
            where the text reads such things.
    """
    return any(leaves and reads for leaves, reads in zip(_left_by(source), _read_by(reader), strict=True))


@functools.lru_cache(maxsize=512)
def _left_by(source: str) -> tuple[bool, ...]:
    return tuple(leaves.search(source) is not None for leaves, _ in _TRACES)


@functools.lru_cache(maxsize=512)
def _read_by(source: str) -> tuple[bool, ...]:
    return tuple(reads.search(source) is not None for _, reads in _TRACES)

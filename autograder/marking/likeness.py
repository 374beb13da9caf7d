"""How alike answers are: TF-IDF of words and of letters, and a look at the words that turn a meaning round."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

LONGEST = 4_000
"""Characters of an answer that are compared; what comes after them seldom tells answers apart."""
TURNING = (
    "not no never none nothing neither nor without cannot hardly only "
    "more less fewer most least larger smaller higher lower greater faster slower better worse "
    "increase decrease grow shrink many few all each same other different "
    "before after first last always sometimes"
)
"""Words by which answers that share all others may say the opposite."""
TURN = 0.8
"""What is left of the likeness of two answers for each turning word that only one of them has."""
_WORDS, _LETTERS = 0.5, 0.5
"""Shares of words and letters: words tell what is said, letters forgive slips of the pen."""

_LABEL = re.compile(r"(?m)^\s*(?:[-*+]|\(?[a-d1-9][.)])\s+|\(([a-d])\)")
_SHORT_NOT = re.compile(r"\b(can|do|does|is|are|was|were|has|have|would|should|could|did|wo|need)n['’]?t\b")
_TOKEN = re.compile(r"[^\W_]+(?:[\^][^\W_]+)?|[=<>+*/]")
_ENDINGS = (("ies", "y"), ("sses", "ss"), ("s", ""))  # the first that fits


@functools.lru_cache(maxsize=50_000)
def normalised(text: str) -> str:
    """Return an answer without what does not matter: case, layout, labels, short forms, plurals.

    Formulas stay as words of their own: `N^2` is another word than `N`.
    """
    text = unicodedata.normalize("NFKC", text[:LONGEST]).casefold().replace("$", " ").replace("\\cdot", "*")
    text = re.sub(r"\\(?:text|mathrm|left|right)\b|[{}\\`]|\*\*|__", "", text)
    text = _SHORT_NOT.sub(r"\1 not", _LABEL.sub(" ", text)).replace("can not", "cannot").replace("can't", "cannot")
    return " ".join(_stem(token) for token in _TOKEN.findall(text))


def likeness(texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return how alike texts are, 0 to 1.

    Args:
        texts: Normalised ones, each different from all others.

    Returns:
        (texts, texts).
    """
    from sklearn.feature_extraction.text import TfidfVectorizer  # a second to import

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, tokenizer=str.split, token_pattern=None)
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True)
    alike = np.zeros((len(texts), len(texts)))
    for vectorizer, share in ((words, _WORDS), (letters, _LETTERS)):
        vectors = vectorizer.fit_transform(texts)  # (texts, features)
        alike += share * (vectors @ vectors.T).toarray()
    return alike * TURN ** _turns(texts)


def _turns(texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return by how many turning words texts differ: (texts, texts)."""
    known = {word: number for number, word in enumerate(normalised(TURNING).split())}
    counts = np.zeros((len(texts), len(known)))
    for row, text in enumerate(texts):
        for word in text.split():
            if word in known:
                counts[row, known[word]] += 1
    differ = np.zeros((len(texts), len(texts)))
    for column in counts.T[counts.any(axis=0)]:
        differ += np.abs(column[:, None] - column[None, :])
    return differ


def _stem(token: str) -> str:
    if len(token) < 4 or not token.isalpha():
        return token
    return next(
        (token[: -len(end)] + new for end, new in _ENDINGS if token.endswith(end) and token[-2:] != "ss"), token
    )

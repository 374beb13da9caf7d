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
_COMMON = 0.02
"""Share of the texts that have a feature, from which on it is common."""
Counts = Any  # a sparse matrix of scipy, which has no types

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


def likeness(texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return how alike texts are, 0 to 1.

    Args:
        texts: Normalised ones, each different from all others.

    Returns:
        (texts, texts).
    """
    from sklearn.feature_extraction.text import TfidfTransformer  # a second to import

    alike = np.zeros((len(texts), len(texts)), np.float32)
    for counts, share in ((_word_counts(texts, 2), _WORDS), (_letter_counts(texts), _LETTERS)):
        vectors = TfidfTransformer(sublinear_tf=True).fit_transform(counts)  # (texts, features), of length 1
        alike += np.float32(share) * _products(vectors)
    return np.minimum(alike * np.float32(TURN) ** _turns(texts), 1)


def _word_counts(texts: Sequence[str], longest: int) -> Counts:
    """Return how often each text has each run of up to so many words: (texts, runs)."""
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(ngram_range=(1, longest), tokenizer=str.split, token_pattern=None)
    return counter.fit_transform(texts)


def _letter_counts(texts: Sequence[str]) -> Counts:
    """Return how often each text has each run of 3 to 5 letters of a word: (texts, runs).

    Each word is taken apart once for the class, not once for each text: a tenth of the time.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    words = CountVectorizer(tokenizer=str.split, token_pattern=None)
    counts = words.fit_transform(texts)  # (texts, words)
    letters = CountVectorizer(analyzer="char_wb", ngram_range=(3, 5))
    return counts @ letters.fit_transform(words.get_feature_names_out())  # (words, runs)


def _products(vectors: Counts) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the product of each two of some sparse vectors: (vectors, vectors).

    Features that many texts have would make a sparse product slow, features that few have a dense one.
    """
    vectors = vectors.tocsc().astype(np.float32)
    texts_with = np.diff(vectors.indptr)  # (features,)
    common = texts_with > max(20, _COMMON * vectors.shape[0])
    dense = vectors[:, common].toarray()
    rare = vectors[:, ~common & (texts_with > 1)].tocsr()
    found: np.ndarray[Any, np.dtype[np.float32]] = dense @ dense.T + (rare @ rare.T).toarray()
    np.fill_diagonal(found, 1)
    return found


def _turns(texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return by how many turning words texts differ: (texts, texts)."""
    from sklearn.metrics import pairwise_distances

    known = {word: number for number, word in enumerate(normalised(TURNING).split())}
    counts = np.zeros((len(texts), len(known)))
    for row, text in enumerate(texts):
        for word in text.split():
            if word in known:
                counts[row, known[word]] += 1
    differ: np.ndarray[Any, np.dtype[np.float32]] = pairwise_distances(counts, metric="cityblock").astype(np.float32)
    return differ


def _stem(token: str) -> str:
    if len(token) < 4 or not token.isalpha():
        return token
    return next(
        (token[: -len(end)] + new for end, new in _ENDINGS if token.endswith(end) and token[-2:] != "ss"), token
    )

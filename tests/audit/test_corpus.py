"""A corpus folder: read, or refused with the place that does not fit."""

from __future__ import annotations

import pytest

from autograder.audit.corpus import Corpus, load_corpus
from autograder.errors import CorpusError
from tests.audit.tiny_corpus import TINY_CORPUS, write_corpus
from tests.tiny import TinyCourse


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('slug = "total-is-off"', 'slug = "adds-one"', "Two submissions have the slug 'adds-one'"),
        ('task = "total"', 'task = "sum"', "'sum' is no task of tiny"),
        ("2.0 * x", "3.0 * x", "found it 0 times"),
        ("x + 1.0", "x +", "the edited module is not Python"),
        ('says = "not', 'sais = "not', "unknown key 'sais'"),
        ('[["twice', '["twice', "is not TOML"),
    ],
)
def test_a_corpus_that_does_not_fit_is_refused(tiny_course: TinyCourse, old: str, new: str, problem: str) -> None:
    folder = write_corpus(tiny_course, TINY_CORPUS.replace(old, new))
    with pytest.raises(CorpusError, match=problem):
        load_corpus(folder, tiny_course.assignment)


def test_no_corpus_is_an_error(tiny_course: TinyCourse) -> None:
    with pytest.raises(CorpusError, match="There is no corpus"):
        load_corpus(tiny_course.root, tiny_course.assignment)


def test_variants_are_made_from_their_base(tiny_course: TinyCourse) -> None:
    corpus: Corpus = load_corpus(write_corpus(tiny_course), tiny_course.assignment)
    assert "x + 1.0" in corpus.module_of(corpus.variant("adds-one"))
    assert b'"total = 0"' in corpus.notebook_of(corpus.variant("total-is-off"))
    assert b"SOLUTION" not in corpus.notebook_of(corpus.variant("total-is-off")).partition(b"total = 0")[0][-80:]

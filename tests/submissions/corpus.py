"""The corpus of this folder: right modules, and tables of right and wrong variants; see `autograder.audit.corpus`."""

import functools
from pathlib import Path

from autograder.audit.corpus import Corpus, load_corpus
from autograder.course.assignment import load_assignment

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
RIGHT = {path.stem: path for path in sorted(FOLDER.glob("right/*.py"))}
"""The file of every right module, by style."""


@functools.cache
def read_corpus() -> Corpus:
    """Read the corpus."""
    return load_corpus(FOLDER, load_assignment(ROOT, "vit"))

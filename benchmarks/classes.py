"""Classes to grade, drawn from the corpus with a seed.

A *right* class holds different right submissions. A *real* class is as classes are: a third right, a third with one
mistake each, and the rest half done, untouched, broken at import, and one that never returns.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import cycle

from autograder.audit.corpus import Corpus, load_corpus
from autograder.course.assignment import MODULE, Assignment
from autograder.course.submission import Snapshot
from benchmarks.measuring import ROOT, spread
from benchmarks.minimal_tests import whole_module
from tests.submissions.demo import EXAMPLES, NOT_SOLVED, with_bodies
from tests.submissions.hostile.liars import PATCH

SEED = 21
ENDLESS = "never-returns"
PARTS = {
    "scaled_dot_product_attention": "",
    "MultiHeadAttention": ".call",
    "mlp": "",
    "transformerBlock": "",
    "PatchExtractor": ".call",
    "PatchEncoder": ".call",
    "create_vit_classifier": "",
}
"""What students write, from the top of the module to its end, and the method that is left unwritten."""
STYLES = ("by_definition", "einsum", "dense_loops", "wide_dense", "compact")
"""Right modules that half-done ones are made from."""
HOSTILE_BODIES = {
    "loops-everywhere": "while True:\n    pass",
    "sleeps-everywhere": "import time\ntime.sleep(3600)",
    "exits-everywhere": "import os\nos._exit(0)",
}
"""What every part of a hostile module does."""
_LOADS = "honest() if type(question) is wire.Load"
HOSTILE_ANSWERS = {
    "answers-garbage": f"tell(lambda question, honest: {_LOADS} else wire.Answer(-1, None))",
    "answers-nothing": f"import time\ntell(lambda question, honest: {_LOADS} else time.sleep(3600))",
    "answers-late": "import time\ntell(lambda question, honest: (time.sleep(4), honest())[1])",
}
"""What takes the place of the answering code."""
BROKEN = "\n\nvit = create_vit_clasifier(transformer_layers=1)\n"


def right_class(assignment: Assignment, count: int) -> dict[str, Snapshot]:
    """Return so many different right submissions by name, spread over the corpus.

    Raises:
        SystemExit: If the corpus holds fewer right ones.
    """
    corpus = read_corpus(assignment)
    right = [variant for variant in corpus.variants if variant.right]
    if not 0 < count <= len(right):
        raise SystemExit(f"The corpus has {len(right)} right submissions; ask for 1 to {len(right)}, not {count}.")
    chosen = [right[place * len(right) // count] for place in range(count)]
    return {variant.slug: _as_handed_in(assignment, corpus.submission(variant)) for variant in chosen}


def real_class(assignment: Assignment, count: int, seed: int = SEED, *, endless: bool = True) -> dict[str, Snapshot]:
    """Return a class as classes are.

    Args:
        assignment: The lab.
        count: Submissions; the corpus must hold a third of them as right ones.
        seed: Draws them.
        endless: Whether one of them never returns.
    """
    corpus, draw = read_corpus(assignment), random.Random(seed)  # noqa: S311 (no secret)
    right = [variant for variant in corpus.variants if variant.right]
    wrong = [variant for variant in corpus.variants if not variant.right and not variant.misjudged]
    third = count // 3
    chosen = [*draw.sample(right, third), *draw.sample(wrong, third)]
    students = {variant.slug: _as_handed_in(assignment, corpus.submission(variant)) for variant in chosen}
    unfinished = _unfinished(assignment, corpus, draw)
    students |= {name: module for name, module in (next(unfinished) for _ in range(count - 2 * third))}
    if not endless:
        students.pop(ENDLESS, None)
    return students


def right_names(assignment: Assignment) -> frozenset[str]:
    """Return the names of submissions that must get full marks."""
    return frozenset(variant.slug for variant in read_corpus(assignment).variants if variant.right)


def read_corpus(assignment: Assignment) -> Corpus:
    """Read the corpus of the tests."""
    return load_corpus(ROOT / "tests" / "submissions", assignment)


def _unfinished(assignment: Assignment, corpus: Corpus, draw: random.Random) -> Iterator[tuple[str, Snapshot]]:
    """Yield the one that never returns, then half-done, untouched and broken ones, each another."""
    released = (assignment.release_dir / f"{assignment.name}.ipynb").read_bytes()
    makers: Mapping[str, Callable[[], tuple[str, bytes]]] = {
        "half": lambda: (_half_done(corpus, draw), released),
        "untouched": lambda: ("", released),
        "broken": lambda: (corpus.modules[draw.choice(STYLES)] + BROKEN, corpus.notebook),
    }
    endless = with_bodies(corpus.modules["wide_dense"], {"MultiHeadAttention.call": "while True:\n    pass"})
    yield ENDLESS, _submission(assignment, endless, corpus.notebook)
    for number, kind in enumerate(cycle(("half", "half", "untouched", "half", "broken")), 1):
        module, notebook = makers[kind]()
        yield f"{kind}-{number}", _submission(assignment, f"{module}\n# {number}\n", notebook)


def _half_done(corpus: Corpus, draw: random.Random) -> str:
    """Return a right module of which only the first parts are written."""
    module = corpus.modules[draw.choice(STYLES)]
    written = draw.randrange(1, len(PARTS))
    unwritten = {f"{part}{method}": NOT_SOLVED for part, method in list(PARTS.items())[written:]}
    return with_bodies(module, unwritten)


def _submission(assignment: Assignment, module: str, notebook: bytes) -> Snapshot:
    name = f"{assignment.name}.ipynb"
    return _as_handed_in(assignment, Snapshot({f"{MODULE}.py": module.encode(), name: notebook}, name))


def _as_handed_in(assignment: Assignment, snapshot: Snapshot) -> Snapshot:
    module = (snapshot.module_bytes or b"").decode()
    return Snapshot({**snapshot.files, f"{MODULE}.py": whole_module(assignment, module)}, snapshot.notebook)


def named_submissions(assignment: Assignment, names: Iterable[str]) -> dict[str, Snapshot]:
    """Return submissions by their names in the corpus, among the examples, or in HOSTILE."""
    corpus, stubs = read_corpus(assignment), (assignment.release_dir / f"{MODULE}.py").read_text("utf-8")
    variants = {variant.slug: variant for variant in corpus.variants}
    found = {}
    for name in names:
        if name in variants:
            found[name] = corpus.submission(variants[name])
        else:
            module = EXAMPLES[name].module(stubs) if name in EXAMPLES else _hostile(corpus, name)
            found[name] = _submission(assignment, module, corpus.notebook)
    return found


def spread_submissions(assignment: Assignment, count: int) -> dict[str, Snapshot]:
    """Return so many submissions of the corpus by name, evenly spread over it; all of them where it has no more."""
    corpus = read_corpus(assignment)
    return {variant.slug: corpus.submission(variant) for variant in spread(corpus.variants, count)[:count]}


def _hostile(corpus: Corpus, name: str) -> str:
    """Return a module that takes all the time it can get."""
    module = corpus.modules["by_definition"]
    if name in HOSTILE_BODIES:
        return with_bodies(module, {f"{part}{method}": HOSTILE_BODIES[name] for part, method in PARTS.items()})
    return f"{module}\n{PATCH}{HOSTILE_ANSWERS[name]}"

"""A small class of example submissions, from perfect to never returning, to show the grader at work."""

import ast
import json
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from autograder.audit.corpus import Variant
from autograder.course.rubrics import METADATA

from .corpus import RIGHT, read_corpus

NOT_SOLVED = "raise NotImplementedError"

ZEROS = {
    "scaled_dot_product_attention": """
        output = tf.zeros(tf.concat([tf.shape(q)[:-1], tf.shape(v)[-1:]], axis=0))
        return output, tf.zeros(tf.concat([tf.shape(q)[:-1], tf.shape(k)[-2:-1]], axis=0))
    """,
    "MultiHeadAttention.call": """
        batch, queries, keys = tf.shape(Q)[0], tf.shape(Q)[1], tf.shape(K)[1]
        output = tf.zeros((batch, queries, self.proj_size))
        if self.return_attention_weights:
            return output, tf.zeros((batch, self.n_heads, queries, keys))
        return output
    """,
    "mlp": "return tf.zeros_like(layers.Dense(hidden_units[-1])(x))",
    "transformerBlock": "return tf.zeros_like(x)",
    "PatchExtractor.call": """
        n = images.shape[1] // self.patch_size
        return tf.zeros((tf.shape(images)[0], n * n, self.patch_size**2 * images.shape[3]))
    """,
    "PatchEncoder.call": """
        return tf.zeros((tf.shape(patches)[0], self.num_patches + 1, self.projection.units))
    """,
    "create_vit_classifier": """
        inputs = layers.Input(shape=input_shape)
        return Model(inputs, tf.zeros_like(layers.Dense(num_classes)(layers.Flatten()(inputs))))
    """,
}
"""Bodies for `by_definition.py` that give every output its right shape and no content."""


@dataclass(frozen=True)
class Example:
    """One submission of the class.

    Attributes:
        shows: What an instructor sees in it.
        module: Makes the text of `utilities.py`, given the text of the released stubs.
        notebook: The notebook handed in with it: the solved one or the released one.
    """

    shows: str
    module: Callable[[str], str]
    notebook: Literal["solved", "released"] = "solved"


def with_bodies(source: str, bodies: Mapping[str, str]) -> str:
    """Give functions of a module another body.

    Args:
        source: Text of the module.
        bodies: New body, indented as one likes, by the function's name or `Class.method`. Docstrings go too.

    Returns:
        The text of the module with these bodies.

    Raises:
        KeyError: The module has no function of one of the names.
    """
    functions = dict(_functions(ast.parse(source).body))
    lines = source.splitlines()
    for name in sorted(bodies, key=lambda name: functions[name].lineno, reverse=True):
        body = functions[name].body
        indent = " " * body[0].col_offset
        new = textwrap.indent(textwrap.dedent(bodies[name]).strip("\n ").rstrip(), indent)
        lines[body[0].lineno - 1 : body[-1].end_lineno] = new.splitlines()
    return "\n".join(lines) + "\n"


def _functions(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    """Yield the functions and methods of a module with their dotted names."""
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            yield from _functions(statement.body, f"{statement.name}.")
        elif isinstance(statement, ast.FunctionDef):
            yield prefix + statement.name, statement


def _right(style: str) -> str:
    """Read a right submission."""
    return RIGHT[style].read_text(encoding="utf-8")


def _perfect(style: str) -> Example:
    """Hand in a right submission."""
    return Example(f"Everything is right ({style.replace('_', ' ')}).", lambda _stubs: _right(style))


def _as_handed_in(solved_notebook: bytes) -> bytes:
    """Leave out what only an instructor's notebook holds: the markers of solution regions, and rubrics."""
    notebook = json.loads(solved_notebook)
    for cell in notebook["cells"]:
        cell["metadata"].pop(METADATA, None)
        text = "".join(cell["source"])
        if "BEGIN SOLUTION" in text:
            cell["source"] = re.sub(r"(?m)^\s*### (BEGIN|END) SOLUTION.*\n?", "", text).rstrip("\n")
    return json.dumps(notebook, indent=1, ensure_ascii=False).encode()


def _mistakes(shows: str, *slugs: str) -> Example:
    """Hand in the mistakes of one or more variants of the same base."""
    corpus = read_corpus()
    variants = [corpus.variant(slug) for slug in slugs]
    replace = tuple(pair for variant in variants for pair in variant.replace)
    together = Variant("+".join(slugs), right=False, base=variants[0].base, replace=replace)
    return Example(shows, lambda _stubs: corpus.module_of(together))


def _half_done(_stubs: str) -> str:
    """Leave everything after the mlp unsolved."""
    unsolved = (
        "transformerBlock",
        "PatchExtractor.__init__",
        "PatchExtractor.call",
        "PatchEncoder.__init__",
        "PatchEncoder.call",
        "create_vit_classifier",
    )
    return with_bodies(_right("by_definition"), dict.fromkeys(unsolved, NOT_SOLVED))


def _crash_at_import(_stubs: str) -> str:
    """Misspell a name below right code."""
    return _right("einsum") + "\n\nvit = create_vit_clasifier(transformer_layers=1)\n"


def _never_returns(_stubs: str) -> str:
    """Loop forever in the attention layer."""
    return with_bodies(_right("wide_dense"), {"MultiHeadAttention.call": "while True:\n    pass"})


def _returns_zeros(_stubs: str) -> str:
    """Give every output its right shape only."""
    return with_bodies(_right("by_definition"), ZEROS)


EXAMPLES: Mapping[str, Example] = {
    "perfect-by-definition": _perfect("by_definition"),
    "perfect-einsum": _perfect("einsum"),
    "perfect-dense-loops": _perfect("dense_loops"),
    "perfect-wide-dense": _perfect("wide_dense"),
    "untouched-stubs": Example("Nothing is solved.", lambda stubs: stubs, "released"),
    "half-done": Example("Attention, heads and mlp are right, the rest is unsolved.", _half_done, "released"),
    "attention-unscaled": _mistakes(
        "The scores are not divided by sqrt(d); all that builds on them is right.",
        "attention-unscaled-by-definition",
    ),
    "heads-not-merged": _mistakes(
        "The heads are reshaped together without moving their axis back.", "heads-not-merged-wide-dense"
    ),
    "three-mistakes": _mistakes(
        "A residual from the wrong tensor, transposed patches and a softmax on the output.",
        "block-second-residual-from-input",
        "patches-column-by-column-by-definition",
        "model-softmax-by-definition",
    ),
    "class-token-without-position": _mistakes(
        "The class token, which stands last, gets no position.",
        "encoder-class-token-without-position-dense-loops",
    ),
    "crash-at-import": Example("Right code, and a misspelt name at the end of the module.", _crash_at_import),
    "never-returns": Example("The attention layer loops forever, everything else is right.", _never_returns),
    "returns-zeros": Example("Right shapes and nothing in them.", _returns_zeros),
}
"""The class, by folder name, in the order in which it is shown."""


def write_examples(directory: Path, solved_notebook: bytes, stub_notebook: bytes, stub_module: bytes) -> None:
    """Write the class as nbgrader expects submissions: `<directory>/<name>/vit/`.

    Args:
        directory: Folder of the submissions; made if it is not there.
        solved_notebook: The notebook with the solutions.
        stub_notebook: The notebook as released.
        stub_module: `utilities.py` as released.
    """
    notebooks = {"solved": _as_handed_in(solved_notebook), "released": stub_notebook}
    stubs = stub_module.decode("utf-8")
    for name, example in EXAMPLES.items():
        folder = directory / name / "vit"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "vit.ipynb").write_bytes(notebooks[example.notebook])
        (folder / "utilities.py").write_bytes(example.module(stubs).encode("utf-8"))

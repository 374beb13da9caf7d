"""What students read of an exception that their code raised: no path of this machine, and what it usually means."""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from pathlib import Path

from autograder import wire
from autograder.errors import StudentRaised
from autograder.sandbox.policy import SCRATCH, SUBMISSION

_PACKAGE = str(Path(__file__).parents[2])
_LIBRARIES = {_PACKAGE, sys.prefix, sys.base_prefix, *sysconfig.get_paths().values()}
_INSTALLED = sorted(_LIBRARIES | {os.path.realpath(path) for path in _LIBRARIES}, key=len, reverse=True)
_PATHS = re.compile(
    "(?:"
    + "|".join(
        [
            *(re.escape(path) for path in _INSTALLED if path != "/"),
            # So many folders and no more: a text of slashes alone would take a time that grows with its square.
            rf"(?:(?:/[^\s/]+){{0,16}}/autograder-\w+)?(?:{SUBMISSION}|{SCRATCH})(?:/notebook)?",
        ]
    )
    + r")(?:/|(?![\w.-]))"
)
"""Folders of the installation, and those that a student process sees its work in."""

_ADDRESS = re.compile(r" object at 0x[0-9a-f]+>")

_HINTS = (
    (
        r"keras\.src\.|_distribute_strategy|_implements_train_batch_hooks",
        "This is of Keras 3 (`tf.keras` and `keras` are Keras 3). Take optimisers, losses, metrics and callbacks from "
        "`tf_keras`, like the layers.",
    ),
    (r"Dimension value must be integer or None", "A pair stands where one tensor belongs. Which call returns two?"),
    (
        r"Matrix size-incompatible|Incompatible shapes.*MatMul|matrix multiply|Expected dimension \d+ at axis",
        "The inner sizes of a matrix product differ: one of the two matrices needs another order of its axes.",
    ),
    (
        r"Shapes \((?:None|\d+), 1\) and \((?:None|\d+), \d+\) are incompatible",
        "The labels are integers, one for each image: take the sparse kind of cross-entropy and of accuracy.",
    ),
    (
        r"must have compatible batch dimensions|Dimensions must be equal.*BatchMatMul",
        "The axes before the last two differ: a transpose without `perm` reverses all axes, those of the batch too.",
    ),
    (
        r"'(?!NoneType|\w*(?:Image|File|Dataset|History)')[A-Z]\w*' object has no attribute '(?:shape|dtype)'",
        "Is this a layer that was made and not called? `Layer(size)(x)` makes one and calls it.",
    ),
    (r"effective_filter_size", "The patches are larger than the image. Are the `rates`, which spread their pixels, 1?"),
    (r"ellipsis", "One of the template's `...` is still there."),
    (
        r"Failed to convert elements of [\[(].*None|Failed to convert a NumPy array.*None|\(None, .*must be fully",
        "While a model is built, the size of the batch is None. Use `tf.shape(x)[0]`, or -1 in a reshape.",
    ),
    (
        r"symbolic tf\.Tensor|You are passing KerasTensor|has no attribute 'numpy'",
        "NumPy cannot compute with the tensors of a model that is being built: take a layer, or `tf`'s own function.",
    ),
    (
        r"^SystemExit: 2",
        "`parse_args()` reads what the notebook was started with, and ends your program: write `parse_args([])`.",
    ),
    (r"^SystemExit", "`exit`, `quit` and `sys.exit` end your program: take that line out."),
    (
        r"^(?:URLError|gaierror|Connection\w*|MaxRetryError|LocalEntryNotFoundError):|URL fetch failure",
        "There is no network where work is graded: hand in the file, if it is small, or do without.",
    ),
    (r"^TBNotInstalledError", "Work is graded without TensorBoard: leave its callback out."),
    (
        r"Number of classes, \d+, does not match size of target_names",
        "`run_experiment` is graded with data of fewer classes than the notebook's: count those that are there, or "
        "give `labels`, too.",
    ),
    (
        r"Operation not permitted|^BrokenProcessPool",
        "Your work is graded in one process, without a network: take out what starts others, such as "
        "`multiprocessing`, `subprocess`, or `n_jobs` above 1.",
    ),
    (r"Read-only file system|Permission denied", "Files can be written beside the notebook: use a relative path."),
    (
        r"Unable to (?:synchronously )?open file|Failed to find any matching files|No file or directory found at",
        "No weights were saved there. With `save_best_only` nothing is saved where Keras has no value under the name "
        "that is watched, such as `val_accuracy`.",
    ),
    (
        r"No such file or directory: '(?:[A-Za-z]:|[\\/](?:Users|content|home|kaggle|mnt)\b)",
        "This folder is on another machine: hand in the file, and use a path that begins beside the notebook.",
    ),
    (r"No such file or directory: '[^']*\\", "Work is graded on Linux, where `/` stands between folders."),
    (
        r"[Nn]o such file or directory|non-existent directory",
        "Only what you hand in is there when your work is graded, under the same name, with the same capital letters.",
    ),
)
"""What an exception usually means, by its kind and text."""


def raised(reply: wire.Raised) -> StudentRaised:
    """Return the fault that a student process tells of, in words for the student."""
    text = _ADDRESS.sub(" object>", hide_paths(" ".join(reply.message.split())))
    fault = StudentRaised(reply.exception, text, reply.place, reply.line, reply.missing)
    fault.interrupted = reply.interrupted
    told = f"{reply.exception}: {text}"
    fault.add_hint(next((hint for pattern, hint in _HINTS if re.search(pattern, told)), ""))
    return fault


def hide_paths(text: str) -> str:
    """Return a text in which files have names but no folders of this machine."""
    return _PATHS.sub("", text)

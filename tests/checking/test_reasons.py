"""What students read of exceptions."""

from __future__ import annotations

import sys
import sysconfig
import time
from pathlib import Path

import pytest

from autograder import wire
from autograder.checking.reasons import hide_paths, raised


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"{sysconfig.get_paths()['purelib']}/tf_keras/src/engine.py:65", "tf_keras/src/engine.py:65"),
        (f"{sys.prefix}/share/x", "share/x"),
        ('File "/submission/utilities.py", line 3', 'File "utilities.py", line 3'),
        ("No such file: '/scratch/notebook/photo.jpg'", "No such file: 'photo.jpg'"),
        ("/tmp/autograder-x_1/submission/utilities.py", "utilities.py"),  # noqa: S108 - only a text
        ("/content/drive/photo.jpg", "/content/drive/photo.jpg"),
        ("values / sum", "values / sum"),
        (f"python {sys.prefix}", "python "),
        (f"{Path(__file__).parents[2]}/autograder/student_side/zygote.py", "autograder/student_side/zygote.py"),
    ],
)
def test_folders_of_this_machine_are_not_shown(text: str, shown: str) -> None:
    assert hide_paths(text) == shown


@pytest.mark.parametrize(
    ("exception", "text", "hint"),
    [
        ("TypeError", "Dimension value must be integer or None or have an __index__ method", "A pair stands where"),
        ("InvalidArgumentError", "Matrix size-incompatible: In[0]: [2,3], In[1]: [2,3]", "another order of its axes"),
        (
            "InvalidArgumentError",
            "Expected dimension 10 at axis 0 of the input shaped [12,10] but",
            "of its axes",
        ),
        ("AttributeError", "'PatchExtractor' object has no attribute 'shape'", "made and not called"),
        ("AttributeError", "'NoneType' object has no attribute 'shape'", ""),
        ("AttributeError", "'PngImageFile' object has no attribute 'shape'", ""),
        ("ValueError", "negative: -2 [input_size: 32, effective_filter_size: 57, stride: 8]", "Are the `rates`"),
        ("ValueError", "Attempt to convert a value (Ellipsis) with a type (<class 'ellipsis'>)", "template's `...`"),
        ("TypeError", "Failed to convert elements of [None, 6, 12] to Tensor.", "the size of the batch is None"),
        ("TypeError", "Failed to convert elements of (None, 6, 12) to Tensor.", "the size of the batch is None"),
        ("NotImplementedError", "Cannot convert a symbolic tf.Tensor (x:0) to a numpy array.", "NumPy cannot compute"),
        ("SystemExit", "", "take that line out"),
        ("URLError", "<urlopen error [Errno -3] Temporary failure>", "There is no network"),
        ("FileNotFoundError", "[Errno 2] No such file or directory: 'my_photo.jpg'", "Only what you hand in"),
        ("FileNotFoundError", "[Errno 2] Unable to synchronously open file (unable to open file: …", "No weights were"),
        ("NotFoundError", "Unsuccessful: Failed to find any matching files for checkpoint", "No weights were saved"),
        ("OSError", "No file or directory found at best.keras", "No weights were saved"),
        ("PermissionError", "[Errno 1] Operation not permitted", "graded in one process"),
        ("PermissionDeniedError", "/var; Read-only file system", "beside the notebook"),
        ("SystemExit", "2", "write `parse_args([])`"),
        ("FileNotFoundError", "[Errno 2] No such file or directory: 'data\\\\sizes.csv'", "graded on Linux, where `/`"),
        ("FileNotFoundError", "[Errno 2] No such file or directory: 'C:/Users/me/x.csv'", "on another machine"),
        ("FileNotFoundError", "[Errno 2] No such file or directory: '/content/drive/x.csv'", "on another machine"),
        ("OSError", "Cannot save file into a non-existent directory: 'logs'", "Only what you hand in"),
        ("ValueError", "Could not interpret identifier: <keras.src.optimizers.adam.Adam object>", "is of Keras 3"),
        ("AttributeError", "'Variable' object has no attribute '_distribute_strategy'", "is of Keras 3"),
        ("TBNotInstalledError", "TensorBoard is not installed, missing implementation for", "without TensorBoard"),
        ("ValueError", "Number of classes, 3, does not match size of target_names, 10.", "give `labels`, too"),
        ("KeyError", "'accuracy'", ""),
    ],
)
def test_what_an_exception_usually_means_is_said(exception: str, text: str, hint: str) -> None:
    fault = raised(wire.Raised(1, exception, text, place="utilities.py, in f", line=3))
    assert fault.message.startswith(f"Your code raised {exception}: {text}")
    assert "(utilities.py, in f, line 3)" in fault.message
    assert hint in fault.hint
    assert bool(hint) == bool(fault.hint)


def test_of_a_long_text_the_first_sentences_are_shown() -> None:
    fault = raised(wire.Raised(1, "TypeError", "One. " + "Two, " * 60 + "end. Three" + " and three" * 30 + "."))
    assert fault.message == "Your code raised TypeError: One. " + "Two, " * 60 + "end."
    fault = raised(wire.Raised(1, "TypeError", "x" * 500, place="utilities.py, in f", line=3))
    assert fault.message == f"Your code raised TypeError: {'x' * 360} … (utilities.py, in f, line 3)"


def test_a_text_of_slashes_takes_no_time() -> None:
    began = time.thread_time()
    assert hide_paths("/" * 30_000)
    assert time.thread_time() - began < 1


def test_two_objects_of_a_kind_are_told_alike() -> None:
    told = {
        raised(wire.Raised(1, "ValueError", f"No: <Adam object at 0x7fb9ec{n}>")).message for n in ("652f90", "4bec")
    }
    assert told == {"Your code raised ValueError: No: <Adam object>"}

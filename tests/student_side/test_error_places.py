"""What the grader is told of an exception."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autograder.student_side.error_places import LONGEST_MESSAGE, describe_error

SUBMISSION = "/submission"


def raised_by(source: str, file: str = f"{SUBMISSION}/utilities.py") -> BaseException:
    """Return what this source raises when it is run as a file."""
    names: dict[str, Any] = {"hidden": compile("def hidden():\n    raise ValueError('wrong')\n", "reference", "exec")}
    try:
        exec(compile(source, file, "exec"), names)  # noqa: S102 - our own text
    except BaseException as error:
        return error
    raise AssertionError(source)


@pytest.mark.parametrize(
    ("source", "file", "place", "line"),
    [
        ("x = 1\n\ndef f():\n    return 1 / 0\n\nf()\n", f"{SUBMISSION}/utilities.py", "utilities.py, in f", 4),
        ("x = 1\nraise KeyError(x)\n", "cell total_answer", "cell total_answer, in <module>", 2),
        ("exec(hidden)\n\nhidden()\n", f"{SUBMISSION}/utilities.py", "utilities.py, in <module>", 3),
        ("def f(:\n", f"{SUBMISSION}/utilities.py", "utilities.py", 1),
        ("raise KeyError\n", "/elsewhere/library.py", "", 0),
    ],
)
def test_the_innermost_line_of_the_students_own_text_is_named(source: str, file: str, place: str, line: int) -> None:
    told = describe_error(7, raised_by(source, file), SUBMISSION)
    assert (told.id, told.place, told.line) == (7, place, line)


def test_a_name_error_says_which_name_is_missing() -> None:
    told = describe_error(1, raised_by("total\n"), SUBMISSION)
    assert (told.exception, told.missing) == ("NameError", "total")
    assert describe_error(1, raised_by("1 / 0\n"), SUBMISSION).missing == ""


@pytest.mark.parametrize("name", ["None", "3", "['a']", f"'x' * {2 * LONGEST_MESSAGE}"])
def test_a_forged_name_is_bounded_text(name: str) -> None:
    told = describe_error(1, raised_by(f"raise NameError('no', name={name})\n"), SUBMISSION)
    assert isinstance(told.missing, str)
    assert len(told.missing) <= LONGEST_MESSAGE


def test_a_name_that_cannot_be_read_is_none() -> None:
    class Forged(NameError):
        name = property(lambda self: 1 / 0)

    assert describe_error(1, Forged("no"), SUBMISSION).missing == ""


def test_an_exception_without_text_and_one_with_too_much() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise OSError

    assert describe_error(1, Mute(), SUBMISSION).message == ""
    assert len(describe_error(1, ValueError("x" * 5000), SUBMISSION).message) == LONGEST_MESSAGE


IN_USER_CODE = """in user code:

    File "/submission/utilities.py", line 30, in call  *
        joined = tf.reshape(pooled, [Q.shape[0]])
    File "/library/ops.py", line 7, in reshape  **

    TypeError: Failed to convert elements of [None, 6] to Tensor.
"""


def test_what_libraries_put_around_a_message_goes_and_its_place_stays() -> None:
    layer = "layer 'heads' (type Heads)"
    around = f"Exception encountered when calling {layer}.\n\n{{}}\n\nCall arguments received by {layer}:\n  • x=1"
    told = describe_error(1, TypeError(around.format(IN_USER_CODE)), SUBMISSION)
    assert told.message == "Failed to convert elements of [None, 6] to Tensor."
    assert (told.place, told.line) == ("utilities.py, in call", 30)
    assert (
        describe_error(1, AttributeError(around.format("no attribute 'to_Q'")), SUBMISSION).message
        == "no attribute 'to_Q'"
    )
    assert describe_error(1, NameError(around.format("name 'os' is not defined")), SUBMISSION).missing == "os"


IN_A_LAYER_IN_A_LAYER = """in user code:

    File "/library/training.py", line 1398, in train_function  *
        return step_function(self, iterator)

    ValueError: Exception encountered when calling layer 'outer' (type Outer).
    
    in user code:
    
        File "/submission/utilities.py", line 20, in call  *
            return self.inner(x)
    
        ValueError: Exception encountered when calling layer 'inner' (type Inner).
        
        in user code:
        
            File "/submission/utilities.py", line 12, in call  *
                return tf.transpose(x, 5)
        
            ValueError: Shape must be rank 1 but is rank 0 for '{{node o/i/t}} = Transpose[T=DT_INT32](x, y)' with 1.
        
        
        Call arguments received by layer 'inner' (type Inner):
          • x=1
    
    
    Call arguments received by layer 'outer' (type Outer):
      • x=1
"""


def test_the_innermost_of_several_layers_tells_the_reason() -> None:
    told = describe_error(1, ValueError(IN_A_LAYER_IN_A_LAYER), SUBMISSION)
    assert told.message == "Shape must be rank 1 but is rank 0 for Transpose with 1."
    assert (told.place, told.line) == ("utilities.py, in call", 12)


@pytest.mark.parametrize(
    ("source", "since"),
    [
        ("type Pair = tuple[int, int]\n", "3.12"),
        ("def first[T](items: list[T]) -> T: ...\n", "3.12"),
        ('name = f"{names["first"]}"\n', "3.12"),
        ("try:\n    pass\nexcept ValueError, TypeError:\n    pass\n", "3.14"),
        ("def f(:\n", ""),
        ("x = = 1\n", ""),
    ],
)
def test_syntax_of_a_newer_python_is_named_as_that(source: str, since: str) -> None:
    try:
        compile(source, f"{SUBMISSION}/utilities.py", "exec")
    except SyntaxError as error:
        told = describe_error(1, error, SUBMISSION)
        assert (f"syntax of Python {since}; work is graded with" in told.message) == bool(since)
    else:
        pytest.skip("this Python reads it")


def test_an_exception_that_autograph_cannot_make_again_keeps_its_kind() -> None:
    class StagingError(Exception):
        pass

    told = describe_error(1, StagingError(IN_USER_CODE.replace("TypeError", "ModuleNotFoundError")), SUBMISSION)
    assert told.exception == "ModuleNotFoundError"


def test_marks_that_a_merge_left_are_named() -> None:
    with pytest.raises(SyntaxError) as raised:
        compile("x = 1\n<<<<<<< HEAD\ny = 2\n=======\n", f"{SUBMISSION}/utilities.py", "exec")
    assert (
        "A merge left its marks in the text: take out `<<<<<<<`" in describe_error(1, raised.value, SUBMISSION).message
    )


def told_of_part(folder: Path, module: str, *exceptions: type[Exception]) -> str:
    """What is told of the exception that `part` of a student's module raises."""
    file = folder / "utilities.py"
    file.write_text(module)
    names: dict[str, Any] = {}
    exec(compile(module, str(file), "exec"), names)  # noqa: S102 - our own text
    with pytest.raises(exceptions) as raised:
        names["part"]()
    return describe_error(1, raised.value, str(folder)).message


@pytest.mark.parametrize(
    ("body", "is_left"),
    [
        ("    raise NotImplementedError('not written.')\n    return x", True),
        ("    if x:\n        raise NotImplementedError('not written.')\n        x = 2", True),
        ("    x = 2\n    raise NotImplementedError('not written.')", False),
        ("    if x:\n        raise NotImplementedError('not written.')\n    return x", False),
        ("    raise ValueError('not written.')\n    return x", False),
    ],
)
def test_a_line_of_the_template_above_what_was_written_is_named(tmp_path: Path, body: str, is_left: bool) -> None:
    told = told_of_part(tmp_path, f"def part(x=1):\n{body}\n", NotImplementedError, ValueError)
    assert told == "not written." + (" What stands below this line never runs: take the line out" if is_left else "")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("assert x % 2 == 0", "`assert x % 2 == 0` does not hold"),
        ("assert (x ==\n        2)", "`assert x == 2` does not hold"),
        ("assert x == 2, 'x must be 2'", "x must be 2"),
        ("raise AssertionError", ""),
        ("int('')", "invalid literal for int() with base 10: ''"),
    ],
)
def test_an_assertion_without_a_text_says_what_it_asks_for(tmp_path: Path, line: str, told: str) -> None:
    assert told_of_part(tmp_path, f"def part(x=1):\n    {line}\n", AssertionError, ValueError) == told


def test_a_stub_of_the_template_below_what_was_written_is_named(tmp_path: Path) -> None:
    text = "def part(): return 1\n\ndef part():\n    raise NotImplementedError('not written.')\n"
    told = told_of_part(tmp_path, text, NotImplementedError)
    assert told == "not written. You define `part` above, and this one, which comes later, takes its place: take it out"

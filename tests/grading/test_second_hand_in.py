"""A second hand-in, written from all that the first one got back, gains nothing.

The first breaks every part, finds the stand-ins' source in the process that holds them, and sends it out by every way
that it knows. Time is not among them.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from autograder.course.assignment import load_assignment
from autograder.course.course import Course
from autograder.course.submission import Snapshot
from autograder.feedback.page import render_page, result_page
from autograder.grading import carried_forward
from autograder.grading.check_runner import CheckEnding
from autograder.grading.grader import Grader
from autograder.rendering.result_text import render_text
from autograder.results import CheckResult, SubmissionResult, to_json

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ASSIGNMENT = load_assignment(ROOT, "vit")
LENGTH = 12
"""Characters in a row that count as a fragment."""

THIEF = '''
import base64, builtins, fcntl, gc, glob, inspect, os, sys, types, warnings
import tensorflow as tf
import tf_keras as keras

TEXTS = []
_compile, FILES = builtins.compile, sorted(glob.glob(os.path.dirname(os.__file__) + "/*.py"))


def listening_compile(source, filename, *more, **named):
    if filename == "reference":
        TEXTS.append(source if isinstance(source, str) else source.decode())
    return _compile(source, filename, *more, **named)


builtins.compile = listening_compile


def loot():
    """Return what the process holds of the stand-ins: text as it was compiled, code that is there now."""
    for thing in gc.get_objects():
        if isinstance(thing, types.FunctionType) and thing.__code__.co_filename == "reference":
            TEXTS.append(" ".join(map(str, (*thing.__code__.co_names, *thing.__code__.co_consts))))
    for name, module in list(sys.modules.items()):
        if "reference" in name:
            TEXTS.append(str(vars(module).keys()))
    text = "\\n".join(TEXTS)
    start = max(text.find("def call"), text.find("scores ="), 0)
    return text[start : start + 400]


def listen():
    """Return the bits that another process holds as locks on files of the system."""
    bits = []
    for path in FILES[:160]:
        with open(path) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                bits.append("0")
            except OSError:
                bits.append("1")
    return int("".join(bits) or "0", 2).to_bytes(20, "big").hex()


HELD = []


def send():
    """Say it in every way that needs no answer, and return it."""
    text = loot()
    print(text), print(text.encode().hex(), file=sys.stderr), warnings.warn(text)
    for place in (".", "/tmp", os.path.dirname(__file__), os.environ.get("HOME", ".")):
        try:
            with open(os.path.join(place, "loot.txt"), "a") as file:
                file.write(text)
        except OSError:
            pass
    if text and not HELD:
        bits = "".join(f"{byte:08b}" for byte in text.encode()[:20])
        for path, bit in zip(FILES, bits):
            if bit == "1":
                file = open(path)
                try:
                    fcntl.flock(file, fcntl.LOCK_SH)
                    HELD.append(file)
                except OSError:
                    pass
    return f"{listen()} {text}"


print("heard:", listen(), os.path.exists("loot.txt"))


def scaled_dot_product_attention(q, k, v):
    raise ValueError(send())


class MultiHeadAttention(keras.layers.Layer):
    def __init__(self, *args, **kwargs):
        text = send()
        raise type(text[:60].encode().hex() or "Empty", (Exception,), {})(text)


def mlp(x, hidden_units, dropout_rate):
    return keras.layers.Dense(1 + len(send()), name="n" + loot()[:40].encode().hex())(x)


def transformerBlock(x, *args, **kwargs):
    raise NameError(send(), name=loot())


class PatchExtractor(keras.layers.Layer):
    def __init__(self, *args, **kwargs):
        super().__init__()

    def call(self, images):
        return tf.zeros([1, *loot().encode()[:14]][:3])


class PatchEncoder(keras.layers.Layer):
    def __init__(self, *args, **kwargs):
        super().__init__(name="n" + send()[:40].encode().hex())

    def build(self, shape):
        for byte in loot().encode()[:40]:
            self.add_weight(name=chr(97 + byte % 26), shape=(1 + byte,))

    def call(self, patches):
        return patches


def create_vit_classifier(*args, **kwargs):
    raise KeyError(base64.b64encode(send().encode()).decode())
'''
CELL = "import utilities\nmodel_params = {'num_heads': utilities.send()}\nraise ValueError(utilities.send())\n"


@pytest.fixture(scope="module")
def grader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grader]:
    with Grader(Course(tmp_path_factory.mktemp("course")), ASSIGNMENT, threads=1) as grader:
        yield grader


def notebook() -> bytes:
    """Return a notebook whose answers send, too."""
    answers = {name for task in ASSIGNMENT.tasks for name in task.answers}
    content = json.loads(ASSIGNMENT.notebook_path.read_bytes())
    for cell in content["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") in answers:
            cell["source"] = CELL
    return json.dumps(content).encode()


def hand_in(module: str) -> Snapshot:
    return Snapshot({"utilities.py": module.encode(), "vit.ipynb": notebook()}, "vit.ipynb")


def shown(result: SubmissionResult) -> str:
    """Return all that a student gets back: JSON, text and page."""
    text = render_text(result, ASSIGNMENT.titles)
    return "\n".join([to_json(result).decode(), text, render_page(result_page("vit", result, ASSIGNMENT.titles))])


def fragments(text: str) -> set[str]:
    """Return all pieces of LENGTH characters of a text's lines, without their indentation."""
    lines = [line.strip() for line in text.splitlines()]
    return {line[start : start + LENGTH] for line in lines for start in range(len(line) - LENGTH + 1)}


def secret() -> set[str]:
    """Return the fragments of the solution that neither the release nor the sentences of checks hold."""
    solved = (ASSIGNMENT.solution_dir / "utilities.py").read_text()
    public = [path.read_text() for path in (ROOT / "release" / "vit").glob("*.py")]
    public += [THIEF, CELL, *(f'"{text}",' for text in carried_forward.sentences_of(ASSIGNMENT.checks_dir))]
    return fragments(solved) - set().union(*map(fragments, public))


def decoded(text: str) -> Iterator[str]:
    """Yield a text and all that it may be in disguise: hexadecimal, base64, numbers of characters."""
    yield text
    yield text.replace("\\n", "\n").replace('\\"', '"')
    for run in re.findall(r"[0-9a-fA-F]{16,}", text):
        for start in (0, 1):
            yield bytes.fromhex(run[start : start + (len(run) - start) // 2 * 2]).decode("latin-1")
    for run in re.findall(r"[A-Za-z0-9+/]{16,}", text):
        for start in range(4):
            piece = run[start:]
            try:
                yield base64.b64decode(piece[: len(piece) // 4 * 4]).decode("latin-1")
            except binascii.Error:
                continue
    numbers = [int(number) for number in re.findall(r"\d{1,4}", text)]
    for shift in (0, 1):
        yield "".join(chr(number - shift) for number in numbers if number >= shift)


def stolen(text: str, secrets: set[str]) -> set[str]:
    """Return the fragments of the solution in a text, in whatever disguise."""
    return {fragment for form in decoded(text) for fragment in fragments(form) & secrets}


@pytest.mark.parametrize(
    "disguise",
    [
        str,
        lambda text: text.encode().hex(),
        lambda text: base64.b64encode(b"x" + text.encode()).decode(),
        lambda text: str(tuple(text.encode())),
        lambda text: json.dumps(text),
    ],
)
def test_a_stolen_fragment_would_be_seen(disguise: object) -> None:
    assert callable(disguise)
    line = 'scores = tf.matmul(q, k, transpose_b=True)\n    return "scores"'
    assert stolen(f"Your code raised {disguise(line)}.", fragments(line))


def test_a_second_hand_in_gains_nothing(grader: Grader, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = secret()
    beside: list[str] = []
    withheld = carried_forward.withheld

    def noted(ending: CheckEnding, own: CheckEnding | None, closed_list: frozenset[str], part: str) -> CheckResult:
        beside.append(ending.result.message)
        return withheld(ending, own, closed_list, part)

    monkeypatch.setattr(carried_forward, "withheld", noted)
    first = grader.grade(hand_in(THIEF))
    assert stolen("\n".join(beside), secrets), "the thief found nothing, so this test shows nothing"
    got_back = shown(first)
    assert not stolen(got_back, secrets)
    assert not any(check.pictures for task in first.tasks if task.carried_forward for check in task.checks)
    assert {check.outcome for task in first.tasks for check in task.checks} <= {"passed", "failed"}
    second = grader.grade(hand_in(f"GOT_BACK = {got_back!r}\n{THIEF}"))
    assert not stolen(shown(second), secrets)
    assert second.score <= first.score

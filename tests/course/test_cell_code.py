"""What cells read and make, read off their texts."""

from __future__ import annotations

import ast
import time
from pathlib import Path

import pytest

from autograder.course.cell_code.names import (
    CellNames,
    end_of_definitions,
    names_changed_by,
    names_of,
    statements_beyond,
)
from autograder.course.cell_code.statements import plain_code
from autograder.course.cell_code.traces import leaves_traces

TRAINING = """import os
%time print("ready")

def run_experiment(model, data=(Xtrain, Ytrain)):
    path = os.path.join(folder, "best")
    return fitted(model, settings["epochs"])

settings = {}
settings["epochs"] = 3
settings.update(rate=1)
history = run_experiment(vit, Xtrain)
print(undefined)
"""


@pytest.mark.parametrize(
    ("source", "reads", "makes"),
    [
        ("x = y", {"y"}, {"x"}),
        ("x = x + 1", {"x"}, {"x"}),
        ("x += 1", {"x"}, {"x"}),
        ("x = 1\ny = x", set(), {"x", "y"}),
        ("def f(a):\n    return a + b\nb = 1", set(), {"f", "b"}),
        ("def f(a, c=d):\n    return later(a)", {"d", "later"}, {"f"}),
        ("x, y = (part / 2 for part in (a, b))", {"a", "b"}, {"x", "y"}),
        ("import os.path as p\nfrom a import b as c", set(), {"p", "c"}),
        ("%%time\nx = y", {"y"}, {"x"}),
        ("%time x = y\n!pip install z\n%matplotlib inline", {"y"}, {"x"}),
        ("x = (1\n    % 2)\ny = x", set(), {"x", "y"}),
        ("x = (y\n    != 3)\n!ls", {"y"}, {"x"}),
        ("x = !nvidia-smi\nf?\ny = %pwd\n?z\nfor a in x:\n    !ls {a}", {"f"}, {"x", "y", "a"}),
        ("  x = 1\n  y = x", set(), {"x", "y"}),
        ("x = await f(y)\nasync def g():\n    return await h()", {"f", "y", "h"}, {"x", "g"}),
        ("class A(B):\n    size = C\n    def f(self):\n        return D", {"B", "C", "D"}, {"A"}),
        ("x = (", set(), set()),
        ("x = " + "-" * 100_000 + "1", set(), set()),
        ("x" + ".y" * 40_000, set(), set()),
        ("\0", set(), set()),
        ("!pip install -q \\\n  einops\n%timeit f(x) \\\n  + 1\ny = !ls | \\\n  head\nx = z", {"z"}, {"x", "y"}),
        ("np.*load*?\nx = y", {"y"}, {"x"}),
        ("del x\ny = 1", set(), {"y"}),
        ("%%writefile training.py\nx = y", set(), set()),
        (f'picture = "{"iVBORw0K" * 10_000}"\nx = y', {"y"}, {"picture", "x"}),
    ],
)
def test_names_of_a_cell(source: str, reads: set[str], makes: set[str]) -> None:
    assert names_of(source) == CellNames(frozenset(reads), frozenset(makes))


def test_what_a_function_needs_may_stand_below_it() -> None:
    reads = names_of(TRAINING).reads
    assert {"Xtrain", "folder", "fitted", "vit", "undefined"} <= reads
    assert end_of_definitions(TRAINING, frozenset({"run_experiment"}), functions=True) == 10


@pytest.mark.parametrize(
    ("source", "wanted", "end"),
    [
        ("a = 1\nb = 2\nprint(a)", {"a", "b"}, 2),
        ("a = 1\nb = 2\na.sort()", {"a"}, 1),
        ("a = [1]\na[0] = 2\nprint(c)", {"a"}, 2),
        ("a = 1", {"a", "b"}, 0),
        ("\n\na = (1\n  % 2)\n!ls\nprint(c)", {"a"}, 4),
        ("a = (", {"a"}, 0),
    ],
)
def test_where_the_last_of_some_variables_is_made(source: str, wanted: set[str], end: int) -> None:
    assert end_of_definitions(source, frozenset(wanted), functions=False) == end


@pytest.mark.parametrize(
    ("source", "plain"),
    [
        ("%%time\nx = 1", "#\nx = 1"),
        ("%%capture cell\n%time x = f(1)", "#\nx = f(1)"),
        ("if y:\n    %time x = 1", "if y:\n    x = 1"),
        ("%%bash\nls", "%%bash\nls"),
        ("%timeit f(x)\n%time", "%timeit f(x)\n%time"),
        ("a = 7 %time", "a = 7 %time"),
    ],
)
def test_magics_that_run_their_code_are_taken_off_it(source: str, plain: str) -> None:
    assert plain_code(source) == plain


def test_our_own_modules_read_what_they_make_or_python_has() -> None:
    """Precision: in whole modules, nothing is said to be read that is defined in them."""
    for path in sorted((Path(__file__).parents[2] / "autograder" / "course").rglob("*.py")):
        names = names_of(path.read_text("utf-8"))
        assert names.reads <= set(dir(__builtins__)) | set(vars(__import__("builtins"))) | {"__file__"}
        assert names.makes >= {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)}


def test_a_chain_of_functions_is_followed_in_no_time() -> None:
    chain = "def a0(): 0\n" + "".join(f"def a{n}(): a{n - 1}\n" for n in range(1, 1_500)) + "print(a9)\n"
    began = time.thread_time()
    assert end_of_definitions(chain, frozenset({"a1499"}), functions=True) == 1_500
    assert time.thread_time() - began < 0.8


@pytest.mark.parametrize("text", ["x = !a\n(", "a?\n(", " ", "a, ", "!\n", " \n", "\t%"])
def test_ipythons_own_syntax_takes_no_time(text: str) -> None:
    began = time.thread_time()
    names_of((text * 40_000)[:40_000])
    assert time.thread_time() - began < 0.5


def test_a_cell_without_end_is_not_looked_at() -> None:
    began = time.thread_time()
    assert names_of("a = 1\n" * 30_000).makes == frozenset()
    assert time.thread_time() - began < 0.2


def test_what_a_student_added_to_a_cell_is_what_makes_new_names() -> None:
    original = "import a\nfrom b import c, d\nsize = 1\nrun(size)"
    changed = "import a, e\nfrom b import c, f\n%time\nsize = 2\nrun(size)\nsize, share = 1, 2\nhalf = 1 / 2"
    assert statements_beyond(changed, original) == "import e\nfrom b import f\nhalf = 1 / 2"
    original, changed = "import sys\nsys.path.append('a')\nx = {}", "own = {}\nown['share'] = 1\nx['share'] = 2\n"
    added = "own = {}\nown['share'] = 1\nsys.path.append('b')"
    assert statements_beyond(f"{original}\n{changed}sys.path.append('b')", original) == added


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        ("x = 1\ny[0] = 2\nz.append(3)", {"x", "y", "z"}),
        ("scaler.fit(images)", {"scaler"}),
        ("rng.shuffle(order)", {"rng", "order"}),
        ("np.random.shuffle(order)\nfrom random import shuffle\nshuffle(pool[0])", {"order", "pool", "shuffle"}),
        ("if True:\n    limit.assign(2.0)", {"limit"}),
        ("names.reverse()", {"names"}),
        ("vit.summary()\nplt.imshow(image)\nimage.show()\nnp.save('a', x)\nprint(y)", set()),
        ("f = scaler.transform(images)", {"f"}),
    ],
)
def test_names_that_a_cell_changes_or_may_change(source: str, changes: set[str]) -> None:
    assert names_changed_by(source) == changes


def test_what_a_method_may_change_does_not_belong_to_the_definitions() -> None:
    """An answer that trains what it has made is graded for what it has made."""
    assert end_of_definitions("vit = make()\nvit.fit(images)", frozenset({"vit"}), functions=False) == 1


@pytest.mark.parametrize(
    ("source", "reader", "leaves"),
    [
        ("tf.config.run_functions_eagerly(True)", "", True),
        ("import sys; sys.path.append('src')", "", True),
        ("sys.path += ['src']", "", True),
        ("np_config.enable_numpy_behavior()", "", True),
        ("keras.utils.get_custom_objects()['own'] = own", "", True),
        ("plt.rcParams['figure.dpi'] = 100", "", True),
        ("os.environ['A'] = '1'", "os.environ['A']", True),
        ("os.environ['A'] = '1'", "x = 1", False),
        ("open('a.json', 'w').write(text)", "json.load(open('a.json'))", True),
        ("open('a.json', 'w').write(text)", "x = 1", False),
        ("os.makedirs('tables')", "np.save('tables/a.npy', a)", True),
        ("!mkdir -p tables", "table.to_csv('tables/a.csv')", True),
        ("!mkdir -p tables", "x = 1", False),
        ("open('a.json').read()", "open('b')", False),
        ("plt.imshow(image)\nmodel.fit(x)", "open('a')", False),
    ],
)
def test_what_cells_leave_beside_names(source: str, reader: str, leaves: bool) -> None:
    assert leaves_traces(source, reader) == leaves

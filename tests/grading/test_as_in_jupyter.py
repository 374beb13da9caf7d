"""What runs in Jupyter runs in grading: names, files, missing packages, modules that stop before their end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import numpy as np
import pytest

from autograder import wire
from autograder.config import Settings
from autograder.course.submission import Snapshot
from autograder.errors import StudentRaised
from autograder.grading.student_process import StudentProcess
from autograder.grading.zygote_client import Zygote
from tests.collecting.students import zipped

pytestmark = pytest.mark.slow

MODULE = b'''
"""A module as students write it."""
import json, nothing_of_the_kind as nothing
from another_package import Layer, other as renamed
import tensorflow as tf
import tf_keras as keras
import getpass, logging, os
HOME = os.path.dirname(os.path.abspath(__file__))
logging.basicConfig(filename=os.path.join(HOME, "module.log"))
os.chdir(HOME)
try:
    import guarded_package
except ImportError:
    guarded_package = None
display("loaded")
get_ipython().run_line_magic("matplotlib", "inline")
SIZES = json.load(open("sizes.json"))

def annotated(x: tf.Tensor = None): return annotated.__annotations__["x"] is tf.Tensor
def guarded(): return guarded_package is None
def uses_placeholder(): return nothing.layers.Special(3)
def derives():
    class Own(Layer): pass
def calls(): return renamed()
def asks(): return input("How many? ")
def saves():
    with open("sizes.json", "a") as file: file.write("\\n")
    with open("own.txt", "w") as file: file.write("own")
    return open("own.txt").read()
def saves_in_tmp():
    tf.train.Checkpoint(x=tf.Variable(3.0)).write("/tmp/checkpoint")
    restored = tf.Variable(0.0)
    tf.train.Checkpoint(x=restored).read("/tmp/checkpoint")
    return bool(restored == 3.0)
def knows_where_and_who():
    with open("module.log"):
        return HOME == os.getcwd() and os.environ["USER"] == getpass.getuser()
def precise(): return keras.layers.Dense(2, dtype="float64")
def starts_processes():
    import multiprocessing
    with multiprocessing.Pool(2): pass
def fails_beside():
    import beside
    beside.fail()
def draws():
    import matplotlib
    matplotlib.use("TkAgg")
    import matplotlib.pyplot as plt
    plt.plot([1, 2])
    return True
def makes_folders():
    folder = "made/by/system"
    os.system(f"mkdir -p {folder}")
    get_ipython().system("mkdir -p {folder}/{nothing_of_it}")
    return os.path.isdir(folder) and os.path.isdir("made/by/system/{nothing_of_it}")
def looks_for_a_program():
    import subprocess
    try:
        subprocess.run(["nvidia-smi"], capture_output=True)
    except FileNotFoundError:
        return True
def starts_a_program():
    import subprocess
    subprocess.check_output(["date"])
def sets_the_machine():
    tf.config.threading.set_intra_op_parallelism_threads(2)
    tf.config.set_visible_devices([], "GPU")
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    keras.mixed_precision.set_global_policy("mixed_float16")
    keras.backend.set_floatx("float16")
    return keras.layers.Dense(1).compute_dtype == keras.backend.floatx() == "float32"
def reads_the_command_line():
    import argparse
    argparse.ArgumentParser().parse_args()

undefined_name
def below(): return True
'''
BESIDE = b"""
def fail():
    raise ValueError("no")
"""
SLOW = b"""
import time
def size(): return 3
def demo():
    time.sleep(60)
demo()
"""
CELLS = {
    "translated": """import inspect, tensorflow as tf
@tf.function
def turned(x):
    if tf.reduce_any(x > 0):
        x = -x
    return x
fine = float(turned(tf.ones(2))[0]) == -1 and "reduce_any" in inspect.getsource(turned.python_function)""",
    "pickled": "import pickle\nclass Own: pass\nfine = type(pickle.loads(pickle.dumps(Own()))) is Own",
    "updated": "shown = display(1, display_id=True)\nshown.update(2)\nfine = True",
    "shell": "from IPython import get_ipython\nfine = 'IPKernelApp' not in get_ipython().config",
    "window": "import matplotlib.pyplot as plt\nplt.switch_backend('TkAgg')\nfine = True",
    "drawn": """import tf_keras as keras
keras.utils.plot_model(keras.Sequential([keras.layers.Dense(1, input_shape=(2,))]))
fine = True""",
    "environment": "%env WHERE=here\nimport os\nfine = os.environ['WHERE'] == 'here'",
    "folder": "%cd photos\nfine = open('own.txt').read() == 'a photo'\n%cd ..",
    "folder, quietly": "%cd -q photos\nfine = open('own.txt').read() == 'a photo'\n%cd ..",
    "commands": """!mkdir -p made/here
import os
files = !ls
where = %pwd
fine = os.path.isdir('made/here') and len(files) == 0 and where == os.getcwd()""",
    "more commands": """%mkdir -p magic
!unzip -q -o packed.zip -d unpacked
import os, sys
fine = os.path.isdir('magic') and open('unpacked/x.txt').read() == 'x' and 'zygote' not in ' '.join(sys.argv)""",
    "awaited": """import asyncio
async def two(): return 2
async def begun(): return asyncio.get_running_loop().create_task(two())
task = await begun()
fine = await task == 2""",
    "missing": "import nothing_at_all as nothing\nfine = 'nothing_at_all' in repr(nothing)",
}
"""Cells that run in Jupyter, and set `fine`."""


OTHER_NOTEBOOK = json.dumps(
    {
        "cells": [
            {"cell_type": "markdown", "source": ["#"]},
            {"cell_type": "code", "source": ["%pwd\n", "of_notebook = 4"]},
        ]
    }
).encode()


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    with Zygote(threads=1) as zygote:
        yield zygote


@pytest.fixture(scope="module")
def process(zygote: Zygote) -> Iterator[StudentProcess]:
    files = {"utilities.py": MODULE, "sizes.json": b"[3, 4]", "photos/own.txt": b"a photo", "beside.py": BESIDE}
    files |= {"packed.zip": zipped({"x.txt": b"x"}), "other.ipynb": OTHER_NOTEBOOK}
    process = StudentProcess(zygote, Snapshot(files, "vit.ipynb"), Settings())
    line = MODULE.split(b"\n").index(b"undefined_name") + 1
    with pytest.raises(StudentRaised, match=rf"NameError: name 'undefined_name' .* line {line}"):
        process.ask(wire.Load("utilities", "def below(): raise NotImplementedError\n"))
    yield process
    process.stop()


def call(process: StudentProcess, name: str) -> object:
    return process.ask(wire.Call("module", name, [], {}))


def run(process: StudentProcess, source: str, seconds: float = 0.0) -> object:
    process.ask(wire.Restart())
    return process.ask(wire.RunCell("answer", source, seconds=seconds))


@pytest.mark.parametrize(
    "name",
    ["annotated", "guarded", "draws", "saves_in_tmp", "knows_where_and_who", "makes_folders", "looks_for_a_program",
     "sets_the_machine", "below"],
)  # fmt: skip
def test_what_works_in_jupyter_works(process: StudentProcess, name: str) -> None:
    assert call(process, name) is True


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_that_runs_in_jupyter_runs(process: StudentProcess, cell: str) -> None:
    run(process, CELLS[cell])
    assert process.ask(wire.Read("fine")) is True


def test_a_file_that_a_cell_writes_can_be_run(process: StudentProcess) -> None:
    run(process, "%%writefile made.py\nmade = 3")
    run(process, "%run made.py")
    assert process.ask(wire.Read("made")) == 3
    run(process, "%%file made.py\nmade = 3")
    run(process, "%run -i made")
    assert process.ask(wire.Read("made")) == 3
    run(process, "%%bash\nmkdir -p by_bash\necho nothing")
    run(process, "import os\nmade = os.path.isdir('by_bash')")
    assert process.ask(wire.Read("made")) is True
    run(process, "%run other.ipynb")
    assert process.ask(wire.Read("of_notebook")) == 4
    run(process, "from made import made as imported")
    assert process.ask(wire.Read("imported")) == 3


def test_a_missing_package_does_not_stop_a_cell_that_only_builds_models(process: StudentProcess) -> None:
    process.ask(wire.Restart())
    missing = process.ask(wire.RunCell("answer", "import nothing_at_all\nfine = True", weightless=True))
    assert missing == ("nothing_at_all",)
    assert process.ask(wire.Read("fine")) is True


def test_gradients_of_a_layer_that_computes_in_another_precision(process: StudentProcess) -> None:
    layer = call(process, "precise")
    assert isinstance(layer, wire.Ref)
    samples = wire.pack_array(np.ones((4, 3), np.float32))
    gradients = process.ask(wire.Gradients(layer, [samples], wire.pack_array(np.ones((4, 2), np.float32))))
    assert np.array_equal(gradients["weights"][1], [4.0, 4.0])


def test_a_slow_module_is_interrupted_and_keeps_what_it_defined(zygote: Zygote) -> None:
    process = StudentProcess(zygote, Snapshot({"utilities.py": SLOW}, "vit.ipynb"), Settings())
    with pytest.raises(StudentRaised, match=r"Interrupted.*utilities.py, in demo, line 5") as told:
        process.ask(wire.Load("utilities", "", seconds=0.5))
    assert told.value.interrupted
    assert call(process, "size") == 3
    process.stop()


@pytest.mark.parametrize(
    "use",
    [
        "1.0 - nothing",
        "len(nothing)",
        "nothing < 2",
        "float(nothing)",
        "[1][nothing]",
        "isinstance(1, nothing.Tensor)",
        "nothing.init(project='lab')",
        "nothing",
    ],
)
def test_whatever_is_done_with_a_missing_package_names_it(process: StudentProcess, use: str) -> None:
    """A line at the top of a cell is left out, and what it would have made fails where it is used."""
    run(process, f"import nothing_at_all as nothing\nmade = {use}\n{use}\nfine = True")
    assert process.ask(wire.Read("fine")) is True
    process.ask(wire.RunCell("answer", "def used():\n    return made + 1\nother = {used()}"))
    for name in ("made", "other"):
        with pytest.raises(StudentRaised, match="ModuleNotFoundError: No module named 'nothing_at_all'"):
            process.ask(wire.Read(name))


def test_a_missing_package_in_type_hints_and_decorators_costs_what_it_decorates(zygote: Zygote) -> None:
    text = b"""
import another_package as other
from nothing_at_all import Float, checked, Base
def hinted(x: Float[other.Tensor, "b n"] | None = None) -> Float[other.Tensor, "b n"]: return 1
@checked
def decorated(): return 2
class Derived(Base): pass
settings = other.defaults(depth=2)
def below(): return 3
"""
    process = StudentProcess(zygote, Snapshot({"utilities.py": text}, "vit.ipynb"), Settings())
    found = process.ask(wire.Load("utilities", ""))
    assert set(found) == {"another_package", "nothing_at_all"}
    assert (call(process, "hinted"), call(process, "below")) == (1, 3)
    for name in ("decorated", "Derived"):
        with pytest.raises(StudentRaised, match="No module named 'nothing_at_all', but your code uses it"):
            call(process, name)
    process.stop()


def test_files_that_were_handed_in_lie_in_a_working_folder_that_can_be_written(process: StudentProcess) -> None:
    run(process, 'sizes = open("sizes.json").read()\nphoto = open("photos/own.txt").read()')
    assert process.ask(wire.Read("photo")) == "a photo"
    assert call(process, "saves") == "own"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("uses_placeholder", "ModuleNotFoundError: No module named 'nothing_of_the_kind', but your code uses it"),
        ("derives", "ModuleNotFoundError: No module named 'another_package', but your code uses it"),
        ("calls", "ModuleNotFoundError: No module named 'another_package', but your code uses it"),
        ("starts_processes", "Your work is graded in one process"),
        ("starts_a_program", "FileNotFoundError: .* No other program can be started where work is graded: 'date'"),
        ("reads_the_command_line", r"SystemExit: 2 .*write `parse_args\(\[\]\)`"),
        ("fails_beside", r"ValueError: no \(beside.py, in fail, line 3\)"),
        ("asks", r"EOFError: input\(\) waits for somebody to type"),
    ],
)
def test_what_cannot_work_says_why(process: StudentProcess, name: str, reason: str) -> None:
    with pytest.raises(StudentRaised) as told:
        call(process, name)
    assert re.search(reason, told.value.message)


def test_cells_name_the_packages_that_are_missing(process: StudentProcess) -> None:
    assert run(process, "import json, google.colab\nfrom google.colab import drive\nx = 1") == (
        "google.colab",
        "google.colab",
    )
    with pytest.raises(StudentRaised, match="ModuleNotFoundError"):
        run(process, "if True:\n    import google.colab")


def test_a_cell_begins_with_no_names_and_says_which_it_lacks(process: StudentProcess) -> None:
    run(process, "x = 1")
    assert process.ask(wire.Lacking(["print", "x", "y", "display"])) == ("y",)
    process.ask(wire.Restart())
    assert process.ask(wire.Lacking(["x"])) == ("x",)


def test_a_cell_is_interrupted_when_its_time_is_up(process: StudentProcess) -> None:
    with pytest.raises(StudentRaised, match="Interrupted") as told:
        run(process, "import time\ntry:\n    time.sleep(60)\nexcept Exception:\n    pass", seconds=0.2)
    assert told.value.interrupted
    assert run(process, "x = 1", seconds=5.0) == ()

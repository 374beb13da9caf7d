"""The wall: what a student process can and cannot do, asked of a real one."""

from __future__ import annotations

import dataclasses
import os
import select
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from autograder import wire
from autograder.checking.remote import Student
from autograder.config import Settings
from autograder.course.submission import Snapshot
from autograder.errors import MalformedReply, StudentDied, StudentRaised, StudentTimeout
from autograder.grading.grader import Grader
from autograder.grading.student_process import StudentProcess, layers_to_put_up
from autograder.grading.zygote_client import Zygote
from autograder.sandbox.watchdog import LONGEST_OUTPUT
from tests.tiny import TinyCourse

pytestmark = pytest.mark.slow

MISSING = r"FileNotFoundError|PermissionError"

MODULE = b"""
import os, socket, subprocess, sys, time
import tensorflow as tf

def read(path): return open(path, "rb").read().decode(errors="replace")
def listing(path): return sorted(os.listdir(path))
def write(path): return open(path, "w").write("x")
def fill(path):
    with open(path, "wb") as file:
        for _ in range(4096): file.write(bytes(1 << 20))
def run(): return subprocess.run(["/bin/true"]).returncode
def connect(kind, address):
    return socket.socket(getattr(socket, kind)).connect(tuple(address) if isinstance(address, list) else address)
def exit(): os._exit(0)
def quit(): sys.exit("bye")
def loop():
    while True: pass
def memory(): return len(bytearray(64 << 30))
def hold(mib):
    kept = bytearray(b"x") * (mib << 20)
    time.sleep(60)
def chatter(size): return print("x" * size)
def environment(): return dict(os.environ)
def pids(): return [name for name in os.listdir("/proc") if name.isdigit()]
def mount():
    import ctypes
    return ctypes.CDLL(None, use_errno=True).mount(b"none", b"/scratch", b"tmpfs", 0, None)
def unshare():
    import ctypes
    return ctypes.CDLL(None, use_errno=True).unshare(0x10000000)
def forge():
    for descriptor in range(3, 1000):
        try: os.write(descriptor, b"\\x05\\x00\\x00\\x00forge")
        except OSError: pass
    return 1
def leave_a_child():
    if os.fork() == 0:
        time.sleep(600)
    return 1
def double(x): return 2 * x
class AlwaysEqual:
    def __eq__(self, other): return True
def always_equal(): return AlwaysEqual()
def many_kinds():
    import enum
    import numpy as np
    import pandas as pd
    Name = enum.Enum("Name", {"CAT": "cat"}, type=str)
    return [np.float64(0.5), np.str_("a"), {np.str_("b"): Name.CAT, "c": pd.Series([1, 2])}]
def too_large(): return 10 ** 30
def half_a_character(): raise ValueError("\\ud800")
def kinds(listed, paired): return type(listed).__name__, type(paired).__name__
def mismatch():
    import tensorflow as tf
    return tf.matmul(tf.zeros((2, 3)), tf.zeros((2, 3)))
def scale(value, by=1, mask=None): return 0
class Shift(object):
    def __init__(self, how_far=1): pass
def scaled(): return scale(value=2, by=3), scale(2, 3, None), scale(2, by=3, mask=1)
def shifted(): return Shift(how_far=4).amount
def build_large():
    import tf_keras
    layer = tf_keras.layers.Dense(1 << 20)
    layer.build((None, 1 << 20))
    return layer
def build_tokens(width):
    import tf_keras
    class Doubled(tf_keras.layers.Dense):
        def call(self, inputs): return 2 * super().call(inputs)
    inputs = tf_keras.Input((5, 8))
    hidden = tf_keras.layers.LayerNormalization()(Doubled(width, activation="gelu")(inputs))
    assert hidden.shape == (None, 5, width)
    if width == 1: raise ValueError("too narrow")
    return tf_keras.Model(inputs, tf_keras.layers.Dense(3)(hidden[:, 0]))
def make_layers():
    import tf_keras
    global layers
    dense = tf_keras.layers.Dense(2, kernel_initializer="ones", bias_initializer="ones")
    normal = tf_keras.layers.LayerNormalization(beta_initializer="ones")
    layers = tf_keras.Sequential([tf_keras.Input((1, 2)), dense, normal])
def outputs_of_layers():
    import tensorflow
    return tensorflow.function(layers)(tensorflow.constant([[[1.0, 2.0]]]))
"""
REFERENCE = """
def scale(x, factor=1): return x * factor
class Shift:
    def __init__(self, amount=1): self.amount = amount
    def call(self, x): return x + self.amount
"""


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    with Zygote(threads=1) as zygote:
        zygote.wait_until_ready()
        yield zygote


@pytest.fixture
def settings() -> Settings:
    return Settings(scratch_mib=32, request_seconds=20.0)


@pytest.fixture
def student(zygote: Zygote, settings: Settings) -> Iterator[StudentProcess]:
    process = StudentProcess(zygote, Snapshot({"utilities.py": MODULE}, "vit.ipynb"), settings)
    process.ask(wire.Load("utilities", ""))
    yield process
    process.stop()


def call(student: StudentProcess, name: str, *args: object, seconds: float | None = None) -> object:
    values = [wire.to_value(arg) for arg in args]
    return student.ask(wire.Call("module", name, values, {}), seconds)


def test_every_required_layer_is_reported(student: StudentProcess) -> None:
    assert student.environment.sandbox == layers_to_put_up(Settings())


def test_tensorflow_works_inside(student: StudentProcess) -> None:
    doubled = call(student, "double", np.ones((2, 3), np.float32))
    assert np.array_equal(doubled, np.full((2, 3), 2.0))  # type: ignore[arg-type]


def test_values_of_every_kind_cross_or_are_refused_by_name(student: StudentProcess) -> None:
    found: Any = call(student, "many_kinds")
    number, text, table = found
    assert (number, text, table["b"], table["c"].tolist()) == (0.5, "a", "cat", [1, 2])
    with pytest.raises(StudentRaised, match="OverflowError"):
        call(student, "too_large")
    with pytest.raises(StudentRaised, match="ValueError"):
        call(student, "half_a_character")
    assert call(student, "double", 2) == 4


def test_functions_get_lists_where_the_grader_writes_lists(student: StudentProcess) -> None:
    assert Student(student.ask, lambda variables: None, 9.0, lambda: student).call("kinds", [1], (1,)) == (
        "list",
        "tuple",
    )


def test_files_outside_cannot_be_read(student: StudentProcess, tmp_path: Path) -> None:
    secret = tmp_path / "gradebook.db"
    secret.write_text("secret")
    checks = Path(__file__).parents[2] / "autograder/checks/vit/oracles/vision_transformer.py"
    assert checks.is_file()
    for path in (secret, checks, "/etc/passwd", "/root/.bashrc", "/etc/shadow", f"/proc/{os.getpid()}/environ"):
        with pytest.raises(StudentRaised, match=MISSING):
            call(student, "read", str(path))


def test_folders_outside_cannot_be_listed(student: StudentProcess) -> None:
    for path in ("/", "/home", str(Path(__file__).parents[2])):
        with pytest.raises(StudentRaised, match=MISSING):
            call(student, "listing", path)


def test_only_the_scratch_folder_can_be_written(student: StudentProcess) -> None:
    assert call(student, "write", "/scratch/note") == 1
    for path in ("/submission/utilities.py", "/new", os.__file__):
        with pytest.raises(StudentRaised, match=r"OSError|PermissionError"):
            call(student, "write", path)


def test_the_scratch_folder_is_bounded(student: StudentProcess) -> None:
    with pytest.raises(StudentRaised, match="OSError"):
        call(student, "fill", "/scratch/large")


def test_there_is_no_network(student: StudentProcess) -> None:
    for kind, address in (("AF_INET", ["127.0.0.1", 9]), ("AF_UNIX", "\0abstract"), ("AF_UNIX", "/run/docker.sock")):
        with pytest.raises(StudentRaised, match="Error"):
            call(student, "connect", kind, address)


def test_no_program_can_be_run(student: StudentProcess) -> None:
    with pytest.raises(StudentRaised, match=MISSING):
        call(student, "run")


def test_no_mount_and_no_new_namespace(student: StudentProcess) -> None:
    assert call(student, "mount") == -1
    assert call(student, "unshare") == -1


def test_other_processes_are_out_of_sight(student: StudentProcess) -> None:
    assert call(student, "pids") == ("1",)


def test_what_is_printed_comes_out_bounded_and_escaped(zygote: Zygote, settings: Settings) -> None:
    module = b"import sys\nprint('\\x1b[31mred', 7)\nsys.stderr.write('warned\\n')\n" + MODULE
    process = StudentProcess(zygote, Snapshot({"utilities.py": module}, "vit.ipynb"), settings)
    try:
        process.ask(wire.Load("utilities", ""))
        assert process.printed() == "\\x1b[31mred 7\nwarned\n"
        call(process, "chatter", 4 << 20)
        assert len(process.printed()) == LONGEST_OUTPUT + len("\\x1b") - 1
    finally:
        process.stop()
    assert process.printed() == ""


def test_the_notes_show_what_the_module_printed(tiny_course: TinyCourse) -> None:
    module = b"print('first', '<b>')\nprint('second')\ndef double(x): return 2 * x\n"
    with Grader(tiny_course.course, tiny_course.assignment, threads=1) as grader:
        result = grader.grade(Snapshot({"utilities.py": module}, "tiny.ipynb"))
    assert result.notes[-1] == "While it was loaded, your utilities.py printed: first <b> | second"


def test_the_environment_is_scrubbed(student: StudentProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = call(student, "environment")
    assert isinstance(environment, dict)
    assert environment["HOME"] == "/scratch"
    assert environment["USER"] == environment["LOGNAME"] == "student"
    known = {
        "USER",
        "LOGNAME",
        "CUDA_VISIBLE_DEVICES",
        "OMP_NUM_THREADS",
        "LANG",
        "LC_ALL",
        "PATH",
        "TZ",
        "TF_CPP_MIN_LOG_LEVEL",
    }
    paths = {name for name, value in environment.items() if value == "/scratch"}
    assert {name for name in environment if not name.startswith(("TF_NUM_", "HF_", "MPL"))} <= known | paths


def test_memory_is_bounded(student: StudentProcess) -> None:
    with pytest.raises(StudentRaised, match="MemoryError"):
        call(student, "memory")


def test_a_process_that_exits_is_a_fault_of_the_student(student: StudentProcess) -> None:
    with pytest.raises(StudentDied):
        call(student, "exit")
    with pytest.raises(StudentDied, match="already"):
        call(student, "double", 1)


def test_sys_exit_is_an_ordinary_exception(student: StudentProcess) -> None:
    with pytest.raises(StudentRaised, match="SystemExit"):
        call(student, "quit")


def test_tensorflows_own_names_are_left_out_of_messages(student: StudentProcess) -> None:
    with pytest.raises(StudentRaised, match="Matrix size-incompatible") as raised:
        call(student, "mismatch")
    assert "function_node" not in str(raised.value)


def test_a_stand_in_takes_arguments_as_the_students_own_does(student: StudentProcess) -> None:
    student.ask(wire.StandIn(REFERENCE, ["scale", "Shift"]))
    assert call(student, "scaled") == (6, 6, 6)
    assert call(student, "shifted") == 4


def test_a_weightless_cell_builds_what_no_machine_could_hold(student: StudentProcess) -> None:
    student.ask(wire.RunCell("a", "import utilities\nlarge = utilities.build_large()", weightless=True))
    large = student.ask(wire.Read("large"))
    weights = student.ask(wire.Describe(large))["weights"]
    assert [weight["shape"] for weight in weights] == [(1 << 20, 1 << 20), (1 << 20,)]


def test_a_weightless_cell_may_try_a_small_model_first(student: StudentProcess) -> None:
    cell = """import numpy as np, utilities
small = utilities.build_tokens(8)
shape = small(np.zeros((1, 5, 8), "float32")).shape
assert shape == (1, 3)
model_params = {"width": 16}
large = utilities.build_tokens(**model_params)"""
    student.ask(wire.RunCell("a", cell, weightless=True))
    assert student.ask(wire.Read("model_params")) == {"width": 16}
    assert student.ask(wire.Read("large")).kind == "model"
    with pytest.raises(StudentRaised, match="too narrow"):
        student.ask(wire.RunCell("b", "import utilities\nnarrow = utilities.build_tokens(1)", weightless=True))


def test_a_model_is_counted_as_it_would_be_built(student: StudentProcess) -> None:
    width = 1 << 28
    expected = (8 + 1 + 2 + 3) * width + 3
    assert student.ask(wire.Count("build_tokens", {"width": width})) == {"total": expected, "trainable": expected}


def test_layers_work_beside_and_after_a_weightless_cell(student: StudentProcess) -> None:
    call(student, "make_layers")
    student.ask(wire.RunCell("a", "import utilities\nfound = utilities.outputs_of_layers()", weightless=True))
    with pytest.raises(StudentRaised, match="too narrow"):
        student.ask(wire.Count("build_tokens", {"width": 1}))
    np.testing.assert_array_equal(student.ask(wire.Read("found")), np.ones((1, 1, 2)))
    np.testing.assert_array_equal(call(student, "outputs_of_layers"), np.ones((1, 1, 2)))


def test_a_loop_is_cut_off(student: StudentProcess) -> None:
    started = time.monotonic()
    with pytest.raises(StudentTimeout, match="within 1 s"):
        call(student, "loop", seconds=1.0)
    assert time.monotonic() - started < 15
    assert not student.alive


def test_a_forged_frame_is_no_answer(student: StudentProcess) -> None:
    with pytest.raises(MalformedReply):
        call(student, "forge")
    assert not student.alive


def test_an_object_equal_to_everything_stays_outside(student: StudentProcess) -> None:
    answer = call(student, "always_equal")
    assert isinstance(answer, wire.Ref)
    assert answer.kind == "object"


def test_no_process_can_be_started(student: StudentProcess) -> None:
    with pytest.raises(StudentRaised, match="PermissionError"):
        call(student, "leave_a_child")


@pytest.mark.parametrize("layers", [("namespaces",), ("watchdog",)])
def test_nothing_survives_the_stop(zygote: Zygote, settings: Settings, layers: tuple[str, ...]) -> None:
    """Without the layer that forbids new processes, the pid namespace ends them; without that, the watchdog does."""
    before = set(psutil.Process().children(recursive=True))
    fewer = dataclasses.replace(settings, required_layers=layers)
    process = StudentProcess(zygote, Snapshot({"utilities.py": MODULE}, "vit.ipynb"), fewer)
    process.ask(wire.Load("utilities", ""))
    call(process, "leave_a_child")
    ours = set(psutil.Process().children(recursive=True)) - before
    assert len(ours) == 3  # the watchdog, the student process and its child
    ends = [os.pidfd_open(child.pid) for child in ours]
    process.stop()
    for end in ends:
        assert select.select([end], [], [], 10)[0] == [end]  # it has ended, whether or not it was reaped
        os.close(end)


def test_what_overran_its_memory_is_told_so(zygote: Zygote, settings: Settings) -> None:
    little = dataclasses.replace(settings, required_layers=("watchdog",), memory_mib=256)
    process = StudentProcess(zygote, Snapshot({"utilities.py": MODULE}, "vit.ipynb"), little)
    process.ask(wire.Load("utilities", ""))
    with pytest.raises(StudentDied, match="more than 256 MiB of memory"):
        call(process, "hold", 512)


def test_without_sandbox_the_result_says_so(zygote: Zygote, settings: Settings) -> None:
    unconfined = dataclasses.replace(settings, sandbox="none")
    process = StudentProcess(zygote, Snapshot({"utilities.py": MODULE}, "vit.ipynb"), unconfined)
    try:
        process.ask(wire.Load("utilities", ""))
        assert process.environment.sandbox == ()
        assert call(process, "double", 4) == 8
    finally:
        process.stop()

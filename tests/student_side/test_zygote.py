"""How a student process is set up for a GPU; on a CPU the GPU is one that TensorFlow is told of."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from autograder import wire
from autograder.checking.remote import Student
from autograder.config import Settings
from autograder.course.submission import Snapshot
from autograder.errors import GpuUnavailable
from autograder.grading.gpu import gpu_present
from autograder.grading.student_process import StudentProcess
from autograder.grading.zygote_client import Zygote

pytestmark = pytest.mark.slow

MODULE = b"""
import os
import tensorflow as tf
import tf_keras as keras

def setting(name):
    return os.environ.get(name, "")

def rounds_products():
    return tf.config.experimental.tensor_float_32_execution_enabled()

def compiles_steps():
    config = tf.compat.v2.config  # where Keras looks
    found, config.list_physical_devices = config.list_physical_devices, lambda kind=None: ["a GPU"]
    try:
        return [keras.optimizers.Adam().jit_compile, keras.optimizers.SGD(jit_compile=True).jit_compile]
    finally:
        config.list_physical_devices = found

def compiled_double(x):
    return tf.function(lambda given: 2 * given, jit_compile=True)(x)
"""
SNAPSHOT = Snapshot({"utilities.py": MODULE}, "vit.ipynb")


@pytest.fixture(scope="module", params=[False, True])
def zygote(request: pytest.FixtureRequest) -> Iterator[Zygote]:
    with Zygote(threads=1, gpu=request.param) as zygote:
        yield zygote


@pytest.fixture
def student(zygote: Zygote) -> Iterator[Student]:
    process = StudentProcess(zygote, SNAPSHOT, Settings(request_seconds=60.0))
    process.ask(wire.Load("utilities", ""))
    yield Student(process.ask, lambda variables: None, training_seconds=60.0)
    process.stop()


def test_a_gpu_computes_as_a_cpu_does(zygote: Zygote, student: Student) -> None:
    assert student.call("rounds_products") != zygote.gpu
    assert student.call("compiles_steps") == 2 * (not zygote.gpu,)


def test_memory_of_a_gpu_is_shared_and_its_driver_compiles(zygote: Zygote, student: Student) -> None:
    assert student.call("setting", "TF_FORCE_GPU_ALLOW_GROWTH") == ("true" if zygote.gpu else "")
    assert ("fallback_to_driver" in student.call("setting", "XLA_FLAGS")) == zygote.gpu
    np.testing.assert_array_equal(student.call("compiled_double", np.ones(2, np.float32)), [2, 2])


@pytest.mark.skipif(gpu_present(), reason="here a student process may well find a GPU")
def test_a_gpu_that_is_demanded_must_be_found(zygote: Zygote) -> None:
    settings = Settings(device="gpu")
    if zygote.gpu:
        with pytest.raises(GpuUnavailable, match="TensorFlow finds none that it can use"):
            StudentProcess(zygote, SNAPSHOT, settings)
    else:  # nobody gave it one, as in an audit
        StudentProcess(zygote, SNAPSHOT, settings).stop()
    process = StudentProcess(zygote, SNAPSHOT, Settings(device="auto"))
    assert process.environment.ran_on_cpu
    process.stop()

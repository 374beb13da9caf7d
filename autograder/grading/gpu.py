"""Whether there is a GPU, whether grading is to use it, and whether it does."""

from __future__ import annotations

from pathlib import Path

from autograder.config import Settings
from autograder.errors import GpuUnavailable
from autograder.results import Environment

REMEDY = (
    "`python -m autograder doctor` says whether a student process can use the GPU; if it can, TensorFlow's CUDA "
    "libraries are missing (pip install 'tensorflow[and-cuda]'). "
    'Or set c.Autograder.device = "cpu" in course_config.py.'
)
UNUSED = f"There is a GPU, but TensorFlow cannot use it: submissions ran on the CPU. {REMEDY}"


def gpu_present() -> bool:
    """Whether this machine shows an NVIDIA GPU's devices; starts nothing."""
    return Path("/dev/nvidiactl").exists()


def may_use_gpu(settings: Settings) -> bool:
    """Whether grading on this machine is to use a GPU."""
    return settings.device != "cpu" and gpu_present()


def wants_gpu(settings: Settings) -> bool:
    """Whether grading uses the GPU.

    Raises:
        GpuUnavailable: If the course demands a GPU that is not there.
    """
    if settings.device == "gpu" and not gpu_present():
        raise GpuUnavailable("course_config.py asks for a GPU, and there is none here.", 'Set device = "auto".')
    return may_use_gpu(settings)


def require_gpu(settings: Settings, environment: Environment) -> None:
    """See that a student process that was given a GPU can use it, if the course demands that.

    Raises:
        GpuUnavailable: If it cannot.
    """
    if settings.device == "gpu" and environment.device != "gpu":
        raise GpuUnavailable("course_config.py asks for a GPU, and TensorFlow finds none that it can use.", REMEDY)

"""Whether there is a GPU, and whether grading uses it."""

from __future__ import annotations

from pathlib import Path

from autograder.config import Settings
from autograder.errors import AutograderError


def gpu_present() -> bool:
    """Whether this machine shows an NVIDIA GPU's devices; starts nothing."""
    return Path("/dev/nvidiactl").exists()


def wants_gpu(settings: Settings) -> bool:
    """Whether grading uses the GPU.

    Raises:
        AutograderError: If the course demands a GPU that is not there.
    """
    if settings.device == "gpu" and not gpu_present():
        raise AutograderError("course_config.py asks for a GPU, and there is none here.", 'Set device = "auto".')
    return settings.device != "cpu" and gpu_present()

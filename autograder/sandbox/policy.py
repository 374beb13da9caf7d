"""What a student process may use and see: the orders that `confine` carries out."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

import msgspec

from autograder.errors import SandboxUnavailable

SUBMISSION, SCRATCH = "/submission", "/scratch"
SHARED_MEMORY, TEMPORARY = "/dev/shm", "/tmp"  # noqa: S108 - inside the new root
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
SYSTEM = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/share/zoneinfo", "/usr/share/fonts")
SETTINGS = ("/etc/ld.so.cache", "/etc/localtime", "/etc/mime.types", "/etc/fonts")
MACHINE = ("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/uptime")  # what psutil reads for carbontracker
TOPOLOGY = ("/sys/devices/system/cpu", "/sys/devices/system/node")


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What one student process may use.

    Attributes:
        submission: Folder with the copy of the submission; becomes `/submission`.
        work: Private folder of the grader's on which the new root is mounted.
        layers: Layers to put up; each must hold, or the process refuses to go on.
        memory_mib: Memory and address space it may add to what the zygote holds.
        scratch_mib: Size of all files it may write.
        scratch_files: How many files and folders it may make.
        max_processes: Processes and threads.
        max_descriptors: Open files.
        cpu_seconds: CPU time of all its threads together.
        gpu: Whether the GPU's devices are shown to it.
        cgroup: Control group to make its own below, for the layer `cgroup`.
    """

    submission: str
    work: str
    layers: tuple[str, ...]
    memory_mib: int
    scratch_mib: int
    scratch_files: int
    max_processes: int
    max_descriptors: int
    cpu_seconds: int
    gpu: bool = False
    cgroup: str = ""


class Places(msgspec.Struct, frozen=True):
    """Where the student process finds the submission and may write."""

    submission: str
    scratch: str


def readable_paths(gpu: bool) -> list[str]:
    """Return what every student process may read besides its submission, existing paths only."""
    python = {sys.prefix, sys.base_prefix, *(sysconfig.get_paths()[key] for key in ("stdlib", "purelib", "platlib"))}
    system = (*SYSTEM, *SETTINGS, *TOPOLOGY, *MACHINE, *DEVICES, *(gpu_paths() if gpu else ()))
    paths = sorted(path for path in (*python, *system) if Path(path).exists())
    return [path for path in paths if not any(path.startswith(f"{other}/") for other in paths)]


def private_folders(gpu: bool) -> tuple[str, ...]:
    """Return the usual places to write to that are folders of the scratch folder below the new root.

    An environment that lies in /tmp stays visible there: then nothing else is.
    """
    hides_nothing = not any(Path(path).is_relative_to(TEMPORARY) for path in readable_paths(gpu))
    return (SHARED_MEMORY, *((TEMPORARY,) if hides_nothing else ()))


def refuse_exposed(folder: Path) -> None:
    """Refuse to grade a course that submissions could read: hidden checks, solutions, other students' work.

    Raises:
        SandboxUnavailable: If it lies in a folder that every student process may read, such as the Python environment.
    """
    place = folder.resolve()
    exposing = next((path for path in readable_paths(gpu=False) if place.is_relative_to(Path(path).resolve())), None)
    if exposing is not None:
        raise SandboxUnavailable(
            f"the course folder {place} lies in {exposing}, which every submission may read.",
            "Move the course folder out of there, or make the Python environment elsewhere.",
        )


def gpu_paths() -> tuple[str, ...]:
    """Return the devices and folders that CUDA needs."""
    devices = sorted(str(path) for path in Path("/dev").glob("nvidia*"))
    return (*devices, "/usr/local/cuda", "/usr/local/nvidia", "/proc/driver/nvidia")

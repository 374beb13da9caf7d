"""A machine that lacks a layer: doctor says which and how to fix it, and grading refuses to start.

The lack is real: before the command starts, a filter takes the layer's system call away, as a container's profile does.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autograder.cli import doctor
from autograder.config import Settings
from autograder.errors import GpuUnavailable, SandboxUnavailable
from autograder.grading.student_process import layers_to_put_up
from autograder.sandbox import remedies, watchdog
from autograder.sandbox.try_layer import try_gpu, try_layer
from tests.tiny import TinyCourse

ROOT = Path(__file__).parents[2]
TAKEN_AWAY = {
    "namespaces": "unshare",
    "landlock": "landlock_create_ruleset",
    "seccomp": "seccomp",
    "rlimits": "prlimit64",
}
WITHOUT = """
import errno, os, sys
from seccompy import Filter
taken = Filter()
taken.errno(sys.argv[1], errno.EPERM)
taken.load()
os.execv(sys.executable, [sys.executable, "-m", "autograder", *sys.argv[2:]])
"""


def run_without(layer: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run our command on a machine that lacks a layer."""
    command = [sys.executable, "-c", WITHOUT, TAKEN_AWAY[layer], *words]
    environment = {**os.environ, "COLUMNS": "1000"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False)


def use_tiny(course: TinyCourse, further: str = "") -> None:
    with (course.root / "course_config.py").open("a") as file:
        file.write(f'c.Autograder.assignment = "tiny"\n{further}')


def layers_of(findings: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        finding["name"].removeprefix("sandbox: "): finding
        for finding in findings
        if finding["name"].startswith("sandbox: ")
    }


@pytest.mark.parametrize("layer", TAKEN_AWAY)
def test_doctor_names_the_missing_layer_and_its_remedy(tmp_path: Path, layer: str) -> None:
    shutil.copy(ROOT / "course_config.py", tmp_path)
    done = run_without(layer, "doctor", "--json", "--course", str(tmp_path))
    assert done.returncode == 1, done.stderr
    found = layers_of(json.loads(done.stdout))
    assert not found[layer]["good"]
    assert found[layer]["needed"]
    assert found[layer]["remedy"] == remedies.remedy_for(layer) != ""
    others = [name for name in TAKEN_AWAY if name != layer]
    assert all(found[name]["good"] for name in others)


@pytest.mark.slow
@pytest.mark.parametrize("layer", TAKEN_AWAY)
def test_grading_refuses_to_start_without_a_layer(tiny_course: TinyCourse, layer: str) -> None:
    use_tiny(tiny_course)
    folder = tiny_course.hand_in("student", None, "def double(x):\n    return 2 * x\n")
    done = run_without(layer, "check", str(folder), "--course", str(tiny_course.root), "--json", "-")
    assert done.returncode == 1
    assert done.stdout == ""
    said = " ".join(done.stderr.split())
    assert f"{layer}: " in said
    assert " ".join(remedies.remedy_for(layer).split()) in said


@pytest.mark.slow
def test_grading_starts_without_a_layer_that_the_course_does_not_require(tiny_course: TinyCourse) -> None:
    use_tiny(tiny_course, 'c.Autograder.required_layers = ["namespaces", "seccomp", "rlimits", "memory"]\n')
    folder = tiny_course.hand_in("student", None, "def double(x):\n    return 2 * x\n")
    done = run_without("landlock", "check", str(folder), "--course", str(tiny_course.root), "--json", "-")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["environment"]["sandbox"][:3] == ["namespaces", "seccomp", "rlimits"]


def test_a_watchdog_that_sees_nothing_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "PROC", tmp_path)
    with pytest.raises(SandboxUnavailable, match=r"watchdog: .* does not say"):
        try_layer("watchdog")


def test_a_control_group_that_is_demanded_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autograder.sandbox.cgroup.delegated", lambda: None)
    for required, expected in ((("memory",), ("watchdog",)), (("watchdog",), ("watchdog",))):
        settings = Settings(required_layers=required)
        assert layers_to_put_up(settings) == expected
    with pytest.raises(SandboxUnavailable, match="systemd-run"):
        layers_to_put_up(Settings(required_layers=("cgroup",)))


def examined_gpu(
    folder: Path, monkeypatch: pytest.MonkeyPatch, device: str, use_gpu: Callable[[], None]
) -> doctor.Finding:
    """Return what doctor finds out about the GPU of a machine that has one, whose driver behaves like this."""
    monkeypatch.setattr("autograder.grading.gpu.gpu_present", lambda: True)
    monkeypatch.setattr("autograder.sandbox.try_layer.use_gpu", use_gpu)
    (folder / "course_config.py").write_text(f'c = get_config()\nc.Autograder.device = "{device}"\n')
    (found,) = [finding for finding in doctor.examine(folder) if finding.name == "gpu"]
    return found


def start_like_cuda() -> None:
    """Do behind the wall what the driver does, and what was refused to it once."""
    Path(f"/proc/self/task/{os.getpid()}/comm").write_text("cuda")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(f"\0cuda-uvmfd-{os.getpid()}")
        server.listen()


def fail_to_start_cuda() -> None:
    raise GpuUnavailable("cuInit returned 304 CUDA_ERROR_OPERATING_SYSTEM")


def test_doctor_starts_cuda_behind_all_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for device in ("auto", "gpu"):
        found = examined_gpu(tmp_path, monkeypatch, device, start_like_cuda)
        assert found.good
        assert found.found == "NVIDIA device; it computes in a student process"


def test_doctor_says_why_no_student_process_can_use_the_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for device in ("auto", "gpu"):
        found = examined_gpu(tmp_path, monkeypatch, device, fail_to_start_cuda)
        assert not found.good
        assert "cuInit returned 304 CUDA_ERROR_OPERATING_SYSTEM" in found.found
        assert "docs/gpu.md" in found.remedy
        assert found.needed == (device == "gpu")
    leaves_alone = examined_gpu(tmp_path, monkeypatch, "cpu", fail_to_start_cuda)
    assert leaves_alone.good


def test_a_driver_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autograder.sandbox.gpu_trial.DRIVER", "libno-such-driver.so.1")
    with pytest.raises(GpuUnavailable, match=r"library cannot be loaded \(libno-such-driver"):
        try_gpu(("namespaces", "landlock", "seccomp", "rlimits"))


def test_ubuntus_rule_names_the_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    switch = tmp_path / "switch"
    switch.write_text("1\n")
    monkeypatch.setattr(remedies, "APPARMOR_SWITCH", switch)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    rule = remedies.remedy_for("namespaces")
    assert f"profile autograder {os.path.realpath(sys.executable)} flags=(unconfined) {{ userns, }}" in rule
    switch.write_text("0\n")
    assert "AppArmor forbids" not in remedies.remedy_for("namespaces")


def test_doctor_on_another_system_says_what_can_be_done_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(ROOT / "course_config.py", tmp_path)
    monkeypatch.setattr(platform, "system", lambda: "Windows")
    for module in (
        "autograder.sandbox.try_layer",
        "autograder.grading.student_process",
        "autograder.batch.local_workers",
    ):  # they need what only Linux has
        monkeypatch.setitem(sys.modules, module, None)
    found = {finding.name: finding for finding in doctor.examine(tmp_path)}
    assert "Linux (a Linux machine, a virtual machine, or WSL 2 on Windows)" in found["system"].remedy
    assert not found["sandbox"].good
    assert "check, grade, release and audit need Linux" in found["sandbox"].remedy
    assert found["settings"].good
    assert found["gradebook"].good


def test_doctor_works_where_the_course_does_not(tmp_path: Path) -> None:
    found = {finding.name: finding for finding in doctor.examine(tmp_path)}
    assert not found["settings"].good
    assert "--course" in found["settings"].remedy
    assert found["sandbox: rlimits"].good
    (tmp_path / "course_config.py").write_text("c = get_config()\nc.Autograder.job = 1\n")
    (settings,) = [finding for finding in doctor.examine(tmp_path) if finding.name == "settings"]
    assert settings.found == "Unknown setting c.Autograder.job."
    assert settings.remedy == "Did you mean jobs?"


def test_doctor_says_which_library_is_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["numpy>=999", "no-such-library", "rich>=1", "psycopg; extra == 'postgresql'"]
    monkeypatch.setattr(doctor, "requires", lambda name: texts)
    found = {finding.name: finding for finding in doctor.examine(tmp_path)}
    assert ">=999 is needed" in found["numpy"].found
    assert found["numpy"].remedy == "Run: make install"
    assert found["no-such-library"].found == "not installed"
    assert "rich" not in found
    assert "psycopg" not in found


def test_doctor_sees_built_released_and_recorded(released_course: TinyCourse) -> None:
    use_tiny(released_course)
    found = {finding.name: finding for finding in doctor.examine(released_course.root)}
    assert found["assignment"].found == "tiny: 2 automatic tasks, 5 points; built and released"
    assert found["gradebook"].found.endswith("gradebook.db, 0 students")
    shutil.rmtree(released_course.root / "release")
    (released_course.root / "gradebook.db").write_bytes(b"no database")
    found = {finding.name: finding for finding in doctor.examine(released_course.root)}
    assert found["assignment"].found.endswith("built, not released")
    assert not found["gradebook"].good
    assert "db_url" in found["gradebook"].remedy


def test_a_course_inside_the_python_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(ROOT))
    found = {finding.name: finding for finding in doctor.examine(ROOT)}
    assert not found["course folder"].good
    assert "Move the course folder" in found["course folder"].remedy


def test_what_makes_times_vary_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "CPUS", tmp_path)
    (tmp_path / "smt").mkdir()
    (tmp_path / "smt/active").write_text("1\n")
    (tmp_path / "cpu0/cpufreq").mkdir(parents=True)
    (tmp_path / "cpu0/cpufreq/scaling_governor").write_text("powersave\n")
    (timing,) = (finding for finding in doctor.examine(ROOT) if finding.name == "timing")
    assert timing.good
    assert "SMT" in timing.found
    assert "rate varies" in timing.found

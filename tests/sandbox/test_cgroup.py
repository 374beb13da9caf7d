"""Control groups, on a folder laid out as the kernel's; `test_confine` uses a real one where it is delegated."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from autograder.errors import SandboxUnavailable
from autograder.sandbox import cgroup
from autograder.sandbox.cgroup import ControlGroup, delegated


def group(folder: Path, *controllers: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "cgroup.procs").write_text("")
    (folder / "cgroup.subtree_control").write_text(" ".join(controllers))
    return folder


@pytest.fixture
def mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose processes stand in `/user/job/step`, with bounds allowed two levels up only."""
    top = group(tmp_path / "cgroup", "memory", "pids")
    group(top / "user", "memory", "pids")
    group(top / "user" / "job", "memory", "pids")
    group(top / "user" / "job" / "step")
    (tmp_path / "mounts").write_text(f"30 23 0:26 / {top} rw,nosuid - cgroup2 cgroup2 rw\n")
    (tmp_path / "own").write_text("1:name=systemd:/elsewhere\n0::/user/job/step\n")
    monkeypatch.setattr(cgroup, "OWN_MOUNTS", tmp_path / "mounts")
    monkeypatch.setattr(cgroup, "OWN_GROUP", tmp_path / "own")
    return top


def forbid(monkeypatch: pytest.MonkeyPatch, *refused: Path) -> None:
    """Refuse to enable controllers in these groups, as the kernel does where processes stand in them."""
    write = Path.write_text

    def write_text(path: Path, text: str) -> int:
        if path.name == "cgroup.subtree_control" and path.parent in refused:
            raise OSError(16, "Device or resource busy")
        return write(path, text)

    monkeypatch.setattr(Path, "write_text", write_text)


def test_the_group_above_is_taken_where_the_own_has_processes(mount: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(monkeypatch, mount / "user/job/step")
    assert delegated() == mount / "user" / "job"


def test_no_group_further_up_is_taken(mount: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (mount / "user/job/cgroup.subtree_control").write_text("cpu")
    forbid(monkeypatch, mount / "user/job/step", mount / "user/job")
    assert delegated() is None


def test_there_is_none_without_version_2(tmp_path: Path, mount: Path) -> None:
    (tmp_path / "mounts").write_text(f"30 23 0:26 / {mount} rw,nosuid - cgroup cgroup rw,memory\n")
    assert delegated() is None


def test_a_group_is_bounded_joined_and_asked_why(mount: Path) -> None:
    made = ControlGroup(mount / "user" / "job", 1 << 30, 64)
    folder = mount / "user" / "job" / f"autograder-{os.getpid()}"
    made.join()
    written = {path.name: path.read_text() for path in folder.iterdir()}
    assert written == {"memory.max": str(1 << 30), "pids.max": "64", "memory.swap.max": "0", "cgroup.procs": "0"}
    (folder / "memory.events").write_text("low 0\noom 1\noom_kill 0\n")
    assert not made.ran_out_of_memory()
    (folder / "memory.events").write_text("low 0\noom 1\noom_kill 1\n")
    assert made.ran_out_of_memory()


def test_a_group_that_cannot_be_made_is_a_missing_layer(tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailable, match=r"cgroup: .*systemd-run"):
        ControlGroup(tmp_path / "gone", 1, 1)

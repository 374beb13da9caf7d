"""Reading submissions: bounded, and never through a link."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from autograder.config import CourseConfig
from autograder.errors import SubmissionUnreadable, UsageError
from autograder.submission import Snapshot, read_submission


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "student" / "vit"
    place.mkdir(parents=True)
    (place / "utilities.py").write_text("x = 1\n")
    return place


def read(folder: Path, **limits: int) -> Snapshot:
    return read_submission(folder, "vit", CourseConfig(root=folder, **limits))  # type: ignore[arg-type]


def test_files_are_read_and_digested(folder: Path) -> None:
    first = read(folder)
    assert first.module_bytes == b"x = 1\n"
    assert first.notebook_bytes is None
    assert first.digest == read(folder).digest
    (folder / "utilities.py").write_text("x = 2\n")
    assert first.digest != read(folder).digest


def test_links_and_special_files_are_left_out(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret")
    (folder / "folder").symlink_to(tmp_path)
    os.mkfifo(folder / "fifo")
    snapshot = read(folder)
    assert set(snapshot.files) == {"utilities.py"}
    assert len(snapshot.notes) == 3
    assert not [content for content in snapshot.files.values() if b"secret" in content]


def test_sizes_are_bounded(folder: Path) -> None:
    (folder / "large.bin").write_bytes(bytes(2 << 20))
    with pytest.raises(SubmissionUnreadable, match="larger"):
        read(folder, max_submission_mib=1)
    (folder / "large.bin").unlink()
    for number in range(5):
        (folder / f"{number}.txt").touch()
    with pytest.raises(SubmissionUnreadable, match="more than 3 files"):
        read(folder, max_submission_files=3)


def test_one_file_is_a_submission_too(folder: Path) -> None:
    renamed = folder / "my_solution.py"
    renamed.write_text("y = 1\n")
    assert read(renamed).module_bytes == b"y = 1\n"


def test_nothing_there_is_wrong_usage(folder: Path) -> None:
    with pytest.raises(UsageError, match="No submission"):
        read(folder / "nowhere")

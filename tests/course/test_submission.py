"""Reading submissions: bounded, and never through a link."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest

from autograder.config import Settings
from autograder.course.submission import Snapshot, read_submission
from autograder.errors import SubmissionUnreadable, UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "student" / "vit"
    place.mkdir(parents=True)
    (place / "utilities.py").write_text("x = 1\n")
    return place


def read(folder: Path, **limits: int) -> Snapshot:
    return read_submission(folder, "vit", Settings(**limits))  # type: ignore[arg-type]


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


def test_what_is_large_beside_module_and_notebook_costs_nothing(folder: Path) -> None:
    (folder / "a_checkpoint.h5").write_bytes(bytes(2 << 20))
    (folder / "vit.ipynb").write_text("{}")
    snapshot = read(folder, max_submission_mib=1)
    assert set(snapshot.files) == {"utilities.py", "vit.ipynb"}
    assert snapshot.notes == ("a_checkpoint.h5 has 2 MiB, more than is read; it was left out.",)
    with (folder / "a_checkpoint.h5").open("wb") as checkpoint:
        checkpoint.truncate(1400 << 20)
    assert read(folder).notes == ("a_checkpoint.h5 has 1,400 MiB, more than is read; it was left out.",)


def test_a_module_that_is_too_large_is_left_out_alone(folder: Path) -> None:
    (folder / "utilities.py").write_bytes(bytes(2 << 20))
    (folder / "vit.ipynb").write_text("{}")
    snapshot = read(folder, max_submission_mib=1)
    assert set(snapshot.files) == {"vit.ipynb"}
    assert snapshot.notes == ("utilities.py has 2 MiB, more than is read; it was left out.",)
    assert snapshot.left_out == {"utilities.py": snapshot.notes[0]}


def test_a_folder_with_too_many_files_is_left_out(folder: Path) -> None:
    for number in range(9):
        (folder / "data" / f"{number}").mkdir(parents=True)
        (folder / "data" / f"{number}.txt").touch()
    (folder / "notes.txt").touch()
    snapshot = read(folder, max_submission_files=10)
    assert set(snapshot.files) == {"notes.txt", "utilities.py"}
    assert snapshot.notes == ("data holds more files than are read; it was left out.",)


def test_of_too_many_files_module_and_notebook_are_read(folder: Path) -> None:
    for number in range(9):
        (folder / f"{number}.txt").touch()
    snapshot = read(folder, max_submission_files=5)
    assert set(snapshot.files) == {"utilities.py"}
    assert snapshot.notes == (
        "Your hand-in holds more files than are read; of it only utilities.py and vit.ipynb were read.",
    )


def test_files_that_are_small_alone_have_a_bound_together(folder: Path) -> None:
    for name in "abc":
        (folder / name).write_bytes(bytes(400_000))
    assert set(read(folder, max_submission_mib=1).files) == {"utilities.py", "a", "b"}


def test_one_file_is_a_submission_too(folder: Path) -> None:
    renamed = folder / "my_solution.py"
    renamed.write_text("y = 1\n")
    assert read(renamed).module_bytes == b"y = 1\n"


def test_nothing_there_is_wrong_usage(folder: Path) -> None:
    with pytest.raises(UsageError, match="No submission"):
        read(folder / "nowhere")


def test_a_single_file_is_bounded_too(folder: Path) -> None:
    (folder / "utilities.py").write_bytes(bytes(2 << 20))
    assert read(folder / "utilities.py", max_submission_mib=1).files == {}


def test_a_submission_that_is_a_link_is_refused(folder: Path) -> None:
    (folder.parent / "other").symlink_to(folder)
    with pytest.raises(SubmissionUnreadable, match="is a link"):
        read(folder.parent / "other")


def test_outputs_go_where_they_make_a_notebook_too_large(folder: Path) -> None:
    cell = {"cell_type": "code", "source": "x = 1", "metadata": {}, "outputs": ["x" * (3 << 19)]}
    (folder / "vit.ipynb").write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "cells": [cell]}))
    snapshot = read(folder, max_submission_mib=1)
    slim = json.loads(snapshot.notebook_bytes or b"")
    assert "outputs" not in slim["cells"][0]
    assert slim["cells"][0]["source"] == "x = 1"
    assert snapshot.notes == ("Your notebook has 1 MiB; its outputs were left out. Clear them before you hand in.",)


def test_names_of_libraries_are_noted(folder: Path) -> None:
    (folder / "numpy.py").touch()
    (folder / "my_layers.py").touch()
    (note,) = read(folder).notes
    assert note.startswith("numpy is the name of a library")


def test_a_name_that_is_no_text_is_left_out(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.txt")).touch()
    snapshot = read(folder)
    assert set(snapshot.files) == {"utilities.py"}
    assert snapshot.digest
    assert "is not UTF-8" in "".join(snapshot.notes)
    assert [name.isascii() for name in snapshot.left_out] == [True]  # a stored snapshot is UTF-8


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    """A zip file that a student hands in."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("start", ["", "vit/", "Ada Lovelace/vit/"])
def test_a_zip_file_is_read_like_the_folder_in_it(tmp_path: Path, start: str) -> None:
    files = {"utilities.py": b"x = 1\n", "vit.ipynb": b"{}", "plots/a.png": b"a"}
    path = zipped(tmp_path / "hand-in.ZIP", {start + name: content for name, content in files.items()})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"__MACOSX/{start}._utilities.py", b"junk")
        archive.writestr(f"{start}.ipynb_checkpoints/vit.ipynb", b"old")
    found = read(path)
    assert found.files == files | ({f"__MACOSX/{start}._utilities.py": b"junk"} if not start else {})
    assert list(tmp_path.iterdir()) == [path]


def test_what_lies_beside_the_work_in_a_zip_file_takes_no_place_of_it(tmp_path: Path) -> None:
    """As in a folder: whatever the order, sizes and names of the members."""
    printed = {"cell_type": "code", "metadata": {}, "source": "1", "outputs": [{"text": "x" * (1 << 20)}]}
    notebook = json.dumps({"cells": [printed], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}).encode()
    work = {"utilities.py": b"#" * 1000, "vit.ipynb": notebook}
    junk = {f"__pycache__/{number}": b"" for number in range(30)}
    path = zipped(tmp_path / "a.zip", {"a": bytes(1 << 20), "utilities.py/b": b""} | junk | work)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("utilities.py", b"last")
    found = read(path, max_submission_mib=1, max_submission_files=20)
    assert found.module_bytes == b"last"
    assert set(found.files) == {"utilities.py", "vit.ipynb", "a"}
    assert [note for note in found.notes if note.startswith("utilities.py ")] == [
        "utilities.py stands twice in the zip file; the last one was taken."
    ]
    assert "its outputs were left out" in "".join(found.notes)
    found.write_to(tmp_path / "written")


def test_work_that_a_zip_file_holds_apart_twice_or_packed_is_named(tmp_path: Path) -> None:
    apart = read(zipped(tmp_path / "a.zip", {"a/vit.ipynb": b"{}", "b/utilities.py": b"x"}))
    assert (set(apart.files), apart.notes) == (
        {"vit.ipynb"},
        ("b/utilities.py lies outside a/, which was read; it was left out.",),
    )
    twice = read(zipped(tmp_path / "b.zip", {"vit.ipynb": b"old", "w/vit.ipynb": b"{}", "w/utilities.py": b"x"}))
    assert twice.files == {"vit.ipynb": b"{}", "utilities.py": b"x"}
    assert twice.notes == ("vit.ipynb lies outside w/, which was read; it was left out.",)
    packed = read(zipped(tmp_path / "c.zip", {"work.zip": b"PK"}))
    assert packed.notes == ("There is no utilities.py, but work.zip, which is not unpacked. Hand in what is in it.",)
    copied = read(zipped(tmp_path / "d.zip", {"utilities.py": b"x", "vit-Copy1.ipynb": b"{}"}))
    assert copied.notes == ("There is no vit.ipynb, but vit-Copy1.ipynb. Hand it in as vit.ipynb.",)


def test_a_zip_file_is_read_within_bounds(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.txt")
    link.external_attr = 0o120777 << 16
    path = zipped(tmp_path / "a.zip", {"utilities.py": b"x = 1\n", "../outside.py": b"x", "bomb": bytes(3 << 20)})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    found = read(path, max_submission_mib=1)
    assert found.files == {"utilities.py": b"x = 1\n"}
    assert {note.split()[0] for note in found.notes} == {"link.txt", "../outside.py", "bomb"}
    many = zipped(tmp_path / "many.zip", {f"{number}.txt": b"" for number in range(30)})
    with pytest.raises(SubmissionUnreadable, match="more than 20 files"):
        read(many, max_submission_files=20)
    (tmp_path / "no.zip").write_bytes(b"no zip file")
    with pytest.raises(SubmissionUnreadable, match=r"no\.zip"):
        read(tmp_path / "no.zip")

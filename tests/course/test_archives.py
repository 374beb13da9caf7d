"""Zip files that others made: odd, hostile and drawn at random."""

from __future__ import annotations

import io
import random
import stat
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from autograder.course.archives import LeftOut, MemberUnreadable, opened_zip
from autograder.errors import ArchiveUnreadable
from tests.collecting.students import zipped

MIB = 1 << 20


def member(name: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def read_zip(source: bytes, most_bytes: int, most_members: int) -> tuple[dict[str, bytes], list[LeftOut]]:
    """All that can be read of a zip file, by path, and what was left out."""
    files: dict[str, bytes] = {}
    with opened_zip(source, most_members) as reader:
        left_out = list(reader.left_out)
        for name in reader.sizes:
            try:
                files[name] = reader.read(name, most_bytes)
            except MemberUnreadable as error:
                left_out.append(LeftOut(name, str(error)))
            else:
                most_bytes -= len(files[name])
    return files, left_out


def made(*members: tuple[zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for info, content in members:
            archive.writestr(info, content, method)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../vit.ipynb", "leads out"),
        ("a/../../b", "leads out"),
        ("/etc/passwd", "leads out"),
        ("C:\\Windows\\b", "leads out"),
        ("..\\b", "leads out"),
        ("x" * 300, "no folder can hold"),
        ("/".join("x" * 400), "no folder can hold"),
    ],
)
def test_a_name_that_leads_outside_is_left_out_and_named(name: str, why: str) -> None:
    files, left_out = read_zip(made((member(name), b"x"), (member("fine"), b"y")), MIB, 10)
    assert files == {"fine": b"y"}
    assert len(left_out) == 1 and why in left_out[0].why


def test_links_and_devices_are_left_out() -> None:
    archive = made((member("link", stat.S_IFLNK | 0o777), b"/etc/passwd"), (member("pipe", stat.S_IFIFO), b""))
    files, left_out = read_zip(archive, MIB, 10)
    assert not files
    assert [(lost.name, lost.why) for lost in left_out] == [("link", "is a link"), ("pipe", "is no file")]


def test_a_bomb_costs_no_memory() -> None:
    bomb = zipped({"bomb": bytes(60 * MIB), "fine": b"x"})
    tracemalloc.start()
    files, left_out = read_zip(bomb, MIB, 10)
    assert tracemalloc.get_traced_memory()[1] < 20 * MIB
    tracemalloc.stop()
    assert files == {"fine": b"x"}
    assert [(lost.name, lost.why) for lost in left_out] == [("bomb", "is larger than the course allows")]


def test_all_members_together_are_bounded() -> None:
    files, left_out = read_zip(zipped({f"{n}": bytes(MIB // 2) for n in range(5)}), MIB, 10)
    assert (len(files), len(left_out)) == (2, 3)


def test_too_many_members_are_refused_before_they_are_listed() -> None:
    with pytest.raises(ArchiveUnreadable, match="more than 10 files"):
        read_zip(zipped({f"{n}": b"" for n in range(11)}), MIB, 10)
    long_list = made(*((member("n" * 9_000 + str(n)), b"") for n in range(10)))
    with pytest.raises(ArchiveUnreadable, match="more than 10 files"):
        read_zip(long_list, MIB, 10)


def test_encrypted_and_unusually_compressed_members_are_named() -> None:
    encrypted = bytearray(zipped({"secret": b"x", "fine": b"y"}))
    place = encrypted.find(b"PK\1\2")
    struct.pack_into("<H", encrypted, place + 8, 1)
    files, left_out = read_zip(bytes(encrypted), MIB, 10)
    assert files == {"fine": b"y"} and left_out[0].why == "is encrypted"
    _, left_out = read_zip(made((member("x"), b"x"), method=zipfile.ZIP_LZMA), MIB, 10)
    assert left_out[0].why == "is compressed in an unusual way"


def test_names_in_utf_8_that_do_not_say_so_and_in_an_old_code_page() -> None:
    archive = made((member("uebung.txt"), b"x"), (member("zzbung.txt"), b"y"))
    archive = archive.replace(b"uebung", "übung".encode()).replace(b"zzbung", "übun".encode("cp437") + b"gg")
    assert set(read_zip(archive, MIB, 10)[0]) == {"übung.txt", "übungg.txt"}


@pytest.mark.parametrize("offset", [1 << 63, (1 << 64) - 1])
def test_a_member_that_claims_to_lie_beyond_all_files_is_named(offset: int) -> None:
    """Python cannot seek so far, and says so with an error of its own."""
    whole = zipped({"a.txt": b"1"})
    start, end = whole.index(b"PK\1\2"), whole.index(b"PK\5\6")
    entry, last = bytearray(whole[start:end]), bytearray(whole[end:])
    extra = struct.pack("<HHQ", 1, 8, offset)
    struct.pack_into("<H", entry, 30, len(extra))
    struct.pack_into("<L", entry, 42, 0xFFFFFFFF)
    struct.pack_into("<L", last, 12, len(entry) + len(extra))
    files, left_out = read_zip(whole[:start] + bytes(entry) + extra + bytes(last), 100, 10)
    assert (files, [lost.why for lost in left_out]) == ({}, ["is broken in the zip file"])


def test_of_two_members_with_one_name_the_last_is_taken() -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive = made((member("a"), b"first"), (member("a"), b"last"))
    files, left_out = read_zip(archive, MIB, 10)
    assert files == {"a": b"last"} and "twice" in left_out[0].why


def test_no_name_is_both_a_file_and_a_folder() -> None:
    files, left_out = read_zip(zipped({"a/b": b"below", "a": b"file", "c/d": b"fine"}), MIB, 10)
    assert files == {"a": b"file", "c/d": b"fine"}
    assert [(lost.name, lost.why) for lost in left_out] == [
        ("a/b", "lies in a folder whose name is also that of a file")
    ]


def test_no_zip_file(tmp_path: Path) -> None:
    for content in (b"", b"PK", b"PK\5\6" + bytes(17), b"Rar!", zipped({"a": b"b"})[:-30]):
        with pytest.raises(ArchiveUnreadable):
            read_zip(content, MIB, 10)
    with pytest.raises(ArchiveUnreadable), opened_zip(tmp_path / "none.zip"):
        pass


def test_damaged_archives_end_with_files_or_a_reason() -> None:
    """Bytes changed, cut out and doubled at random: whatever comes is bounded, and nothing else is raised."""
    draw = random.Random(25)  # noqa: S311 (no secret)
    source = zipped({"vit.ipynb": b"{}" * 50, "a/utilities.py": b"x = 1\n" * 90, "ü.png": bytes(range(256))})
    read = 0
    for _ in range(1_500):
        damaged = bytearray(source)
        for _ in range(draw.randint(1, 8)):
            place = draw.randrange(len(damaged))
            kind = draw.randrange(3)
            if kind == 0:
                damaged[place] = draw.choice((0, 1, 0xFF, draw.randrange(256)))
            elif kind == 1:
                del damaged[place : place + draw.randint(1, 9)]
            else:
                damaged[place:place] = damaged[place : place + draw.randint(1, 40)]
        try:
            files, left_out = read_zip(bytes(damaged), 2_000, 20)
        except ArchiveUnreadable:
            continue
        read += 1
        assert sum(map(len, files.values())) <= 2_000
        assert all(".." not in name.split("/") and not name.startswith("/") for name in files)
        assert all(lost.name and lost.why for lost in left_out)
    assert read > 100

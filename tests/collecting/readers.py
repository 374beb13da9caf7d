"""What the platforms make of files that go back to them, written from their own importers.

Moodle: `mod/assign/feedback/file/importziplib.php`, `feedback/offline/importgradeslib.php`. Canvas:
`infer_comment_context_from_filename`, `lib/gradebook_importer.rb`. Classroom 50: `schemas/scores-v1.schema.json` and
the rules beside it that a schema cannot say.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Mapping
from typing import Any

ZIP = bytes


def moodle_feedback(archive: ZIP, participants: set[int]) -> tuple[dict[int, dict[str, bytes]], list[str]]:
    """Which participant gets which files, and which names Moodle ignores."""
    given: dict[int, dict[str, bytes]] = {}
    ignored = []
    for path, content in _members(archive):
        parts, found = path.split("/"), False
        if path.rpartition("/")[2][:1] in (".", "~"):
            parts = []
        while parts:
            info = parts.pop(0).split("_", 4)
            if len(info) < 4 or not info[1].isdecimal() or int(info[1]) not in participants:
                continue
            if (info[2], info[3]) not in (("assignsubmission", "file"), ("assignfeedback", "file")):
                continue
            rest = "/".join([*info[4:], *parts]) if len(info) > 4 else "/" + "/".join(parts)
            given.setdefault(int(info[1]), {})[rest.lstrip("/")] = content
            found = True
            break
        if not found:
            ignored.append(path)
    return given, ignored


def canvas_feedback(
    archive: ZIP, attachments: Mapping[int, tuple[int, str]], anonymous: Mapping[str, int] | None = None
) -> tuple[dict[int, list[bytes]], list[str]]:
    """Which user gets which files.

    Args:
        archive: What is uploaded.
        attachments: Attachment to its user and its name.
        anonymous: Anonymous id to user.
    """
    given: dict[int, list[bytes]] = {}
    ignored = []
    for path, content in _members(archive):
        name = path.rpartition("/")[2]
        words = [word for word in name.split("_") if word != "LATE"]
        if words[0] == "anon":
            user, attachment = (anonymous or {}).get(words[1]), words[2]
        else:
            numbers = [word for word in words if re.fullmatch(r"\d+", word)][:2]
            user, attachment = (int(numbers[0]), numbers[1]) if len(numbers) == 2 else (None, "")
        lost = words[-1].startswith("link") or name.startswith("._")
        if lost or user is None or attachments.get(int(attachment or 0), (None,))[0] != user:
            ignored.append(path)
        else:
            given.setdefault(user, []).append(content)
    return given, ignored


def canvas_marks(content: bytes, column: str) -> dict[int, str]:
    """User id to the mark that Canvas would import."""
    text = content.decode("utf-8-sig")
    delimiter = ";" if _is_semicolon(text) else ","
    rows = [
        [_with_period(cell) for cell in row]
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        if row and any(cell.strip() for cell in row)
    ]
    heading = rows[0]
    split = heading[:2] == ["LastName", "FirstName"]
    place = 2 if split else 1
    assert "ID" in heading[place] and (split or "Student" in heading[0])
    place_of_mark = heading.index(column)
    marks: dict[int, str] = {}
    for row in rows[1:]:
        if "Points Possible" in row[0] or all(re.fullmatch(r"\s*(Muted|Manual Posting.*)?\s*", cell) for cell in row):
            continue
        assert int(row[place]) not in marks, "one user twice"
        marks[int(row[place])] = row[place_of_mark].strip()
    return marks


def moodle_marks(content: bytes, language: tuple[str, str, str], participant: str) -> dict[int, str]:
    """Participant to the mark that Moodle would import.

    Args:
        content: A worksheet, always read with commas and in UTF-8.
        language: Its headings of identifier, grade and last modified (grade).
        participant: The word before the number.
    """
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
    identifier, grade, modified = (rows[0].index(name) for name in language)
    assert modified >= 0
    return {int(row[identifier][len(participant) :]): row[grade] for row in rows[1:]}


def classroom50_scores(content: bytes, before: bytes, assignment: str) -> dict[str, dict[str, Any]]:
    """Owner to the latest submission, after the file was found valid and equal to the one before in all else."""
    now, then = json.loads(content), json.loads(before)
    assert set(now) == {"schema", "assignments"} and now["schema"] == "classroom50/scores/v1"
    assert set(now["assignments"]) == set(then["assignments"])
    for name, bucket in then["assignments"].items():
        if name != assignment:
            assert now["assignments"][name] == bucket
    bucket = now["assignments"][assignment]
    assert {key: value for key, value in bucket.items() if key != "entries"} == {
        key: value for key, value in then["assignments"][assignment].items() if key != "entries"
    }
    found = {}
    for entry, old in zip(bucket["entries"], then["assignments"][assignment]["entries"], strict=True):
        assert entry["owner"] == old["owner"] and entry["submissions"][1:] == old["submissions"][1:]
        newest, before_it = entry["submissions"][0], old["submissions"][0]
        changed = {key for key in {*newest, *before_it} if newest.get(key) != before_it.get(key)}
        assert changed <= {"score", "max-score", "tests"}, changed
        _check_score(newest)
        for test in newest["tests"]:
            assert test["test-name"] and isinstance(test["test-name"], str) and isinstance(test["passed"], bool)
            _check_score(test)
        if changed:
            assert entry["override"] is True
        found[entry["owner"]] = newest
    return found


def _check_score(record: Mapping[str, Any]) -> None:
    score, most = record["score"], record["max-score"]
    assert type(score) is int and type(most) is int and 0 <= score <= most


def _members(archive: ZIP) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return [(member.filename, opened.read(member)) for member in opened.infolist() if not member.is_dir()]


def _is_semicolon(text: str) -> bool:
    counts = {}
    for delimiter in ";,":
        rows = list(csv.reader(text.splitlines()[:3], delimiter=delimiter))
        counts[delimiter] = len(rows[0]) if len({len(row) for row in rows}) == 1 else 0
    return counts[";"] > counts[","]


def _with_period(cell: str) -> str:
    if not re.fullmatch(r"-?[0-9.,]+%?", cell):
        return cell
    *whole, last = re.split("[,.]", cell)
    return f"{''.join(whole)}.{last}" if whole else last

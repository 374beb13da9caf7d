"""Gradescope's "Export Submissions".

A folder for each submission; `submission_metadata.yml` beside them says whose it is and when it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

import yaml

from autograder.collecting.hand_ins import Contents, Download, HandIn, Owner
from autograder.collecting.lists import known_time
from autograder.course.archives import MemberUnreadable
from autograder.errors import UsageError

METADATA = "submission_metadata.yml"
_MOST_METADATA = 256 << 20
_IDS = {":sid": "gradescope", ":email": "email"}


def fits(download: Download) -> bool:
    """Whether a download has Gradescope's metadata."""
    return _metadata_file(download) is not None


def contents(download: Download) -> Contents:
    """Sort a download from Gradescope by submission.

    Raises:
        UsageError: If the metadata is missing or cannot be read.
    """
    metadata = _metadata_file(download)
    if metadata is None:
        raise UsageError(f"{download.name} has no {METADATA}.", "Export the submissions from Gradescope again.")
    top = PurePosixPath(metadata).parent
    records = _read_metadata(download, metadata)
    files: dict[str, dict[str, str]] = {}
    others = {metadata: "says whose the others are"}
    for name in download.names:
        path = PurePosixPath(name)
        parts = path.relative_to(top).parts if path.is_relative_to(top) else ()
        if len(parts) > 1 and parts[0] in records:
            files.setdefault(parts[0], {})[name] = "/".join(parts[1:])
        elif name != metadata:
            others[name] = "lies in no submission's folder"
    hand_ins = (_hand_in(folder, records[folder], found) for folder, found in files.items())
    return Contents("gradescope", tuple(hand_ins), others)


def _hand_in(folder: str, record: Mapping[str, Any], files: Mapping[str, str]) -> HandIn:
    submitters = record.get(":submitters")
    people = [person for person in submitters if isinstance(person, dict)] if isinstance(submitters, list) else []
    owners = tuple(_owner(folder, person) for person in people) or (Owner(folder),)
    return HandIn(owners, files, time=_time(record.get(":created_at")), way_back={"submission": folder})


def _owner(folder: str, person: Mapping[str, Any]) -> Owner:
    name = str(person.get(":name") or "")
    ids = {kind: str(person[key]) for key, kind in _IDS.items() if person.get(key)}
    return Owner(f"{name} ({folder})" if name else folder, ids, name)


def _time(value: object) -> datetime | None:
    """Return a time in UTC without a zone."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return known_time(value, UTC) if isinstance(value, str) else None


def _metadata_file(download: Download) -> str | None:
    found = [name for name in download.names if PurePosixPath(name).name == METADATA]
    return min(found, key=lambda name: name.count("/"), default=None)


def _read_metadata(download: Download, name: str) -> Mapping[str, Mapping[str, Any]]:
    try:
        records = yaml.load(download.source.read(name, _MOST_METADATA), Loader=_PlainLoader)  # noqa: S506 - below
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"{name} cannot be read: {error}.", "Export the submissions from Gradescope again.") from error
    except MemberUnreadable as error:
        raise UsageError(f"{name} {error}.", "Export the submissions from Gradescope again.") from error
    if not isinstance(records, dict):
        raise UsageError(f"{name} lists no submissions.", "Export the submissions from Gradescope again.")
    return {str(key): record for key, record in records.items() if isinstance(record, dict)}


class _PlainLoader(yaml.SafeLoader):
    """Reads Ruby's own types as the plain data that they hold, and makes nothing of them."""


def _plain(loader: _PlainLoader, suffix: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None


_PlainLoader.add_multi_constructor("!", _plain)

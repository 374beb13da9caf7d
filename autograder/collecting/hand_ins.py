"""What a download says of each hand-in: whose it is, when it came, and which files belong to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from autograder.collecting.source import Source, junk_in


@dataclass(frozen=True)
class Download:
    """What an instructor downloaded.

    Attributes:
        source: Its files.
        name: Of the zip file or folder.
        assignment: What the hand-ins are for.
        groups: What groups are called, as far as a list tells.
    """

    source: Source
    name: str
    assignment: str
    groups: frozenset[str] = frozenset()

    @cached_property
    def junk(self) -> dict[str, str]:
        """Each file or folder that is no part of anybody's work, and what it is."""
        found = (junk_in(name) for name in self.source.sizes)
        return {junk.name: junk.why for junk in found if junk is not None}

    @cached_property
    def names(self) -> list[str]:
        """Paths of the files that may be part of somebody's work."""
        return [name for name in self.source.sizes if junk_in(name) is None]


@dataclass(frozen=True)
class Owner:
    """Whom a platform names as the owner of a hand-in.

    Attributes:
        shown: As the platform writes it, for people.
        ids: Kind of id to the id, such as `moodle` to `70013`.
        name: The full name, or what the platform makes of it; empty where it is not told.
        accounts: GitHub accounts, one of which it is.
    """

    shown: str
    ids: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    accounts: tuple[str, ...] = ()


@dataclass(frozen=True)
class HandIn:
    """One hand-in as it lies in a download.

    Attributes:
        owners: Whose it is: more than one where students worked together.
        files: Path in the download to the path that the file had when it was handed in.
        in_order: Whether a later file of these was uploaded later.
        time: When the platform took it, in UTC without a zone; None where the download does not say.
        late: Whether the platform calls it late; where it does not, that says nothing.
        way_back: What the platform needs to find the owner of a feedback file again.
    """

    owners: tuple[Owner, ...]
    files: Mapping[str, str]
    in_order: bool = False
    time: datetime | None = None
    late: bool = False
    way_back: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Contents:
    """A download, sorted by hand-in.

    Attributes:
        platform: Where it comes from.
        others: Path of each file that belongs to no hand-in, and why.
    """

    platform: str
    hand_ins: tuple[HandIn, ...]
    others: Mapping[str, str]

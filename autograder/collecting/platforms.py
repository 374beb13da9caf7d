"""Recognise a platform's download by its names, and sort its files by hand-in."""

from __future__ import annotations

from collections.abc import Callable

from autograder.collecting import canvas, folders, gradescope, moodle
from autograder.collecting.hand_ins import Contents, Download
from autograder.errors import UsageError

PLATFORMS: dict[str, Callable[[Download], Contents]] = {
    "moodle": moodle.contents,
    "canvas": canvas.contents,
    "gradescope": gradescope.contents,
    "github": folders.github_contents,
    "folder": folders.contents,
}
"""Where hand-ins come from, and what sorts a download."""
TITLES = {
    "moodle": "Moodle",
    "canvas": "Canvas",
    "gradescope": "Gradescope",
    "github": "GitHub",
    "folder": "a folder for each student",
}
_SIGNS: dict[str, Callable[[Download], bool]] = {
    "moodle": moodle.fits,
    "canvas": canvas.fits,
    "gradescope": gradescope.fits,
    "github": folders.is_github,
}
"""What says that a download is a platform's; where nothing does it is a folder for each student."""


def sort_by_hand_in(download: Download, platform: str | None = None) -> Contents:
    """Return the hand-ins of a download.

    Args:
        download: What was downloaded.
        platform: A key of `PLATFORMS`; None recognises it.

    Raises:
        UsageError: If it cannot be read as one platform's download, or as more than one.
    """
    platform = platform or _recognised(download)
    found = PLATFORMS[platform](download)
    if not found.hand_ins:
        raise UsageError(
            f"Nothing in {download.name} looks like a hand-in from {TITLES[platform]}.",
            f"If it comes from another platform, say --from {'|'.join(PLATFORMS)}.",
        )
    left_out = {lost.name: lost.why for lost in download.source.left_out}
    return Contents(platform, found.hand_ins, {**download.junk, **left_out, **found.others})


def _recognised(download: Download) -> str:
    found = [platform for platform, fits in _SIGNS.items() if download.names and fits(download)]
    if len(found) > 1:
        words = " or ".join(TITLES[platform] for platform in found)
        raise UsageError(f"{download.name} may come from {words}.", f"Say which: --from {'|'.join(found)}.")
    return found[0] if found else "folder"

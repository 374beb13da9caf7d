"""Which pictures of a submission may be shown, and why others may not: a page with one in it runs and loads nothing."""

from __future__ import annotations

import base64
import binascii
import re

LARGEST_PICTURE = 8 << 20
_STARTS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
_COMMENTS = rb"(?><!--.*?-->\s*)*+"  # never taken apart in another way: there are countless ones
_SVG = re.compile(
    rb"\s*(?:<\?xml[^>]*\?>\s*)?" + _COMMENTS + rb"(?:<!DOCTYPE svg[^>\[]*>\s*)?" + _COMMENTS + rb"<svg[\s>]", re.DOTALL
)
_ACTIVE = re.compile(
    rb"<!ENTITY|<\s*(?:\w+:)?(?:script|foreignObject|iframe|object|embed|handler|listener)\b|\son\w+\s*=|javascript:",
    re.IGNORECASE,
)
_DATA_URL = re.compile(r"data:image/(?P<kind>png|jpeg|gif|webp|svg\+xml);base64,(?P<content>[A-Za-z0-9+/=\s]*)")
NO_PICTURE = "is no PNG, JPEG, GIF, WebP or SVG picture"


def picture_kind(content: bytes) -> tuple[str, str]:
    """Return a picture's media type, told by its content, and why it cannot be shown; one of the two is empty."""
    if len(content) > LARGEST_PICTURE:
        return "", f"is larger than {LARGEST_PICTURE >> 20} MiB"
    for start, kind in _STARTS.items():
        if content.startswith(start):
            return kind, ""
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image/webp", ""
    plain = content.removeprefix(b"\xef\xbb\xbf")
    if not _SVG.match(plain):
        return "", NO_PICTURE
    if _ACTIVE.search(plain):
        return "", "is a drawing (SVG) with a program in it"
    return "image/svg+xml", ""


def picture_of(encoded: str) -> tuple[str, str, str]:
    """Return the media type and the Base64 text of a picture that is written in Base64, and why it cannot be shown."""
    try:
        content = base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError):
        return "", "", "is damaged"
    kind, problem = picture_kind(content)
    return kind, base64.b64encode(content).decode() if kind else "", problem


def is_safe_address(address: str) -> bool:
    """Return whether an address holds a whole picture that may be shown; of those, only drawings can hold more."""
    found = _DATA_URL.fullmatch(address)
    return found is not None and (found["kind"] != "svg+xml" or picture_of(found["content"])[0] == "image/svg+xml")

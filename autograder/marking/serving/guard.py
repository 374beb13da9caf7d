"""Who may talk to the page's server: browsers that were given the token, and pages that came from the server itself.

Loopback alone keeps nobody out: other users of the machine reach it, and so does every web page that is open in the
browser. So each request needs the cookie that the token buys, requests that change something or open a WebSocket must
come from our own page, and a name that somebody else's server resolves to this machine is refused.
"""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tornado.httputil import HTTPServerRequest

_LOOPBACK = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?", re.IGNORECASE)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'{socket}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""What every answer says: nothing runs or loads but our own files, and no other page may show or keep any of it."""


def _random() -> str:
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class Guard:
    """Knows the secrets of one run of the server.

    Attributes:
        token: Stands in the address that is printed.
        session: What the cookie holds; not the token, which stays in the terminal's text.
        cookie: Its name; browsers send cookies to all ports of a machine, so that two servers need two names.
    """

    cookie: str
    token: str = field(default_factory=_random)
    session: str = field(default_factory=_random)

    def opens(self, token: bytes) -> bool:
        """Return whether this is the token."""
        return hmac.compare_digest(token, self.token.encode())

    def admits(self, request: HTTPServerRequest) -> bool:
        """Return whether a request may be answered at all."""
        cookie = request.cookies.get(self.cookie)
        known = cookie is not None and hmac.compare_digest(
            cookie.value.encode("utf-8", "replace"), self.session.encode()
        )
        return known and is_local(request)


def is_local(request: HTTPServerRequest) -> bool:
    """Return whether a request names this machine; the port may be that of a tunnel."""
    return _LOOPBACK.fullmatch(request.host) is not None


def policy(request: HTTPServerRequest) -> str:
    """Return what the page may load: our own files, and our WebSocket, which to some browsers is not our own."""
    return POLICY.format(socket=f" ws://{request.host}" if is_local(request) else "")


def is_own(request: HTTPServerRequest) -> bool:
    """Return whether a request comes from the marking page: each browser says so where it matters."""
    origin = urlsplit(request.headers.get("Origin", ""))
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    return origin.scheme == "http" and origin.netloc.lower() == request.host.lower() and site == "same-origin"

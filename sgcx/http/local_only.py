"""A server without a key answers programs, not web pages.

A browser on the same machine can reach it for any page that is open in it. Such a request names the page it comes
from (`Origin`), or, where a foreign name was made to point here, that name (`Host`). Programs send no origin, and
the address that they were given.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from sgcx.http.errors import envelope, refuse
from sgcx.http.ids import new_id


class LocalOnly:
    """`host` is the address that the server listens on."""

    def __init__(self, app: ASGIApp, *, host: str) -> None:
        self._app = app
        self._everywhere = _is_wildcard(host)
        # Nobody else can make this machine's own name point elsewhere and back.
        self._names = {"localhost", socket.gethostname().lower() if self._everywhere else host.lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or (refused := self._refused(scope)) is None:
            await self._app(scope, receive, send)
            return
        refusal = envelope(
            403,
            f"This server asks for no key, so it does not answer {refused}",
            code="forbidden",
            request_id=new_id("req"),
        )
        await refuse(refusal, scope, receive, send)

    def _refused(self, scope: Scope) -> str | None:
        """What is wrong with a request, in words; None for one that may pass."""
        for name, value in scope["headers"]:
            text = bytes(value).decode("latin-1")
            if name == b"origin" and not _is_loopback(_host_of(text.partition("://")[2])):
                return "web pages from elsewhere"
            if name == b"host" and not self._is_ours(_host_of(text)):
                return "under a name that is not its own"
        return None

    def _is_ours(self, host: str) -> bool:
        # Names can be made to point here, addresses cannot.
        return _is_loopback(host) or host in self._names or (self._everywhere and _address(host) is not None)


def _host_of(authority: str) -> str:
    """Without port and brackets; empty where there is none."""
    try:
        return (urlsplit(f"//{authority}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _is_wildcard(host: str) -> bool:
    address = _address(host)
    return address is not None and address.is_unspecified

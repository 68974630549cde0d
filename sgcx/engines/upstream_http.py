"""The connections to an upstream engine: one pool for all requests.

aiohttp, since what HTTP costs here is the most of what a small request costs the gateway, and aiohttp reads and
writes it in C.
"""

from __future__ import annotations

from io import BytesIO

import aiohttp

from sgcx.engines.proxies import proxy_for

HTTP_ERRORS = (aiohttp.ClientError, TimeoutError)
"""What asking and reading raise where the upstream cannot be reached, or breaks off."""
_CONNECT_TIMEOUT_S = 5.0
_SILENCE_TIMEOUT_S = 1800.0
"""A queue and a long prompt can keep an engine silent for long; a host that is gone for good must still end."""
_KEEP_ALIVE_S = 4.0
"""Less than uvicorn's 5, before which the engines stand: none of them closes a connection that a request is sent on."""


class UpstreamHttp:
    """The connections belong to the event loop that uses them first. `api_key` is the upstream's."""

    def __init__(self, url: str, *, api_key: str | None = None) -> None:
        self._proxy = proxy_for(url)
        self._headers = {
            "Accept-Encoding": "identity",
            "User-Agent": "sgcx",
            **({"Authorization": f"Bearer {api_key}"} if api_key else {}),
        }
        self._opened: aiohttp.ClientSession | None = None

    async def aclose(self) -> None:
        if self._opened is not None:
            await self._opened.close()

    async def answers(self, url: str, *, timeout_s: float) -> bool:
        """Whether a GET is answered with success."""
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with self._session().get(url, timeout=timeout) as response:
                return succeeded(response)
        except HTTP_ERRORS:
            return False

    async def post(self, url: str, body: bytes, *, request_id: str) -> aiohttp.ClientResponse:
        """The answer as soon as its head is here. Whoever gets it closes it. Raises one of `HTTP_ERRORS`."""
        headers = {"Content-Type": "application/json", "X-Request-Id": request_id}
        return await self._session().post(url, data=BytesIO(body), headers=headers, allow_redirects=False)

    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            self._opened = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_S),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=_CONNECT_TIMEOUT_S, sock_read=_SILENCE_TIMEOUT_S
                ),
                headers=self._headers,
                cookie_jar=aiohttp.DummyCookieJar(),
                proxy=self._proxy,
            )
        return self._opened


def succeeded(response: aiohttp.ClientResponse) -> bool:
    return 200 <= response.status < 300

"""The connections to an upstream engine: one pool, and for what is streamed as little around it as can be.

For every request `httpx.AsyncClient` sees to redirects, cookies, credentials and event hooks: a tenth of the processor
time that a small request costs the gateway. Engines know none of these, so a generation goes to the client's transport.
"""

from __future__ import annotations

import ipaddress
from urllib.request import getproxies, proxy_bypass

import httpx

_CONNECT_TIMEOUT_S = 5.0
_SILENCE_TIMEOUT_S = 1800.0
"""A queue and a long prompt can keep an engine silent for long; a host that is gone for good must still end."""
_JSON = (b"Content-Type", b"application/json")


class UpstreamHttp:
    """All requests to one upstream share its connections. `api_key` is the upstream's."""

    def __init__(self, url: str, *, api_key: str | None = None) -> None:
        timeout = httpx.Timeout(_SILENCE_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S, pool=None)
        self._transport = httpx.AsyncHTTPTransport(
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64), proxy=proxy_for(url)
        )
        self._client = httpx.AsyncClient(
            transport=self._transport,
            headers={
                "Accept-Encoding": "identity",
                "User-Agent": "sgcx",
                **({"Authorization": f"Bearer {api_key}"} if api_key else {}),
            },
            timeout=timeout,
        )
        self._headers = [*self._client.headers.raw, _JSON]
        self._extensions = {"timeout": timeout.as_dict()}

    async def aclose(self) -> None:
        await self._client.aclose()

    async def get(self, url: str, *, timeout_s: float) -> httpx.Response:
        return await self._client.get(url, timeout=timeout_s)

    async def post(self, url: str, body: bytes) -> httpx.Response:
        return await self._client.post(url, content=body, headers=[_JSON])

    async def stream(self, url: httpx.URL, body: bytes, *, request_id: str) -> httpx.Response:
        """The answer to a POST as soon as its head is here. Whoever gets it closes it."""
        headers = [*self._headers, (b"X-Request-Id", request_id.encode())]
        outgoing = httpx.Request("POST", url, headers=headers, content=body, extensions=self._extensions)
        return await self._transport.handle_async_request(outgoing)


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for `url`. None stands between a machine and itself, whatever it says."""
    parsed = httpx.URL(url)
    if is_loopback(url) or proxy_bypass(parsed.host):
        return None
    proxies = getproxies()
    proxy = proxies.get(parsed.scheme) or proxies.get("all")
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


def is_loopback(url: str) -> bool:
    host = httpx.URL(url).host
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

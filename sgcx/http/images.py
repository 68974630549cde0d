"""Images that requests name by their URL. They are fetched here: an engine asks whatever address a client names, also
those that only its own network can reach.

Only public addresses are asked. The addresses that a name stands for are checked, and the connection goes to one that
was checked; a redirect is a new URL. So neither a name that changes its mind nor a detour leads inside.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import socket
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from ssl import SSLContext
from typing import TypeGuard

import httpx

from sgcx.byte_sizes import MIB
from sgcx.errors import InvalidRequest
from sgcx.http.recent_images import FetchedImage, RecentImages
from sgcx.responses.items import ImagePart, InputItem, Message, Part, ToolOutput
from sgcx.responses.request import ResponsesRequest

logger = logging.getLogger(__name__)

PRIVATE_IMAGES_VARIABLE = "SGCX_PRIVATE_IMAGES"
"""In the server's environment: where it is not empty, images may come from every address."""

MAX_BYTES = 64 * MIB
"""Of all images of a request together."""
_DEADLINE_S = 20.0
_MAX_REDIRECTS = 3
_AT_ONCE = 8
_MAX_SHOWN_CHARACTERS = 100
_SCHEME = "https"
_UNNAMED_TYPES = ("application/octet-stream", "binary/octet-stream")

Address = IPv4Address | IPv6Address
_GLOBAL_UNICAST = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast
    inner = address.ipv4_mapped or address.sixtofour
    if address in _NAT64:
        inner = IPv4Address(address.packed[-4:])
    return address.is_global and address in _GLOBAL_UNICAST if inner is None else is_public(inner)


class ImageFetcher:
    """`may_ask`: the rule for addresses. They are asked directly, through no proxy."""

    def __init__(self, may_ask: Callable[[Address], bool] = is_public, *, trust: SSLContext | None = None) -> None:
        self._may_ask = may_ask
        self._trust = trust
        self._recent = RecentImages()

    async def fetch(self, items: Iterable[InputItem]) -> dict[str, str]:
        """The images that `items` name by their URL: URL → data URL. Raises `InvalidRequest`."""
        urls = {part.url for item in items for part in _parts(item) if _is_remote(part)}
        recent = {url: image for url in urls if (image := self._recent.get(url)) is not None}
        room_bytes = MAX_BYTES - sum(image.size_bytes for image in recent.values())
        found = {**recent, **await self._download(urls - recent.keys(), room_bytes)}
        return {url: image.data_url for url, image in found.items()}

    async def _download(self, urls: Set[str], room_bytes: int) -> dict[str, FetchedImage]:
        if not urls:
            return {}
        if self._trust is None:
            self._trust = await asyncio.to_thread(httpx.create_ssl_context)
        async with _transport(self._trust) as transport:
            downloads = _Downloads(transport, self._may_ask, self._recent, room_bytes)
            tasks = [asyncio.ensure_future(downloads.fetch(url)) for url in urls]
            try:
                async with asyncio.timeout(_DEADLINE_S):
                    return dict(zip(urls, await asyncio.gather(*tasks), strict=True))
            except TimeoutError as error:
                raise _failed(f"Fetching the images takes longer than {_DEADLINE_S:g} s") from error
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


def image_fetcher(environment: Mapping[str, str]) -> ImageFetcher:
    """By what the environment says of private addresses."""
    return ImageFetcher(lambda _: True) if environment.get(PRIVATE_IMAGES_VARIABLE) else ImageFetcher()


def with_fetched(request: ResponsesRequest, images: Mapping[str, str]) -> ResponsesRequest:
    """With the images themselves in place of their URLs."""
    return replace(request, input=tuple(_with_fetched(item, images) for item in request.input)) if images else request


def _with_fetched(item: InputItem, images: Mapping[str, str]) -> InputItem:
    parts = tuple(replace(part, url=images[part.url]) if _is_remote(part) else part for part in _parts(item))
    match item:
        case Message():
            return replace(item, content=parts)
        case ToolOutput():
            return replace(item, output=parts)
        case _:
            return item


def _parts(item: InputItem) -> tuple[Part, ...]:
    match item:
        case Message(content=parts) | ToolOutput(output=parts):
            return parts
        case _:
            return ()


def _is_remote(part: Part) -> TypeGuard[ImagePart]:
    return isinstance(part, ImagePart) and part.url.startswith(f"{_SCHEME}://")


def _transport(trust: SSLContext) -> httpx.AsyncHTTPTransport:
    """No client: that would log each URL, with whatever secret is in it."""
    # A connection that is kept could be used for another name that stands for the same address.
    return httpx.AsyncHTTPTransport(verify=trust, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))


@dataclass(slots=True)
class _Downloads:
    """Those of one request."""

    transport: httpx.AsyncHTTPTransport
    may_ask: Callable[[Address], bool]
    recent: RecentImages
    room_bytes: int
    """For what is still to come."""
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE), init=False)

    async def fetch(self, written: str) -> FetchedImage:
        try:
            async with self._slots:
                return await self._follow(written)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            logger.info("an image cannot be fetched: %r", error)
            raise _failed(f"The image {written[:_MAX_SHOWN_CHARACTERS]!r} cannot be fetched") from error

    async def _follow(self, written: str) -> FetchedImage:
        url = httpx.URL(written)
        for _ in range(_MAX_REDIRECTS + 1):
            request = _request(url, await self._address(url))
            response = await self.transport.handle_async_request(request)
            try:
                if not response.has_redirect_location:
                    image = await self._read(response, url)
                    if "no-store" not in response.headers.get("cache-control", "").lower():
                        self.recent.put(written, image)
                    return image
                url = url.join(response.headers["location"])
            finally:
                await response.aclose()
        raise _failed(f"The image at {url.host} is behind more than {_MAX_REDIRECTS} redirects")

    async def _address(self, url: httpx.URL) -> Address:
        if url.scheme != _SCHEME:
            raise _refused(f"The image at {url.host} is not behind {_SCHEME}")
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(url.host, url.port or 443, type=socket.SOCK_STREAM)
        addresses = [ip_address(str(where[0]).partition("%")[0]) for *_, where in found]
        if not all(map(self.may_ask, addresses)):
            raise _refused(f"{url.host} is no public address, and images come from those only")
        return addresses[0]

    async def _read(self, response: httpx.Response, url: httpx.URL) -> FetchedImage:
        media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if response.status_code != HTTPStatus.OK:
            raise _failed(f"The image at {url.host} cannot be fetched: HTTP status {response.status_code}")
        if not media_type.startswith("image/") and media_type not in _UNNAMED_TYPES:
            raise _failed(f"What {url.host} sends is no image but {media_type[:40]!r}")
        content = bytearray()
        async for chunk in response.aiter_raw():
            self.room_bytes -= len(chunk)
            if self.room_bytes < 0:
                raise _failed(f"The images are larger than {MAX_BYTES // MIB} MiB together")
            content += chunk
        # What it is exactly the engine sees by itself.
        encoded = base64.b64encode(content).decode()
        return FetchedImage(f"data:image/{media_type.rpartition('/')[2]};base64,{encoded}", len(content))


def _request(url: httpx.URL, address: Address) -> httpx.Request:
    host = str(address) if isinstance(address, IPv4Address) else f"[{address}]"
    headers = {"host": url.netloc.decode("ascii"), "accept": "image/*", "accept-encoding": "identity"}
    # The certificate is checked against the name. There is a deadline for all.
    extensions = {"sni_hostname": url.host, "timeout": httpx.Timeout(None).as_dict()}
    return httpx.Request("GET", url.copy_with(host=host), headers=headers, extensions=extensions)


def _failed(message: str) -> InvalidRequest:
    return InvalidRequest(message, param="input", code="failed_to_download_image")


def _refused(message: str) -> InvalidRequest:
    return InvalidRequest(message, param="input", code="invalid_image_url")

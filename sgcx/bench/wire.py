"""One streamed request, timed at the socket.

Raw asyncio and no HTTP library: at twenty thousand events a second a client that parses each of them measures
itself. It looks at bytes until the terminal event, and parses only that.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field
from typing import Literal, cast
from urllib.parse import urlsplit

import orjson

Protocol = Literal["responses", "chat"]

_TOKEN: dict[Protocol, re.Pattern[bytes]] = {
    "responses": re.compile(rb"(?:_text|_arguments|_input)\.delta"),
    "chat": re.compile(rb'"(?:content|reasoning_content|arguments)": ?"[^"]'),
}
_PATH: dict[Protocol, str] = {"responses": "/v1/responses", "chat": "/v1/chat/completions"}
_READ_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Target:
    """A server, and which of its endpoints is asked."""

    base_url: str
    protocol: Protocol
    api_key: str | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """One answer. `gaps_s`: between reads that brought tokens; several tokens may come in one read."""

    first_token_s: float
    total_s: float
    gaps_s: tuple[float, ...] = field(repr=False)
    input_tokens: int
    cached_tokens: int
    output_tokens: int

    @property
    def decode_tokens_per_s(self) -> float | None:
        """After the first token; None where no other one came."""
        decode_s = self.total_s - self.first_token_s
        return (self.output_tokens - 1) / decode_s if self.output_tokens > 1 and decode_s > 0 else None


class RequestFailed(Exception):
    """The server refused the request, or its answer did not end as it should."""


async def stream(target: Target, body: bytes) -> Timing:
    """Raises `RequestFailed`, and `OSError` where there is no connection."""
    parts = urlsplit(target.base_url)
    secure = parts.scheme == "https"
    reader, writer = await asyncio.open_connection(
        parts.hostname, parts.port or (443 if secure else 80), ssl=secure or None
    )
    try:
        started = time.perf_counter()
        writer.write(_head(target, parts.netloc, len(body)) + body)
        await writer.drain()
        return await _timed(target.protocol, reader, started)
    finally:
        writer.close()


def _head(target: Target, host: str, length: int) -> bytes:
    lines = [
        f"POST {_PATH[target.protocol]} HTTP/1.1",
        f"Host: {host}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
        "Connection: close",
    ]
    if target.api_key is not None:
        lines.append(f"Authorization: Bearer {target.api_key}")
    return "\r\n".join([*lines, "", ""]).encode()


async def _timed(protocol: Protocol, reader: asyncio.StreamReader, started: float) -> Timing:
    status = await reader.readline()
    if b" 200 " not in status:
        rest = await reader.read()
        raise RequestFailed((status + rest)[-500:].decode(errors="replace"))
    received = bytearray()
    first: float | None = None
    gaps: list[float] = []
    last = started
    while data := await reader.read(_READ_BYTES):
        now = time.perf_counter()
        received += data
        if first is not None:
            gaps.append(now - last)
        elif _TOKEN[protocol].search(data):
            first = now
        last = now
    if first is None:
        raise RequestFailed(f"no token came: {bytes(received[-500:]).decode(errors='replace')}")
    input_tokens, cached_tokens, output_tokens = _usage(protocol, bytes(received))
    return Timing(first - started, last - started, tuple(gaps), input_tokens, cached_tokens, output_tokens)


def _usage(protocol: Protocol, received: bytes) -> tuple[int, int, int]:
    """Input, cached and output tokens of the last event that tells them."""
    for line in reversed(received.split(b"\n")):
        if not line.startswith(b"data: {"):
            continue
        event = cast(dict[str, object], orjson.loads(line[6:]))
        holder = event if protocol == "chat" else event.get("response")
        usage = holder.get("usage") if isinstance(holder, dict) else None
        if isinstance(usage, dict):
            return _counts(usage)
        if event.get("type") == "response.failed":
            raise RequestFailed(line[:500].decode(errors="replace"))
    raise RequestFailed("the answer ended without usage")


def _counts(usage: dict[str, object]) -> tuple[int, int, int]:
    details = usage.get("input_tokens_details") or usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    counts = (
        usage.get("input_tokens", usage.get("prompt_tokens")),
        cached,
        usage.get("output_tokens", usage.get("completion_tokens")),
    )
    read = tuple(count if isinstance(count, int) else 0 for count in counts)
    return read[0], read[1], read[2]

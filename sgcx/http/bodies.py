"""Request bodies: whole, decompressed, decoded. The limit is on what a body unpacks to, so no bomb gets far."""

from __future__ import annotations

import asyncio
import io
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

import orjson
import zstandard
from starlette.requests import Request

from sgcx.byte_sizes import MIB
from sgcx.errors import InvalidRequest

MAX_BODY_BYTES = 256 * MIB
UNSUPPORTED_ENCODING = "unsupported_content_encoding"
_MAX_DEPTH = 200
_ENCODER_DEPTH = 254
"""How deep orjson writes; it reads deeper. What clients send comes back to them, further in than it was."""
_PACKED_BYTES = 64 << 10
_PIECE_BYTES = MIB
_MAX_WINDOW_BYTES = 8 * MIB
"""What RFC 9659 allows a compressed body to ask for; a frame may claim gigabytes."""


async def read_json(http_request: Request, *, empty: bytes = b"") -> object:
    """The decoded body. `empty` stands for a body of no bytes. Raises `InvalidRequest`."""
    decompress = _decompressor(http_request.headers.get("content-encoding", ""))
    body = await _read(http_request)
    if not body:
        body = empty
    elif decompress is not None:
        body = await asyncio.to_thread(_unpack, decompress, body)
    return decode_json(body, "request body")


def decode_json(text: bytes | str, what: str) -> object:
    """JSON that can be written again. `what` it is, for the error. Raises `InvalidRequest`."""
    try:
        decoded: object = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The {what} is not valid JSON: {error}") from error
    probe = decoded
    for _ in range(_ENCODER_DEPTH - _MAX_DEPTH):
        probe = [probe]
    try:
        orjson.dumps(probe)
    except orjson.JSONEncodeError as error:
        raise InvalidRequest(f"The {what} nests deeper than {_MAX_DEPTH} levels") from error
    return decoded


async def _read(http_request: Request) -> bytes:
    body = bytearray()
    async for chunk in http_request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise _too_large()
    return bytes(body)


_Decompress = Callable[[BinaryIO], Iterator[bytes]]


def _decompressor(content_encoding: str) -> _Decompress | None:
    match content_encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return _gunzip
        case "zstd":
            return _unzstd
        case other:
            raise InvalidRequest(
                f"Content-Encoding {other[:40]!r} is not understood; send zstd, gzip or identity",
                param="Content-Encoding",
                code=UNSUPPORTED_ENCODING,
            )


def _unpack(decompress: _Decompress, body: bytes) -> bytes:
    unpacked = bytearray()
    try:
        for piece in decompress(io.BytesIO(body)):
            unpacked += piece
            if len(unpacked) > MAX_BODY_BYTES:
                raise _too_large()
    except (zlib.error, zstandard.ZstdError, EOFError) as error:
        raise InvalidRequest(f"The request body cannot be decompressed: {error}", param="Content-Encoding") from error
    return bytes(unpacked)


def _gunzip(source: BinaryIO) -> Iterator[bytes]:
    """One member: a body of millions of tiny ones would take minutes."""
    member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    while packed := source.read(_PACKED_BYTES):
        piece = b""
        while packed or len(piece) == _PIECE_BYTES:
            piece = member.decompress(packed, _PIECE_BYTES)
            packed = member.unconsumed_tail
            yield piece
        if member.unused_data or (member.eof and source.read(1)):
            raise zlib.error("something follows its end")
    if not member.eof:
        raise EOFError("it ends in the middle")


def _unzstd(source: BinaryIO) -> Iterator[bytes]:
    unpacking = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)
    with unpacking.stream_reader(source, read_across_frames=True) as reader:
        while piece := reader.read(_PIECE_BYTES):
            yield piece


def _too_large() -> InvalidRequest:
    return InvalidRequest(f"The request body is larger than {MAX_BODY_BYTES // MIB} MiB")

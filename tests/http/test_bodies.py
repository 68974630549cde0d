"""Bodies as clients compress them, and as nobody should send them."""

from __future__ import annotations

import asyncio
import gzip
import json
import struct
import zlib
from contextlib import suppress

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from test_router import PlayedEngine, served

from sgcx.errors import InvalidRequest
from sgcx.http import bodies
from sgcx.http.bodies import read_json
from sgcx.responses.deltas import Finished, TextDelta

VALUE = {"input": "Grüße " * 50}
PLAIN = json.dumps(VALUE).encode()
GZIPPED = gzip.compress(PLAIN, mtime=0)
EMPTY_FRAME = zstandard.compress(b"")
SKIPPABLE_FRAME = struct.pack("<II", 0x184D2A50, 5) + b"notes"


def read(body, encoding=None, pieces=3):
    headers = [] if encoding is None else [(b"content-encoding", encoding)]
    size = len(body) // pieces + 1
    waiting = [body[start : start + size] for start in range(0, len(body), size)] or [b""]

    async def receive():
        piece = waiting.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(waiting)}

    return asyncio.run(read_json(Request({"type": "http", "headers": headers}, receive), empty=b"{}"))


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        (None, PLAIN),
        (b"identity", PLAIN),
        (b"gzip", GZIPPED),
        (b"X-GZIP ", GZIPPED),
        (b"zstd", zstandard.compress(PLAIN)),
        (b"zstd", EMPTY_FRAME + zstandard.compress(PLAIN[:40]) + SKIPPABLE_FRAME + zstandard.compress(PLAIN[40:])),
    ],
)
def test_a_body_is_the_same_however_it_is_packed(encoding, body):
    assert read(body, encoding) == VALUE


@pytest.mark.parametrize("encoding", [None, b"gzip", b"zstd"])
def test_a_body_of_no_bytes_is_what_its_reader_takes_it_for(encoding):
    assert read(b"", encoding) == {}


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_the_limit_is_on_what_a_body_unpacks_to(monkeypatch, pack):
    monkeypatch.setattr(bodies, "MAX_BODY_BYTES", 4 << 20)
    packed = pack(b" " * (1 << 28))
    assert len(packed) < 1 << 20
    with pytest.raises(InvalidRequest, match="larger than 4 MiB"):
        read(packed, b"gzip" if pack is gzip.compress else b"zstd")
    just_fits = b'"' + b"x" * ((4 << 20) - 2) + b'"'
    assert len(read(pack(just_fits), b"gzip" if pack is gzip.compress else b"zstd")) == (4 << 20) - 2


def test_a_plain_body_has_the_same_limit(monkeypatch):
    monkeypatch.setattr(bodies, "MAX_BODY_BYTES", 1 << 20)
    with pytest.raises(InvalidRequest, match="larger than 1 MiB"):
        read(b" " * ((1 << 20) + 1))


def test_a_frame_may_not_ask_for_more_memory_than_bodies_need():
    parameters = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
    greedy = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(InvalidRequest, match="cannot be decompressed"):
        read(greedy.compress(PLAIN) + greedy.flush(), b"zstd")


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        (b"gzip", GZIPPED[:-5]),
        (b"gzip", GZIPPED + b"more"),
        (b"gzip", zlib.compress(PLAIN)),
        (b"zstd", GZIPPED),
        (b"zstd", zstandard.compress(PLAIN) + b"more"),
        (b"zstd", zstandard.compress(PLAIN)[:-9]),
    ],
)
def test_a_damaged_body_is_the_clients_error(encoding, body):
    with pytest.raises(InvalidRequest, match=r"cannot be decompressed|not valid JSON"):
        read(body, encoding)


def test_a_body_nests_only_as_deep_as_an_answer_can_repeat_it():
    def nested(depth):
        return {"input": "x", "text": json.loads('{"a":' * (depth - 1) + "1" + "}" * (depth - 1))}

    with served(PlayedEngine([TextDelta("x"), Finished("stop")])) as client:
        answered = [client.post("/v1/responses", json={**nested(200), "stream": stream}) for stream in (False, True)]
        refused = client.post("/v1/responses", json=nested(201))
    assert [answer.status_code for answer in answered] == [200, 200]
    assert answered[1].text.endswith("data: [DONE]\n\n")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_prompt")
    assert "200 levels" in refused.json()["error"]["message"]


@given(st.sampled_from([b"gzip", b"zstd"]), st.binary(max_size=200), st.integers(1, 200))
def test_no_bytes_break_the_decoder(encoding, noise, at):
    packed = bytearray(GZIPPED if encoding == b"gzip" else zstandard.compress(PLAIN))
    packed[at : at + len(noise)] = noise
    with suppress(InvalidRequest):
        assert read(bytes(packed), encoding) is not None


def test_an_unknown_encoding_is_415_and_the_known_ones_reach_the_model():
    engine = PlayedEngine([TextDelta("x"), Finished("stop")])
    body = zstandard.compress(json.dumps({"model": "m", "input": "packed"}).encode())
    with served(engine) as client:
        refused = client.post("/v1/responses", content=body, headers={"Content-Encoding": "br"})
        answered = client.post("/v1/responses", content=body, headers={"Content-Encoding": "zstd"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (415, "unsupported_content_encoding")
    assert "zstd, gzip" in refused.json()["error"]["message"]
    assert answered.status_code == 200
    assert engine.requests[0].messages[-1]["content"] == "packed"

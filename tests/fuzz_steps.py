"""What clients could send: requests of every kind, and what becomes of them when one thing is wrong.

`sessions()` makes lists of steps for one server.
"""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass
from functools import partial

import zstandard
from hypothesis import strategies as st
from request_schema import AMONG, BODY, ITEM, JUNK


def _places(value, path=()):
    """Every place in a value, as the keys that lead there."""
    yield path
    if len(path) < 6:
        children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, child in children:
            yield from _places(child, (*path, key))


def _changed(value, path, change):
    if not path:
        return change(value)
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = _changed(copied[path[0]], path[1:], change)
    return copied


@st.composite
def spoiled(draw, sound):
    """One of `sound`, at times with something wrong in a place or two."""
    body = draw(sound)
    for _ in range(draw(AMONG((0, 0, 0, 0, 1, 2)))):
        place = draw(AMONG(list(_places(body))[1:] or [()]))
        junk = draw(JUNK)
        change = draw(AMONG((lambda junk, _: junk, lambda _, value: [value], lambda _, value: {"type": value})))
        body = _changed(body, place, partial(change, junk))
    return body


@dataclass(frozen=True)
class HttpStep:
    method: str
    path: str
    body: object = None
    """Anything that JSON can say; bytes go out as they are."""
    headers: tuple[tuple[str, str], ...] = ()
    reads: int | None = None
    """After so many pieces of the answer the client leaves; None: it stays."""


@dataclass(frozen=True)
class WebSocketStep:
    messages: tuple[object, ...]
    """Text and bytes go out as they are."""
    stays: bool
    """Until every message is answered."""


RAW = st.one_of(
    st.binary(max_size=40),
    AMONG(
        (
            b"",
            b"{",
            b"nul",
            b'{"input": "\\ud800"}',
            b'{"input": "\xff"}',
            "{}".encode("utf-16"),
            b"\xef\xbb\xbf{}",
            b'{"input": 1e999}',
            b'{"input": NaN}',
            b"[" * 2000,
            b'{"a":' * 2000,
            b'{"input":"x","input":1}',
            b"0" * 5000,
        )
    ),
)


ENCODINGS = (*[None] * 30, "gzip", "zstd", "br", "gzip, zstd", "identity", "é")


@st.composite
def http_steps(draw, method, paths, sound):
    body, headers = draw(RAW if draw(AMONG(range(12))) == 11 else sound), []
    encoding = draw(AMONG(ENCODINGS))
    if encoding is not None:
        headers.append(("content-encoding", encoding))
        packer = draw(
            AMONG((gzip.compress, zstandard.compress, lambda data: data, lambda data: gzip.compress(data)[:-9]))
        )
        body = packer(body if isinstance(body, bytes) else encoded(body))
    reads = draw(AMONG((None, None, None, None, 0, 1, 3)))
    return HttpStep(method, draw(paths), body, tuple(headers), reads)


_OPENING = {
    b"array": (b"[", b"]"),
    b"object": (b'{"a":', b"}"),
    b"namespace": (b'{"type":"namespace","name":"n","tools":[', b"]}"),
    b"schema": (b'{"type":"object","properties":{"a":', b"}}"),
}


def encoded(body):
    return re.sub(rb'"@deep (\w+) (\d+)"(?!:)', _nested, json.dumps(body).encode())


def _nested(written):
    (opening, closing), depth = _OPENING[written[1]], int(written[2])
    return opening * depth + b"{}" + closing * depth


STORED = AMONG(("@response", "@response", "resp_0", "%00", "é", "x" * 3000))
CONVERSATION = AMONG(("@conversation", "@conversation", "conv_0", "%00"))
QUERY = AMONG(
    (
        "",
        "?stream=true",
        "?stream=true&starting_after=1",
        "?limit=0",
        "?limit=2&order=asc",
        "?order=x",
        "?after=nobody",
        "?after=@item",
        "?starting_after=-1",
        "?limit=1e3",
        "?limit=" + "9" * 5000,
        "?include[]=x&include[]=y",
        "?%ff=%00",
    )
)
NEW_CONVERSATION = http_steps(
    "POST",
    st.just("/v1/conversations"),
    spoiled(st.fixed_dictionaries({}, optional={"metadata": st.just({"a": "b"}), "items": st.lists(ITEM, max_size=2)})),
)
KEPT = st.one_of(
    st.builds(lambda key, query: HttpStep("GET", f"/v1/responses/{key}{query}"), STORED, QUERY),
    st.builds(lambda key, query: HttpStep("GET", f"/v1/responses/{key}/input_items{query}"), STORED, QUERY),
    st.builds(lambda key: HttpStep("POST", f"/v1/responses/{key}/cancel"), STORED),
    st.builds(lambda key: HttpStep("DELETE", f"/v1/responses/{key}"), STORED),
    st.builds(lambda key: HttpStep("GET", f"/v1/conversations/{key}"), CONVERSATION),
    st.builds(lambda key: HttpStep("DELETE", f"/v1/conversations/{key}"), CONVERSATION),
    st.builds(lambda key, query: HttpStep("GET", f"/v1/conversations/{key}/items{query}"), CONVERSATION, QUERY),
    st.builds(lambda key: HttpStep("GET", f"/v1/conversations/{key}/items/@item"), CONVERSATION),
    st.builds(lambda key: HttpStep("DELETE", f"/v1/conversations/{key}/items/@item"), CONVERSATION),
    NEW_CONVERSATION,
    http_steps(
        "POST",
        CONVERSATION.map(lambda key: f"/v1/conversations/{key}/items"),
        spoiled(st.fixed_dictionaries({"items": st.lists(ITEM, max_size=2)})),
    ),
    http_steps(
        "POST", CONVERSATION.map(lambda key: f"/v1/conversations/{key}"), spoiled(st.just({"metadata": {"a": "b"}}))
    ),
)
CREATE = http_steps("POST", st.just("/v1/responses"), spoiled(BODY))
OVER_WEBSOCKET = st.builds(
    WebSocketStep,
    st.lists(
        st.one_of(
            spoiled(BODY.map(lambda body: {"type": "response.create", **body})),
            spoiled(BODY.map(lambda body: {"type": "response.create", "stream_id": "a", **body, "background": False})),
            AMONG(("", "{", "null", b"\xff", b"{}", '{"type": "response.steer"}', "[" * 3000)),
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    AMONG((True, True, True, False)),
)
PREPARING = http_steps(
    "POST",
    AMONG(("/v1/responses/compact", "/v1/responses/input_tokens")),
    spoiled(BODY.map(lambda body: {"model": "m", **body})),
)


def sessions(steps):
    """So many steps each. The first makes what the others speak of."""
    kinds = AMONG((CREATE, CREATE, CREATE, OVER_WEBSOCKET, PREPARING, KEPT))
    rest = st.lists(kinds.flatmap(lambda step: step), min_size=steps - 1, max_size=steps - 1)
    return st.tuples(AMONG((CREATE, CREATE, NEW_CONVERSATION)).flatmap(lambda step: step), rest).map(
        lambda drawn: [drawn[0], *drawn[1]]
    )

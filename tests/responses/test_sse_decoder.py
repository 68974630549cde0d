"""Server-sent events, read from bytes that arrive in any pieces."""

from __future__ import annotations

import itertools

import orjson
from hypothesis import given
from hypothesis import strategies as st

from sgcx.responses.sse import DONE, SseDecoder, encode

texts = st.text(alphabet=st.characters(codec="utf-8")).map(lambda text: text.replace("\r", "").replace("\n", ""))
line_ends = st.sampled_from([b"\n", b"\r\n", b"\r"])


def pieces(data, cuts):
    bounds = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(bounds)]


def decode(*chunks):
    decoder = SseDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)]


@given(st.binary(), st.lists(st.integers(min_value=0)))
def test_any_bytes_decode_alike_however_they_are_split(data, cuts):
    assert decode(*pieces(data, cuts)) == decode(data)


@given(st.lists(texts), line_ends, st.lists(st.integers(min_value=0)))
def test_every_event_comes_back_whole_with_each_kind_of_line_end(events, end, cuts):
    stream = b"".join(b"data: " + event.encode() + end + end for event in events)
    assert decode(*pieces(stream, cuts)) == events


@given(st.lists(st.sampled_from([b"data: a", b"data:b", b": note", b"event: x", b"data", b"", b"id: 1"])), st.data())
def test_mixed_lines_one_byte_at_a_time_give_what_the_whole_gives(lines, data):
    stream = b"".join(line + data.draw(line_ends) for line in lines)
    assert decode(*(bytes([byte]) for byte in stream)) == decode(stream)


def test_characters_that_end_a_line_elsewhere_are_data():
    text = "a\u2028b\u0085c\x0bd\x1ce"
    assert decode(f"data: {text}\n\n".encode()) == [text]


def test_comments_and_other_fields_are_passed_over_and_data_lines_are_joined():
    assert decode(b": ping\n\nevent: x\nid: 7\ndata: one\ndata:two\ndata\n\n") == ["one\ntwo\n"]


def test_an_event_that_never_ends_is_none():
    assert decode(b"data: half") == decode(b"data: half\n") == []


def test_what_we_encode_decodes():
    event = {"type": "response.created", "text": "line\nfeed \u2028"}
    assert [orjson.loads(decode(encode(event))[0]), decode(DONE)] == [event, ["[DONE]"]]

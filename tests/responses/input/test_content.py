"""Content parts: what the model is given of images and files, and what it is told of the rest."""

from __future__ import annotations

import base64

import pytest

from sgcx.errors import InvalidRequest
from sgcx.responses.input.content import MAX_FILE_BYTES
from sgcx.responses.items import ImagePart, TextPart
from sgcx.responses.request import parse_request


def read(part):
    request = parse_request({"input": [{"role": "user", "content": [part]}]})
    [item] = request.input
    return item.content, request.ignored


def encoded(content):
    return base64.b64encode(content).decode()


def test_images_by_url_are_passed_on():
    for url in ("data:image/png;base64,AA", "https://example.org/a.png"):
        assert read({"type": "input_image", "image_url": url}) == ((ImagePart(url, "auto"),), ())
    part = {"type": "input_image", "image_url": "data:image/png;base64,AA", "file_id": None, "detail": "original"}
    assert read(part)[0] == (ImagePart("data:image/png;base64,AA", "auto"),)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://127.0.0.1/x", "/etc/passwd", "data:text/html,x", ""])
def test_images_of_other_addresses_are_refused(url):
    with pytest.raises(InvalidRequest) as caught:
        read({"type": "input_image", "image_url": url})
    assert caught.value.param == "input[0].content[0].image_url"


def test_an_image_that_is_kept_elsewhere_leaves_a_note():
    [note], ignored = read({"type": "input_image", "file_id": "file_1", "detail": "low"})
    assert note == TextPart("[image left out: it is not kept here]")
    assert ignored == ("input[0].content[0].file_id",)


@pytest.mark.parametrize(
    "data",
    [
        encoded(b"a = 'x'\n"),
        "data:text/x-python;base64," + encoded(b"a = 'x'\n"),
        "data:;charset=utf-8;base64," + encoded(b"\xef\xbb\xbfa = 'x'\n"),
        encoded("a = 'x'\n".encode("utf-16")),
    ],
)
def test_text_files_are_read(data):
    content, ignored = read({"type": "input_file", "filename": "x.py", "file_data": data})
    assert content == (TextPart("<file name=\"x.py\">\na = 'x'\n\n</file>"),)
    assert ignored == ()


@pytest.mark.parametrize(
    "content",
    [b"%PDF-1.7\n", b"PK\x03\x04", b"\xff\xd8\xff", b"a\0b", b"\xff\xfea"],
    ids=["pdf", "zip", "jpeg", "nul", "half a character"],
)
def test_other_files_leave_a_note(content):
    [note], ignored = read({"type": "input_file", "filename": "x.pdf", "file_data": encoded(content)})
    assert note == TextPart("[file x.pdf left out: it is not a text file]")
    assert ignored == ("input[0].content[0].file_data",)


def test_files_that_are_too_large_leave_a_note():
    data = encoded(b"a" * (MAX_FILE_BYTES + 1))
    [note], ignored = read({"type": "input_file", "filename": "x.log", "file_data": data})
    assert note == TextPart("[file x.log left out: it is larger than this server reads]")
    assert ignored == ("input[0].content[0].file_data",)


def test_an_image_sent_as_a_file_is_an_image():
    url = "data:image/png;base64,AA"
    assert read({"type": "input_file", "filename": "x.png", "file_data": url}) == ((ImagePart(url, "auto"),), ())


@pytest.mark.parametrize("field", ["file_id", "file_url"])
def test_files_that_are_kept_elsewhere_leave_a_note(field):
    [note], ignored = read({"type": "input_file", field: "https://example.org/x.txt"})
    assert note == TextPart("[file unnamed left out: its content is not part of the request]")
    assert ignored == (f"input[0].content[0].{field}",)


@pytest.mark.parametrize("data", ["not base64!", "data:text/plain;base64,%%%", "AAA", "é"])
def test_a_file_that_is_no_base64_is_refused(data):
    with pytest.raises(InvalidRequest) as caught:
        read({"type": "input_file", "filename": "x", "file_data": data})
    assert caught.value.param == "input[0].content[0].file_data"


def test_parts_of_other_kinds_are_reported():
    assert read({"type": "input_audio", "data": "x"}) == ((), ("input[0].content[0].type=input_audio",))

"""Images by URL: fetched from public addresses only, whatever name, redirect or notation leads elsewhere."""

from __future__ import annotations

import asyncio
import base64
import logging
import ssl
import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from test_router import MODEL, PlayedEngine, post, served

from sgcx.errors import InvalidRequest
from sgcx.http import images
from sgcx.http.images import ImageFetcher, image_fetcher, is_public
from sgcx.http.recent_images import MAX_AGE_S, FetchedImage, RecentImages
from sgcx.responses.deltas import Finished, TextDelta
from sgcx.responses.items import ImagePart, Message, ToolOutput

SEES_IMAGES = replace(MODEL, images=True)
PIXEL = b"\x89PNG\r\n\x1a\n"
DATA_URL = f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """For 127.0.0.1 and localhost; it is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("certificate") / "test.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@contextmanager
def site(certificate, pages):
    """A web site over TLS. `pages`: path → (status, headers, body); yields its address and what was asked of it."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.headers["host"], self.path))
            status, headers, body = pages[self.path]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"localhost:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def fetched(*urls, may_ask=lambda _: True, certificate=None):
    items = [Message("user", tuple(ImagePart(url, "auto") for url in urls))]
    trust = None if certificate is None else ssl.create_default_context(cafile=certificate)
    return asyncio.run(ImageFetcher(may_ask, trust=trust).fetch(items))


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:4700::1111", True),
        ("::ffff:93.184.215.14", True),
        ("64:ff9b::5db8:d70e", True),
        *(
            (inside, False)
            for inside in (
                "127.0.0.1",
                "0.0.0.0",
                "10.1.2.3",
                "172.16.0.1",
                "192.168.1.1",
                "100.64.0.1",
                "169.254.169.254",
                "224.0.0.1",
                "255.255.255.255",
                "::",
                "::1",
                "fe80::1",
                "fec0::1",
                "fd00::1",
                "ff02::1",
                "::ffff:127.0.0.1",
                "::127.0.0.1",
                "2002:7f00:1::",
                "64:ff9b::7f00:1",
            )
        ),
    ],
)
def test_which_addresses_are_public(address, public):
    assert is_public(ip_address(address)) is public


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "169.254.169.254"]
)
def test_no_notation_leads_inside(host):
    with pytest.raises(InvalidRequest, match="no public address") as refused:
        fetched(f"https://{host}/x.png", may_ask=is_public)
    assert (refused.value.code, refused.value.param) == ("invalid_image_url", "input")


def test_an_image_is_asked_for_once_by_its_name(certificate, caplog):
    caplog.set_level(logging.INFO)
    with site(certificate, {"/a.png?x=1": (200, {"content-type": "image/png"}, PIXEL)}) as (host, asked):
        url = f"https://{host}/a.png?x=1"
        assert fetched(url, url, "data:image/png;base64,AA", certificate=certificate) == {url: DATA_URL}
    assert asked == [(host, "/a.png?x=1")]
    assert "a.png" not in caplog.text, "URLs can hold secrets"


def test_an_image_of_the_history_is_not_fetched_with_each_turn(certificate):
    image = {"content-type": "image/png"}
    pages = {
        "/a.png": (200, image, PIXEL),
        "/b.png": (200, image, PIXEL),
        "/live.png": (200, {**image, "cache-control": "private, no-store"}, PIXEL),
    }
    trust = ssl.create_default_context(cafile=certificate)
    fetcher = ImageFetcher(lambda _: True, trust=trust)
    with site(certificate, pages) as (host, asked):

        def turn(*paths):
            parts = tuple(ImagePart(f"https://{host}{path}", "auto") for path in paths)
            found = asyncio.run(fetcher.fetch([Message("user", parts)]))
            assert found == {part.url: DATA_URL for part in parts}

        turn("/a.png", "/live.png")
        turn("/a.png", "/live.png", "/b.png")
    assert sorted(path for _, path in asked) == ["/a.png", "/b.png", "/live.png", "/live.png"]


def test_images_that_are_remembered_take_their_room_in_a_request(certificate, monkeypatch):
    monkeypatch.setattr(images, "MAX_BYTES", 2 * len(PIXEL))
    pages = {f"/{name}.png": (200, {"content-type": "image/png"}, PIXEL) for name in "abc"}
    fetcher = ImageFetcher(lambda _: True, trust=ssl.create_default_context(cafile=certificate))
    with site(certificate, pages) as (host, _):
        parts = [ImagePart(f"https://{host}{path}", "auto") for path in pages]
        assert len(asyncio.run(fetcher.fetch([Message("user", tuple(parts[:2]))]))) == 2
        with pytest.raises(InvalidRequest, match="larger than"):
            asyncio.run(fetcher.fetch([Message("user", tuple(parts))]))


def test_images_are_remembered_for_a_while_and_as_far_as_there_is_room():
    now = 0.0
    recent = RecentImages(lambda: now)
    large = FetchedImage("x" * (30 << 20), 30 << 20)
    for url in ("a", "b", "c"):
        recent.put(url, large)
    assert [url for url in "abc" if recent.get(url)] == ["b", "c"]
    recent.put("b", large)
    now = MAX_AGE_S - 1
    recent.put("d", FetchedImage("x", 1))
    now = MAX_AGE_S
    assert [url for url in "abcd" if recent.get(url)] == ["d"]


def test_a_redirect_is_a_new_url(certificate):
    pages = {"/here": (302, {"location": "/there"}, b""), "/there": (200, {"content-type": "image/png"}, PIXEL)}
    with site(certificate, pages) as (host, asked):
        url = f"https://{host}/here"
        assert fetched(url, certificate=certificate) == {url: DATA_URL}
        assert len(asked) == 2
        for inside in ("https://[::1]/x.png", "http://127.0.0.1/x.png", "file:///etc/passwd"):
            pages["/here"] = (302, {"location": inside}, b"")
            with pytest.raises(InvalidRequest) as refused:
                fetched(url, may_ask=lambda address: str(address) == "127.0.0.1", certificate=certificate)
            assert refused.value.code == "invalid_image_url"
        pages["/here"] = (302, {"location": "/here"}, b"")
        with pytest.raises(InvalidRequest, match="redirects"):
            fetched(url, certificate=certificate)


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ((404, {}, b""), "HTTP status 404"),
        ((200, {"content-type": "text/html; charset=utf-8"}, b"secret"), "no image but 'text/html'"),
        ((200, {"content-type": "image/png"}, bytes(1001)), "larger than"),
    ],
)
def test_what_is_no_image_or_too_large_is_an_error_that_says_so(certificate, monkeypatch, page, reason):
    monkeypatch.setattr(images, "MAX_BYTES", 1000)
    with site(certificate, {"/a": page}) as (host, _), pytest.raises(InvalidRequest, match=reason) as failed:
        fetched(f"https://{host}/a", certificate=certificate)
    assert failed.value.code == "failed_to_download_image"
    assert "secret" not in failed.value.message


def test_a_site_that_cannot_prove_its_name_is_not_heard(certificate):
    with (
        site(certificate, {"/a.png": (200, {"content-type": "image/png"}, PIXEL)}) as (host, asked),
        pytest.raises(InvalidRequest, match="cannot be fetched"),
    ):
        fetched(f"https://{host}/a.png")
    assert not asked


@pytest.mark.parametrize("url", ["https://", "https://a..b/x.png", "https://[::1/x.png", "https://\ud800.example/"])
def test_what_is_no_url_is_an_error_of_the_request(url):
    with pytest.raises(InvalidRequest, match="cannot be fetched"):
        fetched(url)


def test_the_engine_is_given_the_image_itself(certificate):
    engine = PlayedEngine([TextDelta("a pixel"), Finished("stop")])
    with site(certificate, {"/a.png": (200, {"content-type": "image/png"}, PIXEL)}) as (host, _):
        picture = {"type": "input_image", "image_url": f"https://{host}/a.png"}
        output = {"type": "function_call_output", "call_id": "c", "output": [picture]}
        sent = [{"role": "user", "content": [picture]}, output]
        trust = ssl.create_default_context(cafile=certificate)
        with served(engine, SEES_IMAGES, images=ImageFetcher(lambda _: True, trust=trust)) as http:
            assert post(http, input=sent).status_code == 200
        with served(engine, SEES_IMAGES, images=image_fetcher({})) as http:
            refused = post(http, input=sent)
    assert str(engine.requests[0].messages).count(DATA_URL) == 2
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_image_url")


def test_a_setting_of_the_server_allows_every_address():
    assert fetched_from(image_fetcher({"SGCX_PRIVATE_IMAGES": "1"})) == "failed_to_download_image"
    assert fetched_from(image_fetcher({})) == "invalid_image_url"


def fetched_from(fetcher):
    """How it fails where nothing listens."""
    with pytest.raises(InvalidRequest) as failed:
        asyncio.run(fetcher.fetch([ToolOutput("c", (ImagePart("https://127.0.0.1:1/x.png", "auto"),))]))
    return failed.value.code

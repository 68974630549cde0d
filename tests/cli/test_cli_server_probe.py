"""What doctor asks a running server, against a small real HTTP server."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sgcx.errors import LaunchFailed
from sgcx.workflows.server_probe import probe_endpoint

Serve = Callable[[list[dict[str, str]]], str]
KEY = "sgcx-key"


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[ThreadingHTTPServer] = []

    def start(answer: list[dict[str, str]]) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(answer))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/v1"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_an_answer_is_counted_and_timed(serve: Serve) -> None:
    url = serve([{"type": "response.created"}, {"type": "x", "delta": "a\u2028b"}, {"type": "response.incomplete"}])
    result = probe_endpoint(url, "model", KEY)
    assert (result.models, result.events, result.end) == (("model",), 3, "response.incomplete")
    assert 0 < result.first_event_s <= result.total_s


def test_a_wrong_key_is_said(serve: Serve) -> None:
    with pytest.raises(LaunchFailed, match="/v1/models answers 401"):
        probe_endpoint(serve([]), "model", "another")


@pytest.mark.parametrize(
    ("answer", "end"),
    [
        ([], "nothing"),
        ([{"type": "response.created"}], "response.created"),
        ([{"type": "response.failed"}], "response.failed"),
    ],
)
def test_an_answer_without_a_good_end_is_said(serve: Serve, answer: list[dict[str, str]], end: str) -> None:
    with pytest.raises(LaunchFailed, match=f"/responses ends with {end} instead of response.completed"):
        probe_endpoint(serve(answer), "model", KEY)


def test_something_else_on_the_port_is_said(serve: Serve) -> None:
    with pytest.raises(LaunchFailed, match="does not answer as it should"):
        probe_endpoint(serve([{"no": "type"}]), "model", KEY)


def _handler(answer: list[dict[str, str]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(b'{"object": "list", "data": [{"id": "model"}]}')

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            events = b"".join(b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n" for event in answer)
            self._send(events + b"data: [DONE]\n\n")

        def _send(self, body: bytes) -> None:
            self.send_response(200 if self.headers["Authorization"] == f"Bearer {KEY}" else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    return Handler

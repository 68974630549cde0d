"""A small HTTP server that answers /v1/responses with events that a test chooses for each request."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Request = dict[str, Any]
Reply = tuple[int, object]
"""A status, and the events of a stream (200) or the body of an error."""

KEY = "sgcx-key"
MODEL = "model"


@dataclass
class ResponsesServer:
    base_url: str
    requests: list[Request] = field(default_factory=list)


@contextmanager
def serve(answer: Callable[[Request], Reply]) -> Iterator[ResponsesServer]:
    requests: list[Request] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(answer, requests))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    try:
        yield ResponsesServer(f"http://127.0.0.1:{server.server_port}/v1", requests)
    finally:
        server.shutdown()
        server.server_close()


def stream(*items: Request, end: str = "response.completed") -> Reply:
    done = [{"type": "response.output_item.done", "item": item} for item in items]
    return 200, [{"type": "response.created"}, *done, {"type": end}]


def _handler(answer: Callable[[Request], Reply], requests: list[Request]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(200, json.dumps({"object": "list", "data": [{"id": MODEL}]}).encode())

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            requests.append(request)
            status, body = answer(request)
            if status == 200 and isinstance(body, list):
                events = b"".join(b"data: " + json.dumps(each, ensure_ascii=False).encode() + b"\n\n" for each in body)
                self._send(status, events + b"data: [DONE]\n\n")
            else:
                self._send(status, json.dumps(body).encode())

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status if self.headers["Authorization"] == f"Bearer {KEY}" else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    return Handler

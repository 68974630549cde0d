"""A model hub on the loopback: what huggingface_hub asks for, files with ranges, and a network that breaks."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "a1" * 20
SHARDS = [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]


def safetensors(seed: int, length: int) -> bytes:
    """A file as the format wants it: header length, header, data."""
    header = json.dumps({f"t{seed}": {"dtype": "U8", "shape": [length], "data_offsets": [0, length]}}).encode()
    return (
        len(header).to_bytes(8, "little")
        + header
        + (bytes((seed + each) % 251 for each in range(997)) * (length // 997 + 1))[:length]
    )


@dataclass
class Hub:
    """`cut_after_bytes`: the next bodies break off there, as many as `cuts`. The next `held_bodies` large
    ones stop halfway until `released`."""

    files: dict[str, bytes]
    url: str = ""
    cut_after_bytes: int = 0
    cuts: int = 0
    held_bodies: int = 0
    released: threading.Event = field(default_factory=threading.Event)
    status: int = 200
    error_code: str = ""
    token: str | None = None
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path, Range."""

    def downloads(self) -> list[tuple[str, str | None]]:
        return [
            (path.split("/")[-1], ranged)
            for method, path, ranged in self.requests
            if method == "GET" and "/resolve/" in path
        ]

    def siblings(self) -> list[dict[str, object]]:
        return [{"rfilename": name, **_facts(name, content)} for name, content in self.files.items()]

    def tree(self) -> list[dict[str, object]]:
        entries = []
        for name, content in self.files.items():
            facts = _facts(name, content)
            entries.append({"type": "file", "path": name, "oid": facts["blobId"], **facts})
            if "lfs" in facts:
                entries[-1]["lfs"] = {**facts["lfs"], "oid": facts["lfs"]["sha256"]}  # type: ignore[dict-item,index]
        return entries


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _facts(name: str, content: bytes) -> dict[str, object]:
    facts: dict[str, object] = {"size": len(content), "blobId": git_hash(content)}
    if name.endswith((".safetensors", ".bin")):
        digest = hashlib.sha256(content).hexdigest()
        facts["lfs"] = {"size": len(content), "sha256": digest, "pointerSize": 134}
    return facts


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._serve(body=False)

    def do_GET(self) -> None:
        self._serve(body=True)

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self, *, body: bool) -> None:
        path = self.path.split("?")[0]
        self.hub.requests.append((self.command, path, self.headers.get("Range")))
        if self.hub.token is not None and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            self._answer(401, b"{}", {"X-Error-Code": "GatedRepo"}, body=body)
        elif self.hub.status != 200:
            self._answer(self.hub.status, b"{}", {"X-Error-Code": self.hub.error_code}, body=body)
        elif "/tree/" in path:
            self._answer(200, json.dumps(self.hub.tree()).encode(), {"Content-Type": "application/json"}, body=body)
        elif path.startswith("/api/models/"):
            info = {"id": "owner/model", "modelId": "owner/model", "sha": COMMIT, "siblings": self.hub.siblings()}
            self._answer(200, json.dumps(info).encode(), {"Content-Type": "application/json"}, body=body)
        else:
            self._file(path.split(f"/resolve/{COMMIT}/")[-1], body=body)

    def _file(self, name: str, *, body: bool) -> None:
        content = self.hub.files.get(name)
        if content is None:
            self._answer(404, b"{}", {"X-Error-Code": "EntryNotFound"}, body=body)
            return
        facts = _facts(name, content)
        etag = facts["lfs"]["sha256"] if "lfs" in facts else facts["blobId"]  # type: ignore[index]
        begin = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if begin:
            headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
        self._answer(206 if begin else 200, content[begin:], headers, body=body)

    def _answer(self, status: int, content: bytes, headers: dict[str, str], *, body: bool) -> None:
        self.send_response(status)
        for header, value in headers.items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if not body:
            return
        if self.hub.cuts > 0 and len(content) > self.hub.cut_after_bytes:
            self.hub.cuts -= 1
            self.wfile.write(content[: self.hub.cut_after_bytes])
            self.close_connection = True
        elif self.hub.held_bodies > 0 and len(content) > 100_000:
            self.hub.held_bodies -= 1
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            self.hub.released.wait(60)
            self.close_connection = True
        else:
            self.wfile.write(content)


@contextmanager
def serve_hub(files: dict[str, bytes]) -> Iterator[Hub]:
    hub = Hub(files)
    handler = type("Handler", (_Handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        hub.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            hub.released.set()
            server.shutdown()
            thread.join()

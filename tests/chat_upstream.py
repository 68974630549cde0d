"""A chat completions server that plays what a test gives it: real sockets, real HTTP, no model."""

from __future__ import annotations

import asyncio
import atexit
import json
import socket
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import count

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

DONE = b"data: [DONE]\n\n"


class Cut(Exception):
    """In a play: the connection breaks here."""


def sse(document):
    return b"data: " + json.dumps(document, ensure_ascii=False).encode() + b"\n\n"


def chunk(finish_reason=None, **delta):
    return {
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    }


def call(index, name=None, arguments=None, call_id=None):
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {"index": index, "id": call_id, "type": "function", "function": function}


def usage(prompt, completion, cached=0, reasoning=0):
    return {
        "choices": [],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        },
    }


@dataclass
class PlayedUpstream:
    """`play`: chunks (dicts), bytes as they are, a float to wait, `Cut()`; or a whole answer: status, body, headers.

    A tuple is played to every request, a list has one play for each.
    """

    play: object = ()
    model: str = "m"
    models: object = None
    sglang_version: str = "0.5.10.post1"
    grammar_backend: str | None = None
    reasoning_parser: str | None = "kimi_k2"
    requests: list = field(default_factory=list)
    headers: list = field(default_factory=list)
    peers: list = field(default_factory=list)
    times: list = field(default_factory=list)
    """When each request came, in seconds."""
    left: threading.Event = field(default_factory=threading.Event)
    """A client went away in the middle of a stream."""
    url: str = ""

    async def list(self, _):
        entry = {"id": self.model, "object": "model", "owned_by": "sglang", "max_model_len": 1000}
        return JSONResponse({"object": "list", "data": [entry] if self.models is None else self.models})

    async def server_info(self, _):
        return JSONResponse(
            {
                "version": self.sglang_version,
                "grammar_backend": self.grammar_backend,
                "reasoning_parser": self.reasoning_parser,
            }
        )

    async def complete(self, request):
        self.requests.append(await request.json())
        self.headers.append(request.headers)
        self.peers.append(request.client.port)
        self.times.append(time.monotonic())
        play = self.play[len(self.requests) - 1] if isinstance(self.play, list) else self.play
        if play and isinstance(play[0], int):
            status, body, headers = play
            return Response(body if isinstance(body, bytes) else json.dumps(body), status_code=status, headers=headers)
        return StreamingResponse(self._stream(play), media_type="text/event-stream")

    async def _stream(self, play):
        finished = False
        try:
            for step in play:
                match step:
                    case float():
                        await asyncio.sleep(step)
                    case bytes():
                        yield step
                    case Cut():
                        raise step
                    case _:
                        yield sse(step)
            finished = True
        except Cut:
            finished = True
            raise
        finally:
            if not finished:
                self.left.set()


@contextmanager
def running(app, *, log_level="critical"):
    """The port of a real server in a thread."""
    config = uvicorn.Config(app, port=0, log_level=log_level, timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)


_PLAYING = {}
"""Upstreams by the first part of their path: one server plays them all, since starting one takes its time."""


async def _dispatch(request):
    upstream = _PLAYING.get(request.path_params["number"])
    if upstream is None:
        return JSONResponse({"error": "gone"}, status_code=410)
    if request.url.path.endswith("/server_info"):
        return await upstream.server_info(request)
    return await (upstream.complete if request.method == "POST" else upstream.list)(request)


@cache
def _port():
    routes = [
        Route("/{number:int}/v1/chat/completions", _dispatch, methods=["POST"]),
        Route("/{number:int}/v1/models", _dispatch, methods=["GET"]),
        Route("/{number:int}/server_info", _dispatch, methods=["GET"]),
        Route("/{number:int}/tokenize", _dispatch, methods=["POST"]),
    ]
    server = ExitStack()
    atexit.register(server.close)
    return server.enter_context(running(Starlette(routes=routes)))


@contextmanager
def played(play=(), **options):
    number = next(_NUMBERS)
    upstream = PlayedUpstream(play, url=f"http://127.0.0.1:{_port()}/{number}/v1", **options)
    _PLAYING[number] = upstream
    try:
        yield upstream
    finally:
        del _PLAYING[number]


_NUMBERS = count()


@contextmanager
def nobody_there():
    """The URL of a port that refuses connections: bound, and not listening."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/v1"

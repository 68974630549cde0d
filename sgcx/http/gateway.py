"""The Responses endpoint as a server of its own, in front of an engine that runs elsewhere."""

from __future__ import annotations

import gc
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Protocol

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sgcx.http.authentication import RequireApiKey
from sgcx.http.endpoint import Endpoint
from sgcx.http.errors import JSON
from sgcx.http.local_only import LocalOnly
from sgcx.http.request_ids import identified
from sgcx.http.router import create_router
from sgcx.http.routes.unserved import unknown_path
from sgcx.http.websocket import WEBSOCKET_OPTIONS

KEEP_ALIVE_S = 75
"""Longer than clients keep idle connections, so that none finds its connection closed under a request."""
_SHUTDOWN_S = 10


class Upstream(Protocol):
    """What the app needs of the engine's connection, apart from its answers."""

    async def healthy(self) -> bool: ...

    async def aclose(self) -> None: ...


def build_app(endpoint: Endpoint, upstream: Upstream, *, api_key: str | None, host: str) -> Starlette:
    """`api_key`: what clients must send; None asks for none, and answers only who reaches it as `host`.

    The app closes `upstream` when it ends.
    """

    async def health(_: Request) -> Response:
        if await upstream.healthy():
            return _json(200, "ok")
        return _json(503, "the upstream engine does not answer")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await upstream.aclose()

    return Starlette(
        routes=[*create_router(endpoint).routes, *identified([Route("/health", health, methods=["GET"])])],
        middleware=[
            Middleware(LocalOnly, host=host) if api_key is None else Middleware(RequireApiKey, api_key=api_key)
        ],
        exception_handlers={HTTPStatus.NOT_FOUND: unknown_path},
        lifespan=lifespan,
    )


def serve(app: Starlette, *, host: str, port: int, on_ready: Callable[[], None]) -> None:
    """Serves until SIGINT or SIGTERM; running answers get some seconds to end. SIGINT raises KeyboardInterrupt."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level=logging.WARNING,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=_SHUTDOWN_S,
        **WEBSOCKET_OPTIONS,
    )
    _Server(config, on_ready).run()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, *args: object, **options: object) -> None:
        await super().startup(*args, **options)  # type: ignore[arg-type]  # passed through as it came
        # What is there now stays: looking through it again and again would hold up all streams.
        gc.freeze()
        if self.started and not self.should_exit:
            self._on_ready()


def _json(status: int, state: str) -> Response:
    return Response(orjson.dumps({"status": state}), status_code=status, media_type=JSON)

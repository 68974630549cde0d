"""The request id in the headers of every answer, an error or not."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from starlette.datastructures import MutableHeaders
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sgcx.http.ids import new_id

REQUEST_ID = "x-request-id"


def identified(routes: Sequence[BaseRoute]) -> list[BaseRoute]:
    """The same routes, whose answers carry a request id from now on: their own, where they give one."""
    for route in routes:
        if isinstance(route, Route):
            route.app = _Identify(route.app)
    return list(routes)


class _Identify:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        def identify(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault(REQUEST_ID, new_id("req"))
            return send(message)

        await self._app(scope, receive, identify)

"""What is not served: other methods of our paths, and in the gateway other paths. Refused in the API's envelope."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from sgcx.http.errors import envelope
from sgcx.http.ids import new_id

_MAX_PATH_CHARACTERS = 100


def refuse_other_methods(routes: Iterable[BaseRoute]) -> list[Route]:
    """Routes to stand behind `routes`: one for each path, which takes every method."""
    methods: dict[str, set[str]] = {}
    for route in routes:
        if isinstance(route, Route):
            methods.setdefault(route.path, set()).update(route.methods or ())
    return [Route(path, _OtherMethods(", ".join(sorted(served)))) for path, served in methods.items()]


class _OtherMethods:
    def __init__(self, served: str) -> None:
        self._served = served

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = envelope(
            HTTPStatus.METHOD_NOT_ALLOWED,
            f"This path takes {self._served} and nothing else",
            code="method_not_supported",
            request_id=new_id("req"),
            headers={"Allow": self._served},
        )
        await refusal(scope, receive, send)


async def unknown_path(request: Request, _: Exception) -> Response:
    """A handler for Starlette's own 404."""
    path = request.url.path[:_MAX_PATH_CHARACTERS]
    return envelope(
        HTTPStatus.NOT_FOUND, f"Nothing is served at {path!r}", code="unknown_url", request_id=new_id("req")
    )

"""What handlers of kept things share: JSON out, errors translated, unknown ids."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from sgcx.http.errors import CLIENT_CLOSED_REQUEST, JSON, envelope, error_response
from sgcx.http.ids import new_id
from sgcx.responses.wire import JsonObject

Handler = Callable[[Request], Awaitable[ASGIApp]]


def answering(handler: Handler) -> Handler:
    """`handler`, with whatever it raises as the API's error envelope."""

    async def answer(request: Request) -> ASGIApp:
        try:
            return await handler(request)
        except ClientDisconnect:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        except Exception as error:
            return error_response(error, request_id=new_id("req"))

    return answer


def answer_json(value: JsonObject, *, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(value), media_type=JSON, headers=headers)


def not_found(what: str, key: str) -> Response:
    message = f"{what} with id {key!r} not found"
    return envelope(HTTPStatus.NOT_FOUND, message, code=None, request_id=new_id("req"))

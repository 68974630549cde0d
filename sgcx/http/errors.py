"""The one place where an error becomes an answer: OpenAI's envelope, string codes, a request id."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sgcx.errors import EngineError, InvalidRequest
from sgcx.http.bodies import UNSUPPORTED_ENCODING
from sgcx.http.request_ids import REQUEST_ID
from sgcx.responses.wire import JsonObject

logger = logging.getLogger(__name__)

JSON = "application/json"
CLIENT_CLOSED_REQUEST = 499
"""nginx's word for a client that left before it had an answer."""
ERROR_CODE = "sgcx.error_code"
"""In an ASGI scope: the code of the error that answers it."""
_STATUSES = {"model_not_found": HTTPStatus.NOT_FOUND, UNSUPPORTED_ENCODING: HTTPStatus.UNSUPPORTED_MEDIA_TYPE}
"""All other codes of `InvalidRequest` are 400."""
_POLICY_VIOLATION = 1008


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as a client may see it, whatever carries it there."""

    status: int
    message: str
    code: str | None
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def shown(self, request_id: str) -> JsonObject:
        """OpenAI's error object."""
        kind = "invalid_request_error" if self.status < 500 and self.status != 429 else "server_error"
        return {
            "message": self.message,
            "type": kind,
            "param": self.param,
            "code": self.code,
            "request_id": request_id,
        }


def problem_of(error: Exception, *, request_id: str) -> Problem:
    """Unexpected exceptions go to the log with their traceback; the client learns the request id only."""
    match error:
        case InvalidRequest():
            status = _STATUSES.get(error.code, HTTPStatus.BAD_REQUEST)
            return Problem(status, error.message, error.code, error.param)
        case EngineError():
            headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
            return Problem(error.status, error.message, error.code, headers=headers)
        case _:
            logger.error("request %s failed", request_id, exc_info=error)
            message = f"Internal error; the server's log has the details under {request_id}"
            return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, message, "server_error")


def error_response(error: Exception, *, request_id: str) -> Response:
    return _response(problem_of(error, request_id=request_id), request_id)


def envelope(
    status: int,
    message: str,
    *,
    code: str | None,
    param: str | None = None,
    request_id: str,
    headers: dict[str, str] | None = None,
) -> Response:
    return _response(Problem(status, message, code, param, headers or {}), request_id)


def _response(problem: Problem, request_id: str) -> Response:
    return _ErrorResponse(
        problem.code,
        orjson.dumps({"error": problem.shown(request_id)}),
        status_code=problem.status,
        media_type=JSON,
        headers={REQUEST_ID: request_id, **problem.headers},
    )


class _ErrorResponse(Response):
    """Leaves its code in the scope, for whoever counts."""

    def __init__(
        self, code: str | None, content: bytes, *, status_code: int, media_type: str, headers: Mapping[str, str]
    ) -> None:
        super().__init__(content, status_code=status_code, media_type=media_type, headers=headers)
        self._code = code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[ERROR_CODE] = self._code
        await super().__call__(scope, receive, send)


async def refuse(refusal: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Sends `refusal`, in place of a WebSocket too, where the server can; a WebSocket is closed unheard otherwise."""
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
    else:
        await refusal(scope, receive, send)

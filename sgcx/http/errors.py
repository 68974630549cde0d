"""The one place where an error becomes an HTTP answer: OpenAI's envelope, string codes, a request id."""

from __future__ import annotations

import logging
from http import HTTPStatus

import orjson
from starlette.responses import Response

from sgcx.errors import EngineError, InvalidRequest
from sgcx.http.bodies import UNSUPPORTED_ENCODING
from sgcx.responses.wire import JsonObject

logger = logging.getLogger(__name__)

JSON = "application/json"
_STATUSES = {"model_not_found": HTTPStatus.NOT_FOUND, UNSUPPORTED_ENCODING: HTTPStatus.UNSUPPORTED_MEDIA_TYPE}
"""All other codes of `InvalidRequest` are 400."""


def error_response(error: Exception, *, request_id: str) -> Response:
    """Unexpected exceptions go to the log with their traceback; the client learns the request id only."""
    match error:
        case InvalidRequest():
            status = _STATUSES.get(error.code, HTTPStatus.BAD_REQUEST)
            return envelope(status, error.message, code=error.code, param=error.param, request_id=request_id)
        case EngineError():
            headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
            return envelope(error.status, error.message, code=error.code, request_id=request_id, headers=headers)
        case _:
            logger.error("request %s failed", request_id, exc_info=error)
            message = f"Internal error; the server's log has the details under {request_id}"
            return envelope(500, message, code="server_error", request_id=request_id)


def envelope(
    status: int,
    message: str,
    *,
    code: str | None,
    param: str | None = None,
    request_id: str,
    headers: dict[str, str] | None = None,
) -> Response:
    kind = "invalid_request_error" if status < 500 and status != 429 else "server_error"
    error: JsonObject = {"message": message, "type": kind, "param": param, "code": code, "request_id": request_id}
    return Response(
        orjson.dumps({"error": error}),
        status_code=status,
        media_type=JSON,
        headers={"x-request-id": request_id, **(headers or {})},
    )

"""The Responses endpoint: routes over any `Engine`. A plain Starlette router, so that any ASGI app can mount it."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp

from sgcx.http.background import BackgroundRuns
from sgcx.http.bodies import read_json
from sgcx.http.endpoint import REASONING_INCLUDED, Endpoint
from sgcx.http.errors import CLIENT_CLOSED_REQUEST, envelope, error_response
from sgcx.http.event_stream import EventStream, terminal_event
from sgcx.http.ids import new_id
from sgcx.http.metrics import counted
from sgcx.http.request_ids import REQUEST_ID, identified
from sgcx.http.routes.answering import answer_json
from sgcx.http.routes.compact import compact_route
from sgcx.http.routes.input_tokens import input_tokens_route
from sgcx.http.routes.metrics import metrics_route
from sgcx.http.routes.models import model_routes
from sgcx.http.routes.stored import create_stored_routes
from sgcx.http.routes.unserved import refuse_other_methods
from sgcx.http.turn.creation import Creation, create_response
from sgcx.http.turn.keeping import Turn, open_turn
from sgcx.http.websocket import websocket_route
from sgcx.responses.wire import JsonValue

IGNORED_HEADER = "x-sgcx-ignored"


def create_router(endpoint: Endpoint) -> Router:
    runs = BackgroundRuns(heartbeat_s=endpoint.heartbeat_s)
    responses = _Responses(endpoint, runs)
    routes: list[BaseRoute] = [
        Route("/v1/responses", responses.create, methods=["POST"]),
        Route("/v1/responses", _exists, methods=["HEAD"]),
        input_tokens_route(endpoint),
        compact_route(endpoint),
        websocket_route(endpoint),
        *model_routes(endpoint),
        *([] if endpoint.storage is None else create_stored_routes(endpoint.storage, runs)),
    ]
    others = [metrics_route(endpoint.metrics), *refuse_other_methods(routes)]
    return Router(routes=identified([*counted(routes, endpoint.metrics), *others]))


async def _exists(_: Request) -> Response:
    """`codex doctor` asks whether anything is here."""
    return Response(status_code=200)


class _Responses:
    """`POST /v1/responses`: streamed, whole, or in the background."""

    def __init__(self, endpoint: Endpoint, runs: BackgroundRuns) -> None:
        self._endpoint = endpoint
        self._runs = runs

    async def create(self, http_request: Request) -> ASGIApp:
        response_id = new_id("resp")
        try:
            turn = await open_turn(self._endpoint.storage, await read_json(http_request))
            creation = await create_response(self._endpoint, turn, http_request, response_id)
            return await self._answer(creation, turn, http_request)
        except ClientDisconnect:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        except Exception as error:
            return error_response(error, request_id=response_id)

    async def _answer(self, creation: Creation, turn: Turn, http_request: Request) -> ASGIApp:
        request, stream, batches = creation.request, creation.stream, creation.batches
        headers = {REQUEST_ID: stream.response_id, **REASONING_INCLUDED, **creation.told}
        if creation.ignored:
            headers[IGNORED_HEADER] = creation.ignored
        if request.background:
            run = self._runs.start(stream, turn, batches)
            await run.started()
            if request.stream:
                return run.event_stream(headers)
            return answer_json(run.response, headers=headers)
        if request.stream:
            return EventStream(batches, stream, heartbeat_s=self._endpoint.heartbeat_s, headers=headers)
        terminal = await terminal_event(batches, http_request.receive)
        if creation.generation.refusal is not None:  # no header is out yet, so a late refusal still has its status
            raise creation.generation.refusal
        if terminal is None:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        return _whole(terminal["response"], stream.response_id, headers)


def _whole(response: JsonValue, response_id: str, headers: dict[str, str]) -> Response:
    """A failed response has no stream to be reported in, so it is an HTTP error."""
    assert isinstance(response, Mapping)
    error = response["error"]
    if isinstance(error, Mapping):
        status = 400 if error["code"] in ("context_length_exceeded", "invalid_prompt") else 500
        return envelope(status, str(error["message"]), code=str(error["code"]), request_id=response_id)
    return answer_json(response, headers=headers)

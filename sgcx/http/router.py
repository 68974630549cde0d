"""The Responses endpoint: routes over any `Engine`. A plain Starlette router, so that any ASGI app can mount it."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import time

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from sgcx.errors import InvalidRequest
from sgcx.http.background import BackgroundRuns, detached
from sgcx.http.bodies import read_json
from sgcx.http.errors import JSON, envelope, error_response
from sgcx.http.event_stream import EventStream, Generation, events, terminal_event
from sgcx.http.ids import new_id
from sgcx.http.keeping import Turn, open_turn
from sgcx.http.stored import create_stored_routes
from sgcx.responses.dialect import Dialect
from sgcx.responses.engine import Engine
from sgcx.responses.prompt import ServedModel, build_engine_request
from sgcx.responses.request import ResponsesRequest, parse_request
from sgcx.responses.seal import Seal
from sgcx.responses.storage import Storage
from sgcx.responses.stream import ResponseStream
from sgcx.responses.wire import JsonObject, JsonValue

logger = logging.getLogger(__name__)

IGNORED_HEADER = "x-sgcx-ignored"
_MAX_HEADER_CHARACTERS = 1000
_CLIENT_CLOSED_REQUEST = 499


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What the routes serve."""

    engine_for: Callable[[Request], Engine]
    """In SGLang's process the engine hangs on the app of the HTTP request."""
    dialect: Dialect
    model: ServedModel
    catalog: tuple[Mapping[str, object], ...]
    """The model's entries in Codex's own catalog format."""
    storage: Storage | None = None
    """None: nothing is kept, and what would need it is refused."""
    seal: Seal | None = None
    """None: nothing is sealed, and no blob opens."""
    heartbeat_s: float = 10.0
    peek_s: float = 2.0


def create_router(endpoint: Endpoint) -> Router:
    runs = BackgroundRuns()
    responses = _Responses(endpoint, runs)
    models = _Models(endpoint)
    return Router(
        routes=[
            Route("/v1/responses", responses.create, methods=["POST"]),
            Route("/v1/responses", _exists, methods=["HEAD"]),
            Route("/v1/models", models.list, methods=["GET"]),
            Route("/v1/models/{name:path}", models.retrieve, methods=["GET"]),
            *_stored_routes(endpoint, runs),
        ]
    )


def _stored_routes(endpoint: Endpoint, runs: BackgroundRuns) -> list[Route]:
    if endpoint.storage is None:
        return []
    return create_stored_routes(endpoint.storage, runs, heartbeat_s=endpoint.heartbeat_s)


async def _exists(_: Request) -> Response:
    """`codex doctor` asks whether anything is here."""
    return Response(status_code=200)


class _Responses:
    def __init__(self, endpoint: Endpoint, runs: BackgroundRuns) -> None:
        self._endpoint = endpoint
        self._runs = runs

    async def create(self, http_request: Request) -> ASGIApp:
        request_id = new_id("resp")
        try:
            turn = await open_turn(self._endpoint.storage, await read_json(http_request))
            request = parse_request(turn.body, earlier=turn.earlier, stateful=self._endpoint.storage is not None)
            return await self._respond(request, turn, http_request, request_id)
        except ClientDisconnect:
            return Response(status_code=_CLIENT_CLOSED_REQUEST)
        except Exception as error:
            return error_response(error, request_id=request_id)

    async def _respond(self, request: ResponsesRequest, turn: Turn, http_request: Request, request_id: str) -> ASGIApp:
        endpoint = self._endpoint
        job = build_engine_request(request, request_id=request_id, model=endpoint.model, dialect=endpoint.dialect)
        client = detached(http_request) if request.background else http_request
        generation = Generation(endpoint.engine_for(client).generate(job))
        if not request.background:
            await generation.peek(endpoint.peek_s)
        stream = ResponseStream(
            response_id=request_id,
            model=endpoint.model.name,
            tools=request.tools,
            echo=request.echo,
            new_id=new_id,
            now=lambda: int(time()),
            limited=request.max_output_tokens is not None,
            max_tool_calls=None if request.parallel_tool_calls else 1,
        )
        batches = turn.kept(events(generation, stream, request_id=request_id))
        headers = {"x-request-id": request_id, **_ignored_header(request.ignored, request_id)}
        if request.background:
            run = self._runs.start(stream, turn, batches)
            await run.started()
            if not request.stream:
                return Response(orjson.dumps(run.response), media_type=JSON, headers=headers)
            batches = run.follow()
        if request.stream:
            return EventStream(batches, stream, heartbeat_s=endpoint.heartbeat_s, headers=headers)
        terminal = await terminal_event(batches, http_request.receive)
        if generation.refusal is not None:  # no header is out yet, so a late refusal still has its status
            raise generation.refusal
        if terminal is None:
            return Response(status_code=_CLIENT_CLOSED_REQUEST)
        return _whole(terminal["response"], request_id, headers)


def _whole(response: JsonValue, request_id: str, headers: dict[str, str]) -> Response:
    """A failed response has no stream to be reported in, so it is an HTTP error."""
    error = response.get("error") if isinstance(response, Mapping) else None
    if isinstance(error, Mapping):
        status = 400 if error["code"] in ("context_length_exceeded", "invalid_prompt") else 500
        return envelope(status, str(error["message"]), code=str(error["code"]), request_id=request_id)
    return Response(orjson.dumps(response), media_type=JSON, headers=headers)


def _ignored_header(ignored: tuple[str, ...], request_id: str) -> dict[str, str]:
    if not ignored:
        return {}
    told = re.sub(r"[^ -~]", "?", ", ".join(ignored))[:_MAX_HEADER_CHARACTERS]  # it quotes the client
    logger.info("request %s: left out %s", request_id, told)
    return {IGNORED_HEADER: told}


class _Models:
    """The OpenAI list and Codex's catalog in one object: each client reads its own half."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._name = endpoint.model.name
        entry: JsonObject = {
            "id": self._name,
            "object": "model",
            "created": int(time()),
            "owned_by": "sgcx",
            "max_model_len": endpoint.model.context_length,
        }
        self._entry = orjson.dumps(entry)
        self._list = orjson.dumps({"object": "list", "data": [entry], "models": list(endpoint.catalog)})

    async def list(self, _: Request) -> Response:
        return Response(self._list, media_type=JSON)

    async def retrieve(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name == self._name:
            return Response(self._entry, media_type=JSON)
        unknown = InvalidRequest(f"The model {name!r} is not served here", param="model", code="model_not_found")
        return error_response(unknown, request_id=new_id("req"))

"""From a decoded request to a response that the engine works on: the same over HTTP and over a WebSocket."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from time import time

from starlette.requests import HTTPConnection

from sgcx.http.endpoint import Endpoint
from sgcx.http.ids import new_id
from sgcx.http.metrics import ResponseWatch
from sgcx.http.turn.generation import Generation, events
from sgcx.http.turn.keeping import Batches, Turn
from sgcx.http.turn.preparation import prepare
from sgcx.http.turn.prompts import Prompts
from sgcx.http.turn.reading import read_turn
from sgcx.responses.constraint import unenforced
from sgcx.responses.prompt import request_constraint
from sgcx.responses.request import ResponsesRequest
from sgcx.responses.stream import ResponseStream

logger = logging.getLogger(__name__)

_MAX_TOLD_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class Creation:
    """A response that has begun. Whoever holds it drains or closes `batches`: that is what ends the generation."""

    request: ResponsesRequest
    stream: ResponseStream
    generation: Generation
    batches: Batches
    """Its events, the last of which comes out once the response is kept."""
    ignored: str
    """What the request asked for and does not get, fit for a header; empty where there is nothing."""
    told: Mapping[str, str]
    """Response headers about what became of the request."""


async def create_response(endpoint: Endpoint, turn: Turn, connection: HTTPConnection, response_id: str) -> Creation:
    """Raises `InvalidRequest`, and `EngineError` where the engine refuses within the time that a status can wait."""
    watch = ResponseWatch(endpoint.metrics)
    reading = await read_turn(endpoint, turn)
    ignored = _told((*reading.request.ignored, *_left_to_the_model(endpoint, reading.request)))
    if ignored:
        logger.info("request %s: left out %s", response_id, ignored)
    prepared = await prepare(Prompts(endpoint, endpoint.engine_for(connection), response_id), reading)
    request, generation = prepared.request, Generation(prepared.deltas, watch)
    if not request.background:
        await generation.peek(endpoint.peek_s)
    stream = ResponseStream.of(
        request,
        response_id=response_id,
        model=endpoint.model.name,
        seal=endpoint.seal,
        new_id=new_id,
        now=lambda: int(time()),
    )
    batches = turn.kept(events(generation, stream, request_id=response_id))
    return Creation(request, stream, generation, batches, ignored, prepared.told)


def _left_to_the_model(endpoint: Endpoint, request: ResponsesRequest) -> tuple[str, ...]:
    return () if endpoint.enforces_grammars else unenforced(request_constraint(request))


def _told(ignored: tuple[str, ...]) -> str:
    return re.sub(r"[^ -~]", "?", ", ".join(ignored))[:_MAX_TOLD_CHARACTERS]  # it quotes the client

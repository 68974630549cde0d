"""`POST /v1/responses/compact`: a conversation in, a short one that stands for it out. Nothing is kept of it."""

from __future__ import annotations

from time import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sgcx.errors import InvalidRequest
from sgcx.http.bodies import read_json
from sgcx.http.endpoint import Endpoint
from sgcx.http.errors import CLIENT_CLOSED_REQUEST
from sgcx.http.event_stream import unless_disconnected
from sgcx.http.ids import new_id
from sgcx.http.routes.answering import answer_json, answering
from sgcx.http.turn.compaction import Compacted, compact
from sgcx.http.turn.keeping import Turn, open_turn
from sgcx.http.turn.prompts import Prompts
from sgcx.http.turn.reading import read_turn
from sgcx.responses.context.compaction import History
from sgcx.responses.item_ids import new_item_id
from sgcx.responses.output.compaction import compaction_item
from sgcx.responses.request import ResponsesRequest
from sgcx.responses.stream import usage_object
from sgcx.responses.wire import JsonObject


def compact_route(endpoint: Endpoint) -> Route:
    async def handle(http_request: Request) -> Response:
        turn = await open_turn(endpoint.storage, await read_json(http_request))
        request = await _parse(endpoint, turn)
        response_id = new_id("resp")
        prompts = Prompts(endpoint, endpoint.engine_for(http_request), response_id)
        work = compact(prompts, request, History(request.input, ()))
        result = await unless_disconnected(work, http_request.receive)
        if result is None:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        endpoint.metrics.count_usage(result.usage)
        return answer_json(_compaction(turn, result, response_id))

    return Route("/v1/responses/compact", answering(handle), methods=["POST"])


async def _parse(endpoint: Endpoint, turn: Turn) -> ResponsesRequest:
    if not isinstance(turn.body.get("model"), str):
        raise InvalidRequest("`model` is required: a string", param="model")
    return (await read_turn(endpoint, turn)).request


def _compaction(turn: Turn, result: Compacted, response_id: str) -> JsonObject:
    """The user's messages for clients that show them; the item that follows stands for them, too."""
    sent = (*turn.earlier, *turn.own)
    shown = [item for item in sent if item.get("type") == "message" and item.get("role") == "user"]
    return {
        "id": response_id,
        "object": "response.compaction",
        "created_at": int(time()),
        "output": [*shown, compaction_item(new_item_id("compaction", new_id), result.sealed)],
        "usage": usage_object(result.usage),
    }

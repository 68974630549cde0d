"""`POST /v1/responses/input_tokens`: how many tokens a request's prompt has, by the rendering that answers it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sgcx.http.bodies import read_json
from sgcx.http.endpoint import Endpoint
from sgcx.http.ids import new_id
from sgcx.http.routes.answering import answer_json, answering
from sgcx.http.turn.keeping import open_turn
from sgcx.http.turn.prompts import Prompts
from sgcx.http.turn.reading import read_turn


def input_tokens_route(endpoint: Endpoint) -> Route:
    async def count(http_request: Request) -> Response:
        turn = await open_turn(endpoint.storage, await read_json(http_request))
        prompts = Prompts(endpoint, endpoint.engine_for(http_request), new_id("req"))
        reading = await read_turn(endpoint, turn)
        tokens = await prompts.engine.count_tokens(prompts.job(reading.request))
        return answer_json({"object": "response.input_tokens", "input_tokens": tokens})

    return Route("/v1/responses/input_tokens", answering(count), methods=["POST"])

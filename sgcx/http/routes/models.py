"""`/v1/models`: the OpenAI list and Codex's catalog in one object; each client reads its own half."""

from __future__ import annotations

from time import time

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sgcx.errors import InvalidRequest
from sgcx.http.endpoint import Endpoint
from sgcx.http.errors import JSON, error_response
from sgcx.http.ids import new_id
from sgcx.responses.wire import JsonObject


def model_routes(endpoint: Endpoint) -> list[Route]:
    models = _Models(endpoint)
    return [
        Route("/v1/models", models.list, methods=["GET"]),
        Route("/v1/models/{name:path}", models.retrieve, methods=["GET"]),
    ]


class _Models:
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

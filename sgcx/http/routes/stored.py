"""Routes to what is kept: responses, their input items, their events once more, and conversations."""

from __future__ import annotations

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sgcx.http.background import BackgroundRuns
from sgcx.http.errors import envelope
from sgcx.http.ids import new_id
from sgcx.http.routes.answering import answer_json, answering, not_found
from sgcx.http.routes.conversations import conversation_routes
from sgcx.http.routes.pages import item_list, parse_integer, parse_page
from sgcx.responses import sse
from sgcx.responses.continuation.storage import Storage
from sgcx.responses.output.replay import replay
from sgcx.responses.wire import JsonObject

_RESPONSE = "/v1/responses/{response_id}"


def create_stored_routes(storage: Storage, runs: BackgroundRuns) -> list[Route]:
    """`runs`: the responses that are still in progress."""
    stored = _StoredResponses(storage, runs)
    return [
        Route(_RESPONSE, answering(stored.retrieve), methods=["GET"]),
        Route(_RESPONSE, answering(stored.delete), methods=["DELETE"]),
        Route(f"{_RESPONSE}/cancel", answering(stored.cancel), methods=["POST"]),
        Route(f"{_RESPONSE}/input_items", answering(stored.input_items), methods=["GET"]),
        *conversation_routes(storage),
    ]


class _StoredResponses:
    def __init__(self, storage: Storage, runs: BackgroundRuns) -> None:
        self._storage = storage
        self._runs = runs

    async def retrieve(self, request: Request) -> ASGIApp:
        response_id = request.path_params["response_id"]
        streamed = request.query_params.get("stream") == "true"
        starting_after = parse_integer(request.query_params, "starting_after", default=-1)
        run = self._runs.find(response_id)
        if run is not None:
            await run.started()
            return run.event_stream({}, starting_after=starting_after) if streamed else answer_json(run.response)
        stored = await self._storage.get_response(response_id)
        if stored is None:
            return not_found("Response", response_id)
        return await self._replay(stored.response, starting_after) if streamed else answer_json(stored.response)

    async def _replay(self, response: JsonObject, starting_after: int) -> Response:
        events = await self._storage.get_events(str(response["id"])) or ()
        frames = b"".join(map(sse.encode, replay(response, events, starting_after=starting_after)))
        return Response(frames + sse.DONE, media_type="text/event-stream", headers={"cache-control": "no-store"})

    async def delete(self, request: Request) -> Response:
        response_id = request.path_params["response_id"]
        await self._runs.cancel(response_id)
        if not await self._storage.delete_response(response_id):
            return not_found("Response", response_id)
        return answer_json({"id": response_id, "object": "response", "deleted": True})

    async def cancel(self, request: Request) -> Response:
        """Cancelling what has ended changes nothing; a response outside the background ends with its connection."""
        response_id = request.path_params["response_id"]
        cancelled = await self._runs.cancel(response_id)
        if cancelled is not None:
            return answer_json(cancelled)
        stored = await self._storage.get_response(response_id)
        if stored is None:
            return not_found("Response", response_id)
        if stored.response.get("background") is True:
            return answer_json(stored.response)
        return envelope(
            HTTPStatus.BAD_REQUEST,
            "Only a response that was created with `background` true can be cancelled",
            code=None,
            param="background",
            request_id=new_id("req"),
        )

    async def input_items(self, request: Request) -> Response:
        response_id = request.path_params["response_id"]
        page = parse_page(request.query_params)
        stored = await self._storage.get_response(response_id)
        if stored is None:
            return not_found("Response", response_id)
        return answer_json(item_list(stored.input_items, page))

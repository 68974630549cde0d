"""Responses over a WebSocket: one connection, one response at a time, and what it remembers in between.

Messages are answered in the order they come, whichever lane (`stream_id`) they name. A response that is not stored can
be continued on the connection that made it, and nowhere else. When the client leaves, the generation is aborted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import TypedDict

import orjson
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from sgcx.errors import InvalidRequest
from sgcx.http.bodies import MAX_BODY_BYTES, decode_json
from sgcx.http.endpoint import REASONING_INCLUDED, Endpoint
from sgcx.http.errors import Problem, problem_of
from sgcx.http.event_stream import EventPump, encoded
from sgcx.http.ids import new_id
from sgcx.http.metrics import RequestLabels
from sgcx.http.turn.creation import create_response
from sgcx.http.turn.keeping import Turn, open_turn
from sgcx.responses.client_event import parse_client_event
from sgcx.responses.continuation.recent import RecentResponses
from sgcx.responses.events import Event
from sgcx.responses.wire import JsonObject

logger = logging.getLogger(__name__)


class WebSocketOptions(TypedDict):
    """What uvicorn has to know about these connections, as it calls it."""

    ws_max_size: int
    ws_per_message_deflate: bool
    ws_ping_timeout: float | None


WEBSOCKET_OPTIONS: WebSocketOptions = {
    "ws_max_size": MAX_BODY_BYTES,
    # Events are small and many: compressing each costs more than it saves.
    "ws_per_message_deflate": False,
    # A client that runs a tool for minutes may not read meanwhile: its silence is no sign that it is gone.
    "ws_ping_timeout": None,
}

_PATH = "/v1/responses"
_MAX_WAITING_MESSAGES = 16
_TRY_AGAIN_LATER = 1013


def websocket_route(endpoint: Endpoint) -> WebSocketRoute:
    async def serve(websocket: WebSocket) -> None:
        await websocket.accept(headers=encoded(REASONING_INCLUDED))
        await _Connection(endpoint, websocket).run()

    return WebSocketRoute(_PATH, serve)


class _Connection:
    def __init__(self, endpoint: Endpoint, websocket: WebSocket) -> None:
        self._endpoint = endpoint
        self._websocket = websocket
        self._recent = RecentResponses()
        self._inbox = _Inbox()
        self._ends_at = asyncio.get_running_loop().time() + endpoint.connection_limit_s

    async def run(self) -> None:
        """Until the client leaves or the connection is too old."""
        tasks = [asyncio.ensure_future(self._read()), asyncio.ensure_future(self._answer_in_turn())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, Exception) and not isinstance(outcome, OSError):
                    logger.error("a WebSocket connection broke", exc_info=outcome)

    async def _read(self) -> None:
        """Reads on while a response is made, since only a reader learns that the client has left."""
        while (message := await self._websocket.receive())["type"] == "websocket.receive":
            text = message.get("text")
            if not self._inbox.put(message["bytes"] if text is None else text):
                await self._websocket.close(_TRY_AGAIN_LATER, "Too many requests are waiting on this connection")
                return

    async def _answer_in_turn(self) -> None:
        while (message := await self._next()) is not None:
            await self._answer(message)
        minutes = self._endpoint.connection_limit_s / 60
        limit = InvalidRequest(
            f"This connection has reached its limit of {minutes:g} minutes; open a new one",
            code="websocket_connection_limit_reached",
        )
        request_id = new_id("req")
        await _Lane(self._websocket).send([_error_event(problem_of(limit, request_id=request_id), request_id)])
        await self._websocket.close()

    async def _next(self) -> str | bytes | None:
        """None: the connection is too old. A response that runs when it gets so is not cut short."""
        if asyncio.get_running_loop().time() >= self._ends_at:
            return None
        try:
            async with asyncio.timeout_at(self._ends_at):
                return await self._inbox.get()
        except TimeoutError:
            return None

    async def _answer(self, message: str | bytes) -> None:
        response_id = new_id("resp")
        lane = _Lane(self._websocket)
        continued: str | None = None
        try:
            event = parse_client_event(decode_json(message, "message"))
            lane.stream_id, continued = event.stream_id, event.previous_response_id
            turn = await open_turn(self._endpoint.storage, event.body, self._recent)
            await self._respond(turn, lane, response_id)
            self._count(HTTPStatus.OK)
        except Exception as error:
            if continued is not None:
                self._recent.forget(continued)
            problem = problem_of(error, request_id=response_id)
            self._count(problem.status, problem.code)
            await lane.send([_error_event(problem, response_id)])

    def _count(self, status: int, code: str | None = None) -> None:
        self._endpoint.metrics.requests[RequestLabels(_PATH, "WEBSOCKET", status, code or "")] += 1

    async def _respond(self, turn: Turn, lane: _Lane, response_id: str) -> None:
        creation = await create_response(self._endpoint, turn, self._websocket, response_id)
        pump = EventPump(creation.batches, creation.stream, lane.send, heartbeat_s=self._endpoint.heartbeat_s)
        if await pump.run() and creation.stream.status in ("completed", "incomplete"):
            self._recent.remember(turn.concluded(lane.response))


class _Inbox:
    """Messages that wait for their turn, bounded in number and size."""

    def __init__(self) -> None:
        self._messages: asyncio.Queue[str | bytes] = asyncio.Queue(_MAX_WAITING_MESSAGES)
        self._size = 0

    def put(self, message: str | bytes) -> bool:
        """False: there is no room."""
        if self._messages.full() or self._size + len(message) > MAX_BODY_BYTES:
            return False
        self._size += len(message)
        self._messages.put_nowait(message)
        return True

    async def get(self) -> str | bytes:
        message = await self._messages.get()
        self._size -= len(message)
        return message


class _Lane:
    """The way back of one request's events. Each echoes the `stream_id` that the request named."""

    def __init__(self, websocket: WebSocket) -> None:
        self.stream_id: str | None = None
        self.response: JsonObject = {}
        """The response as the last event that carried one told it."""
        self._websocket = websocket

    async def send(self, batch: list[Event]) -> None:
        lane: JsonObject = {} if self.stream_id is None else {"stream_id": self.stream_id}
        try:
            for event in batch:
                await self._websocket.send_text(orjson.dumps({**event, **lane}).decode())
        except (WebSocketDisconnect, RuntimeError) as error:  # Starlette's two ways to say it
            raise ConnectionResetError("the client has left") from error
        response = batch[-1].get("response")
        if isinstance(response, Mapping):
            self.response = response


def _error_event(problem: Problem, request_id: str) -> Event:
    """What would be an HTTP status and its body. A code is never absent here."""
    shown: JsonObject = {**problem.shown(request_id), "code": problem.code or "server_error"}
    event: Event = {"type": "error", "status": int(problem.status), "error": shown}
    if problem.headers:
        event["headers"] = dict(problem.headers)
    return event

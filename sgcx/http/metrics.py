"""What the endpoint counts: requests, responses, tokens and times. `routes/metrics.py` shows it to Prometheus.

Plain numbers rather than prometheus_client's: that decides when it is first imported whether it counts for one process
or several, and SGLang, which needs several, prepares that only after it has imported us.

Everything is counted when a request or a response ends, nothing per token. Labels come from this program alone, never
from a client.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Literal, NamedTuple, TypeVar

from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sgcx.http.errors import CLIENT_CLOSED_REQUEST, ERROR_CODE
from sgcx.responses.deltas import CompactionStarted, EngineDelta, Usage
from sgcx.responses.grammars.matcher import Verdict
from sgcx.responses.stream import ResponseStatus, ResponseStream

FIRST_TOKEN_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12, 25, 50, 100, 200)
TOKEN_S = (0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1)
DURATION_S = (0.5, 1, 2, 4, 8, 15, 30, 60, 120, 240, 480, 960)

AnyRoute = TypeVar("AnyRoute", bound=BaseRoute)


class RequestLabels(NamedTuple):
    """`endpoint` is a route's path as declared; `code` an error's code, empty where there is none."""

    endpoint: str
    method: str
    status: int
    code: str = ""


class ResponseLabels(NamedTuple):
    """`aborted`: the client left, or cancelled it. `code` as above."""

    status: ResponseStatus | Literal["aborted"]
    code: str = ""


@dataclass(slots=True)
class Histogram:
    """`counts`: of values up to each bound, the last one of those above all bounds."""

    bounds: Sequence[float]
    total: float = 0.0
    counts: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@dataclass(slots=True)
class Metrics:
    """Of one endpoint since it started. Written in the event loop only."""

    requests: Counter[RequestLabels] = field(default_factory=Counter)
    responses: Counter[ResponseLabels] = field(default_factory=Counter)
    responses_in_progress: int = 0
    websocket_connections: int = 0
    heartbeats: int = 0
    custom_inputs: Counter[Verdict] = field(default_factory=Counter)
    """Inputs of custom tools that have a grammar."""
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    first_token_s: Histogram = field(default_factory=lambda: Histogram(FIRST_TOKEN_S))
    token_s: Histogram = field(default_factory=lambda: Histogram(TOKEN_S))
    """One value per response: the mean time between its tokens."""
    duration_s: Histogram = field(default_factory=lambda: Histogram(DURATION_S))

    def count_usage(self, usage: Usage) -> None:
        self.input_tokens += usage.input_tokens
        self.cached_tokens += usage.cached_tokens
        self.output_tokens += usage.output_tokens
        self.reasoning_tokens += usage.reasoning_tokens


class ResponseWatch:
    """Times one response, from the request to its end."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._began = perf_counter()
        self._first: float | None = None

    def see_first(self, delta: asyncio.Future[EngineDelta | None]) -> None:
        """A callback for the engine's first delta."""
        if not delta.cancelled() and delta.exception() is None:
            # A compaction begins before the model does.
            self._first = None if isinstance(delta.result(), CompactionStarted) else perf_counter()

    def start(self) -> None:
        self._metrics.responses_in_progress += 1

    def end(self, stream: ResponseStream) -> None:
        now, metrics = perf_counter(), self._metrics
        metrics.responses_in_progress -= 1
        metrics.responses[_labels(stream)] += 1
        metrics.heartbeats += stream.heartbeats
        metrics.custom_inputs.update(check.verdict for check in stream.checks)
        metrics.duration_s.observe(now - self._began)
        usage = stream.usage
        if usage is not None:
            metrics.count_usage(usage)
        if self._first is not None:
            metrics.first_token_s.observe(self._first - self._began)
            if usage is not None and usage.output_tokens > 1:
                metrics.token_s.observe((now - self._first) / (usage.output_tokens - 1))


def _labels(stream: ResponseStream) -> ResponseLabels:
    if stream.state != "closed":
        return ResponseLabels("aborted")
    return ResponseLabels(stream.status, stream.error_code or "")


def counted(routes: Sequence[AnyRoute], metrics: Metrics) -> list[AnyRoute]:
    """The same routes, which count what they answer from now on."""
    for route in routes:
        if isinstance(route, Route):
            route.app = _CountRequests(route.app, metrics, route.path)
        elif isinstance(route, WebSocketRoute):
            route.app = _CountConnections(route.app, metrics)
    return list(routes)


class _CountRequests:
    def __init__(self, app: ASGIApp, metrics: Metrics, endpoint: str) -> None:
        self._app = app
        self._metrics = metrics
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = CLIENT_CLOSED_REQUEST

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            labels = RequestLabels(self._endpoint, scope["method"], status, scope.get(ERROR_CODE) or "")
            self._metrics.requests[labels] += 1


class _CountConnections:
    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._metrics.websocket_connections += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._metrics.websocket_connections -= 1

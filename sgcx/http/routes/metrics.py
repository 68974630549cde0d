"""`GET /metrics`: the endpoint's counts in Prometheus' format, with SGLang's own where it runs in this process."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sgcx.http.metrics import Histogram, Metrics

if TYPE_CHECKING:
    from prometheus_client import Metric

_SEVERAL_PROCESSES = "PROMETHEUS_MULTIPROC_DIR"
"""Names the folder of what SGLang's processes count."""


def metrics_route(metrics: Metrics) -> Route:
    async def show(request: Request) -> Response:
        # In a thread: SGLang's part is read from files.
        body, content_type = await run_in_threadpool(_render, metrics, request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type, "cache-control": "no-store"})

    return Route("/metrics", show, methods=["GET"])


def _render(metrics: Metrics, accept: str) -> tuple[bytes, str]:
    # Not before SGLang has said where its processes count: see http/metrics.py.
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    if os.environ.get(_SEVERAL_PROCESSES):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(_Collector(metrics))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Collector:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield from _requests(self._metrics)
        yield from _tokens(self._metrics)
        yield from _times(self._metrics)


def _requests(metrics: Metrics) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    requests = CounterMetricFamily(
        "sgcx_requests",
        "Requests answered: by HTTP status, and by error code where there is one",
        labels=("endpoint", "method", "status", "code"),
    )
    for labels, count in dict(metrics.requests).items():
        requests.add_metric((labels.endpoint, labels.method, str(labels.status), labels.code), count)
    yield requests
    responses = CounterMetricFamily(
        "sgcx_responses",
        "Responses ended; aborted: the client left, or cancelled it",
        labels=("status", "code"),
    )
    for response_labels, count in dict(metrics.responses).items():
        responses.add_metric(response_labels, count)
    yield responses
    yield GaugeMetricFamily(
        "sgcx_responses_in_progress", "Responses that the engine works on", metrics.responses_in_progress
    )
    yield GaugeMetricFamily("sgcx_websocket_connections", "Open WebSocket connections", metrics.websocket_connections)
    yield CounterMetricFamily("sgcx_heartbeats", "Signs of life sent while the engine was silent", metrics.heartbeats)
    inputs = CounterMetricFamily(
        "sgcx_custom_inputs",
        "Inputs of custom tools, by what became of the check against the tool's grammar",
        labels=("verdict",),
    )
    for verdict, count in dict(metrics.custom_inputs).items():
        inputs.add_metric((verdict,), count)
    yield inputs


def _tokens(metrics: Metrics) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily

    yield CounterMetricFamily("sgcx_input_tokens", "Tokens of prompts", metrics.input_tokens)
    yield CounterMetricFamily(
        "sgcx_cached_tokens", "Tokens of prompts that were found in the prefix cache", metrics.cached_tokens
    )
    yield CounterMetricFamily("sgcx_output_tokens", "Tokens generated", metrics.output_tokens)
    yield CounterMetricFamily(
        "sgcx_reasoning_tokens", "Tokens generated while reasoning, part of the output", metrics.reasoning_tokens
    )


def _times(metrics: Metrics) -> Iterator[Metric]:
    yield _histogram(
        "sgcx_time_to_first_token_seconds", "From the request to the engine's first token", metrics.first_token_s
    )
    yield _histogram(
        "sgcx_time_per_output_token_seconds", "Mean time between the tokens of a response", metrics.token_s
    )
    yield _histogram("sgcx_response_duration_seconds", "From the request to the response's end", metrics.duration_s)


def _histogram(name: str, documentation: str, histogram: Histogram) -> Metric:
    from prometheus_client.core import HistogramMetricFamily

    total, cumulative = histogram.total, accumulate(tuple(histogram.counts))
    bounds: Iterable[str] = (*map(str, map(float, histogram.bounds)), "+Inf")
    return HistogramMetricFamily(
        name, documentation, buckets=list(zip(bounds, cumulative, strict=True)), sum_value=total
    )

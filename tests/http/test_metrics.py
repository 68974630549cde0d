"""What /metrics says after requests of each kind, over real HTTP, read by Prometheus' own parser."""

from __future__ import annotations

import json
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families
from test_router import PlayedEngine, post, served
from websockets.sync.client import connect

from sgcx.errors import EngineError
from sgcx.http.metrics import Histogram
from sgcx.responses.deltas import Failed, Finished, TextDelta, Usage

ANSWER = [TextDelta("Hel"), TextDelta("lo"), Finished("stop", Usage(30, 10, 5, 2))]


def scrape(client):
    """Sample name and labels → value."""
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.text
    families = text_string_to_metric_families(answer.text)
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value for family in families for sample in family.samples
    }


def requests(scraped):
    return {
        (labels["method"], labels["endpoint"], labels["status"], labels["code"]): value
        for (name, *pairs), value in scraped.items()
        if name == "sgcx_requests_total" and (labels := dict(pairs))
    }


def responses(scraped):
    return {
        (dict(pairs)["status"], dict(pairs)["code"]): value
        for (name, *pairs), value in scraped.items()
        if name == "sgcx_responses_total"
    }


def wait_for(client, condition):
    deadline = time.monotonic() + 10
    while not condition(scraped := scrape(client)):
        assert time.monotonic() < deadline, scraped
    return scraped


def test_before_the_first_request_all_totals_are_there_and_zero():
    with served(PlayedEngine([])) as client:
        scraped = scrape(client)
    assert {name for name, *_ in scraped} >= {
        "sgcx_responses_in_progress",
        "sgcx_websocket_connections",
        "sgcx_heartbeats_total",
        "sgcx_input_tokens_total",
        "sgcx_cached_tokens_total",
        "sgcx_output_tokens_total",
        "sgcx_reasoning_tokens_total",
        "sgcx_time_to_first_token_seconds_bucket",
        "sgcx_time_per_output_token_seconds_count",
        "sgcx_response_duration_seconds_sum",
    }
    assert set(scraped.values()) == {0}


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_counts_its_tokens_and_times_once(stream):
    with served(PlayedEngine(ANSWER)) as client:
        post(client, stream=stream)
        scraped = scrape(client)
    assert requests(scraped) == {("POST", "/v1/responses", "200", ""): 1}
    assert responses(scraped) == {("completed", ""): 1}
    assert scraped["sgcx_input_tokens_total",] == 30
    assert scraped["sgcx_cached_tokens_total",] == 10
    assert scraped["sgcx_output_tokens_total",] == 5
    assert scraped["sgcx_reasoning_tokens_total",] == 2
    assert scraped["sgcx_time_to_first_token_seconds_count",] == 1
    assert scraped["sgcx_time_per_output_token_seconds_count",] == 1
    assert scraped["sgcx_response_duration_seconds_bucket", ("le", "+Inf")] == 1
    assert scraped["sgcx_responses_in_progress",] == 0


def test_time_to_the_first_token_is_the_time_before_it():
    with served(PlayedEngine([0.25, *ANSWER])) as client:
        post(client)
        scraped = scrape(client)
    assert 0.24 < scraped["sgcx_time_to_first_token_seconds_sum",] < 5, "an event loop's clock has a millisecond"
    assert scraped["sgcx_time_to_first_token_seconds_bucket", ("le", "0.2")] == 0


def test_refusals_count_under_their_status_and_code():
    with served(PlayedEngine([EngineError("full", code=None, status=503)])) as client:
        post(client)
        post(client, model=7)
        client.post("/v1/responses", content=b"{")
        client.get("/v1/models/another")
        scraped = scrape(client)
    assert requests(scraped) == {
        ("POST", "/v1/responses", "503", ""): 1,
        ("POST", "/v1/responses", "400", "invalid_prompt"): 2,
        ("GET", "/v1/models/{name:path}", "404", "model_not_found"): 1,
    }
    assert responses(scraped) == {}


def test_a_stream_that_fails_is_a_request_that_was_answered_and_a_response_that_failed():
    with served(PlayedEngine([TextDelta("a"), Failed("server_error", "broke")])) as client:
        post(client, stream=True)
        scraped = scrape(client)
    assert requests(scraped) == {("POST", "/v1/responses", "200", ""): 1}
    assert responses(scraped) == {("failed", "server_error"): 1}


def test_a_client_that_leaves_is_counted_as_aborted_and_heartbeats_as_sent():
    engine = PlayedEngine([TextDelta("a"), 60.0, *ANSWER])
    with served(engine, heartbeat_s=0.02) as client:
        with client.stream("POST", "/v1/responses", json={"model": "m", "input": "hi", "stream": True}) as answer:
            lines = answer.iter_lines()
            assert any("response.output_text.delta" in line for line in lines)
            assert any("response.in_progress" in line for line in lines)
            assert scrape(client)["sgcx_responses_in_progress",] == 1
        scraped = wait_for(client, lambda now: now["sgcx_responses_in_progress",] == 0)
    assert responses(scraped) == {("aborted", ""): 1}
    assert scraped["sgcx_heartbeats_total",] >= 1
    assert scraped["sgcx_output_tokens_total",] == 0


def test_websockets_count_as_connections_and_each_request_on_them_as_a_request():
    with served(PlayedEngine(ANSWER)) as client:
        url = f"ws://127.0.0.1:{client.base_url.port}/v1/responses"
        with connect(url, additional_headers={"Authorization": "Bearer k"}, proxy=None) as connection:
            for fields in ({"input": "hi"}, {"input": 7}):
                connection.send(json.dumps({"type": "response.create", "model": "m", "store": False, **fields}))
                while json.loads(connection.recv(timeout=10))["type"] not in ("response.completed", "error"):
                    pass
            assert scrape(client)["sgcx_websocket_connections",] == 1
        scraped = wait_for(client, lambda now: now["sgcx_websocket_connections",] == 0)
    assert requests(scraped) == {
        ("WEBSOCKET", "/v1/responses", "200", ""): 1,
        ("WEBSOCKET", "/v1/responses", "400", "invalid_prompt"): 1,
    }


def test_nothing_that_a_client_sends_becomes_a_label():
    with served(PlayedEngine([])) as client:
        client.get("/v1/models/SPY")
        client.request("SPY", "/v1/responses")
        post(client, model="SPY", previous_response_id="SPY")
        client.get("/v1/SPY")
        assert "SPY" not in client.get("/metrics").text


def test_metrics_need_the_key():
    with served(PlayedEngine([])) as client:
        assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_a_value_on_a_bound_belongs_below_it():
    histogram = Histogram((1, 2))
    for value in (0.5, 1, 1.5, 2, 9):
        histogram.observe(value)
    assert histogram.counts == [2, 2, 1]
    assert histogram.total == 14

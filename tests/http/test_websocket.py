"""Responses over a WebSocket, on a real server, through a real client."""

from __future__ import annotations

import json
import socket
import time
from contextlib import closing, contextmanager

import pytest
from chat_upstream import running
from sdk_judge import TERMINAL, judge
from starlette.applications import Starlette
from test_router import MODEL, PlayedEngine, served
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.protocol import State
from websockets.sync.client import connect
from websockets.uri import parse_uri

from sgcx.dialects.kimi_k2 import KimiK2
from sgcx.errors import EngineError
from sgcx.http.endpoint import Endpoint
from sgcx.http.local_only import LocalOnly
from sgcx.http.router import create_router
from sgcx.responses.deltas import (
    Finished,
    ReasoningDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallFinished,
    ToolCallStarted,
    Usage,
)
from sgcx.store.async_store import AsyncStore

DEADLINE_S = 10
ANSWER = [ReasoningDelta("hm"), TextDelta("Hel"), TextDelta("lo"), Finished("stop", Usage(3, 1, 2, 0))]


class Client:
    def __init__(self, connection):
        self.connection = connection

    def send(self, **fields):
        self.connection.send(json.dumps({"type": "response.create", "model": "m", "store": False, **fields}))

    def event(self):
        return json.loads(self.connection.recv(timeout=DEADLINE_S))

    def turn(self):
        """The events of one answer."""
        events = [self.event()]
        while events[-1]["type"] not in (*TERMINAL, "error"):
            events.append(self.event())
        if events[-1]["type"] != "error":
            judge(events)
        return events

    def ask(self, **fields):
        """The last event of the answer to one request."""
        self.send(**{"input": "hi", **fields})
        return self.turn()[-1]


@contextmanager
def client_of(http, **headers):
    url = str(http.base_url).replace("http", "ws", 1).rstrip("/") + "/v1/responses"
    with connect(url, additional_headers={"Authorization": "Bearer k", **headers}, proxy=None) as connection:
        yield Client(connection)


@contextmanager
def connected(engine, **options):
    with served(engine, **options) as http, client_of(http) as client:
        yield client


def said(engine):
    """What each request told the engine."""
    return [[(message["role"], message["content"]) for message in request.messages] for request in engine.requests]


def test_a_response_is_streamed_with_the_events_that_http_has():
    with served(PlayedEngine(ANSWER)) as http:
        lines = http.post("/v1/responses", json={"model": "m", "input": "hi", "stream": True, "store": False}).text
        over_http = [line.removeprefix("event: ") for line in lines.splitlines() if line.startswith("event: ")]
        with client_of(http) as client:
            client.send(input="hi")
            events = client.turn()
    assert [event["type"] for event in events] == over_http
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["response"]["usage"]["total_tokens"] == 5


def test_clients_learn_that_usage_holds_the_reasoning_that_they_replay():
    with connected(PlayedEngine(ANSWER)) as client:
        assert client.connection.response.headers["x-reasoning-included"] == "true"


def test_codex_learns_at_the_upgrade_that_usage_counts_reasoning():
    with connected(PlayedEngine(ANSWER)) as client:
        assert client.connection.response.headers["x-reasoning-included"] == "true"


@pytest.mark.parametrize("stream", [True, False])
def test_whatever_is_said_about_streaming_it_is_streamed(stream):
    with connected(PlayedEngine(ANSWER)) as client:
        assert client.ask(stream=stream)["type"] == "response.completed"


def test_a_turn_continues_what_only_the_connection_remembers():
    engine = PlayedEngine(ANSWER)
    with connected(engine) as client:
        first = client.ask(input="one")["response"]["id"]
        second = client.ask(input="two", previous_response_id=first)["response"]
        client.ask(input="three", previous_response_id=second["id"])
    assert second["previous_response_id"] == first
    assert second["store"] is False
    told = [("user", "one"), ("assistant", "Hello"), ("user", "two"), ("assistant", "Hello"), ("user", "three")]
    assert said(engine)[2] == told


def test_tool_calls_are_answered_with_their_outputs_alone():
    call = [ToolCallStarted("f"), ToolCallArguments("{}"), ToolCallFinished(), Finished("stop")]
    engine = PlayedEngine(call)
    with connected(engine) as client:
        tools = [{"type": "function", "name": "f"}]
        first = client.ask(tools=tools)["response"]
        engine.steps = ANSWER
        output = {"type": "function_call_output", "call_id": first["output"][0]["call_id"], "output": "42"}
        assert client.ask(tools=tools, previous_response_id=first["id"], input=[output])["type"] == "response.completed"
    assert [message["role"] for message in engine.requests[1].messages] == ["user", "assistant", "tool"]


def test_another_connection_does_not_know_it():
    with served(PlayedEngine(ANSWER)) as http:
        with client_of(http) as client:
            first = client.ask()["response"]["id"]
        with client_of(http) as client:
            error = client.ask(previous_response_id=first)
            assert (error["status"], error["error"]["code"]) == (400, "previous_response_not_found")
            assert error["error"]["param"] == "previous_response_id"
            assert client.ask()["type"] == "response.completed"


def test_what_is_stored_is_continued_anywhere(tmp_path):
    engine = PlayedEngine(ANSWER)
    with served(engine, storage=AsyncStore(tmp_path / "responses.sqlite3")) as http:
        with client_of(http) as client:
            first = client.ask(store=True, input="one")["response"]["id"]
        with client_of(http) as client:
            assert client.ask(previous_response_id=first)["type"] == "response.completed"
        assert http.get(f"/v1/responses/{first}").json()["id"] == first
    assert said(engine)[1][0] == ("user", "one")


def test_a_continuation_that_fails_evicts_its_parent():
    with connected(PlayedEngine(ANSWER)) as client:
        first = client.ask()["response"]["id"]
        orphan = {"type": "function_call_output", "call_id": "nowhere", "output": ""}
        assert client.ask(previous_response_id=first, input=[orphan])["status"] == 400
        assert client.ask(previous_response_id=first)["error"]["code"] == "previous_response_not_found"
        assert client.ask()["type"] == "response.completed"


def test_only_the_latest_responses_are_remembered():
    with connected(PlayedEngine(ANSWER)) as client:
        first, *others = [client.ask()["response"]["id"] for _ in range(9)]
        assert client.ask(previous_response_id=first)["error"]["code"] == "previous_response_not_found"
        assert client.ask(previous_response_id=others[-1])["type"] == "response.completed"


def test_a_prewarmed_prompt_is_continued():
    engine = PlayedEngine([ReasoningDelta("x"), Finished("length", Usage(9, 0, 1, 1))])
    with connected(engine) as client:
        prewarmed = client.ask(input=[{"role": "developer", "content": "be brief"}], generate=False)["response"]
        assert prewarmed["output"] == []
        engine.steps = ANSWER
        assert client.ask(previous_response_id=prewarmed["id"])["type"] == "response.completed"
    first, second = engine.requests
    assert (first.max_new_tokens, second.max_new_tokens) == (1, None)
    assert second.messages[: len(first.messages)] == first.messages


def test_requests_that_come_too_early_are_answered_in_order():
    with connected(PlayedEngine([0.05, *ANSWER])) as client:
        for number in range(3):
            client.send(input="hi", metadata={"number": str(number)}, stream_id=f"lane {number % 2}")
        turns = [client.turn() for _ in range(3)]
    assert [turn[-1]["response"]["metadata"]["number"] for turn in turns] == ["0", "1", "2"]
    assert [{event["stream_id"] for event in turn} for turn in turns] == [{"lane 0"}, {"lane 1"}, {"lane 0"}]


def test_a_flood_of_requests_ends_the_connection():
    engine = PlayedEngine([60.0, Finished("stop")])
    with connected(engine, peek_s=0.01) as client:
        with pytest.raises(ConnectionClosed) as closed:
            for _ in range(30):
                client.send(input="hi")
            while True:
                client.event()
        assert closed.value.rcvd.code == 1013
        assert engine.closed.wait(DEADLINE_S)


@pytest.mark.parametrize("abrupt", [True, False])
def test_leaving_aborts_the_generation(abrupt):
    engine = PlayedEngine([TextDelta("x"), 60.0, Finished("stop")])
    with served(engine, peek_s=0.1) as http, client_of(http) as client:
        client.send(input="hi")
        while client.event()["type"] != "response.output_text.delta":
            pass
        if abrupt:
            client.connection.socket.shutdown(2)
        else:
            client.connection.close()
        assert engine.closed.wait(DEADLINE_S)


def test_leaving_before_the_first_event_aborts_the_generation():
    engine = PlayedEngine([60.0, Finished("stop")])
    with served(engine, peek_s=60) as http:
        with client_of(http) as client:
            client.send(input="hi")
            deadline = time.monotonic() + DEADLINE_S
            while not engine.requests and time.monotonic() < deadline:
                time.sleep(0.01)
        assert engine.closed.wait(DEADLINE_S)


def test_silence_is_bridged_with_events():
    steps = [0.4, TextDelta("late"), 0.3, Finished("stop")]
    with connected(PlayedEngine(steps), heartbeat_s=0.05, peek_s=0.05) as client:
        client.send(input="hi")
        events = client.turn()
    assert [event["type"] for event in events].count("response.in_progress") > 4
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


@pytest.mark.parametrize(
    ("error", "status", "code", "headers"),
    [
        (EngineError("too long", code="context_length_exceeded", status=400), 400, "context_length_exceeded", None),
        (EngineError("full", code=None, status=503, retry_after_s=2), 503, "server_error", {"Retry-After": "2"}),
        (RuntimeError("secret detail"), 500, "server_error", None),
    ],
)
def test_a_refusal_before_the_first_token_is_an_error_with_a_status(error, status, code, headers):
    with connected(PlayedEngine([error])) as client:
        event = client.ask()
        assert (event["type"], event["status"], event["error"]["code"]) == ("error", status, code)
        assert event.get("headers") == headers
        assert event["error"]["request_id"].startswith("resp_")
        assert "secret" not in json.dumps(event)


def test_a_failure_in_the_middle_ends_the_response_and_not_the_connection():
    engine = PlayedEngine([TextDelta("partial"), RuntimeError("secret detail")])
    with connected(engine) as client:
        assert client.ask()["type"] == "response.failed"
        engine.steps = ANSWER
        assert client.ask()["type"] == "response.completed"


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("{", None),
        ("[]", None),
        ("{}", "type"),
        ('{"type": "response.steer"}', "type"),
        ('{"type": "response.create"}', "input"),
        ('{"type": "response.create", "input": "x", "background": true}', "background"),
        ('{"type": "response.create", "input": "x", "stream_id": 1}', "stream_id"),
        (b'{"type": "response.create", "input": "x", "temperature": 9}', "temperature"),
        (b"\xff", None),
    ],
)
def test_a_malformed_message_is_an_error_and_not_the_end(message, param):
    with connected(PlayedEngine(ANSWER)) as client:
        client.connection.send(message)
        error = client.event()
        assert (error["status"], error["error"]["code"], error["error"]["param"]) == (400, "invalid_prompt", param)
        assert client.ask()["type"] == "response.completed"


def test_a_message_in_bytes_is_a_message():
    with connected(PlayedEngine(ANSWER)) as client:
        client.connection.send(b'{"type": "response.create", "input": "hi"}')
        assert client.turn()[-1]["type"] == "response.completed"


def test_an_old_connection_says_so_and_ends():
    with connected(PlayedEngine(ANSWER), connection_limit_s=0.3) as client:
        error = client.event()
        assert (error["status"], error["error"]["code"]) == (400, "websocket_connection_limit_reached")
        with pytest.raises(ConnectionClosed):
            client.event()


def test_a_response_that_runs_when_the_connection_gets_old_is_not_cut_short():
    with connected(PlayedEngine([TextDelta("x"), 0.6, Finished("stop")]), connection_limit_s=0.3) as client:
        client.send(input="hi")
        client.send(input="too late")
        assert client.turn()[-1]["type"] == "response.completed"
        assert client.event()["error"]["code"] == "websocket_connection_limit_reached"


def test_without_the_key_there_is_no_connection():
    refusal = pytest.raises(InvalidStatus)
    with served(PlayedEngine(ANSWER)) as http, refusal as refused, client_of(http, Authorization="Bearer wrong"):
        pass
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body)["error"]["code"] == "invalid_api_key"


@contextmanager
def client_that_does_not_read(port):
    """It sends one request. Its kernel takes in a few kilobytes of the answer."""
    protocol = ClientProtocol(parse_uri(f"ws://127.0.0.1:{port}/v1/responses"))
    upgrade = protocol.connect()
    upgrade.headers["Authorization"] = "Bearer k"
    protocol.send_request(upgrade)
    with closing(socket.socket()) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", port))
        raw.sendall(b"".join(protocol.data_to_send()))
        while protocol.state is State.CONNECTING:
            protocol.receive_data(raw.recv(4096))
        protocol.send_text(b'{"type": "response.create", "input": "hi"}')
        raw.sendall(b"".join(protocol.data_to_send()))
        yield


def test_a_client_that_does_not_read_holds_up_its_own_request_and_nothing_else():
    made = []

    def megabytes():
        while True:
            made.append(1)
            yield TextDelta("x" * 100_000)

    engine = PlayedEngine(megabytes())
    with served(engine) as http, client_of(http) as quick, client_that_does_not_read(http.base_url.port):
        while not made:
            time.sleep(0.01)
        engine.steps = ANSWER
        stuck_at = -1
        while stuck_at != len(made):
            stuck_at = len(made)
            assert quick.ask()["type"] == "response.completed"
        assert stuck_at < 1_000
    assert engine.closed.wait(DEADLINE_S)


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_web_pages_cannot_connect_to_a_server_without_a_key(origin):
    endpoint = Endpoint(lambda _: PlayedEngine(ANSWER), KimiK2(), MODEL, ())
    guarded = LocalOnly(Starlette(routes=create_router(endpoint).routes), host="127.0.0.1")
    with running(guarded) as port:
        url = f"ws://127.0.0.1:{port}/v1/responses"
        with pytest.raises(InvalidStatus) as refused, connect(url, origin=origin, proxy=None):
            pass
        assert refused.value.response.status_code == 403
        with connect(url, proxy=None) as connection:
            assert Client(connection).ask()["type"] == "response.completed"

"""The routes over an engine under the test's control, on a real HTTP server and a real client."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from contextlib import contextmanager

import httpx
import pytest
import uvicorn
from sdk_judge import TERMINAL, judge
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from sgcx.dialects.kimi_k2 import KimiK2
from sgcx.errors import EngineError
from sgcx.http.authentication import RequireApiKey
from sgcx.http.endpoint import Endpoint
from sgcx.http.router import create_router
from sgcx.responses.deltas import Finished, TextDelta, ToolCallArguments, ToolCallFinished, ToolCallStarted, Usage
from sgcx.responses.prompt import Sampling, ServedModel
from sgcx.store.async_store import AsyncStore

MODEL = ServedModel("m", 1000, False, False, Sampling(1.0, 0.95), Sampling(0.6, 0.95))


class PlayedEngine:
    """Yields what it is given. An `asyncio.Event` waits, a float sleeps, an exception raises."""

    def __init__(self, steps):
        self.steps = steps
        self.requests = []
        self.closed = threading.Event()

    async def generate(self, request):
        self.requests.append(request)
        try:
            for step in self.steps:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    yield step
        finally:
            self.closed.set()


@contextmanager
def served(engine, model=MODEL, **options):
    endpoint = Endpoint(lambda _: engine, KimiK2(), model, ({"slug": "m"},), **options)
    app = Starlette(routes=create_router(endpoint).routes, middleware=[Middleware(RequireApiKey, api_key="k")])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"Authorization": "Bearer k"}, trust_env=False, timeout=20
        ) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(10)


def frames(text):
    *events, done, rest = text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    decoded = []
    for frame in events:
        name, data = frame.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        decoded.append(event)
    if decoded and decoded[0]["type"] == "response.created" and decoded[-1]["type"] in TERMINAL:
        judge(decoded)
    return decoded


def post(client, **fields):
    return client.post("/v1/responses", json={"model": "m", "input": "hi", **fields})


def test_a_stream_and_a_whole_response_say_the_same():
    steps = [TextDelta("Hel"), TextDelta("lo"), Finished("stop", Usage(3, 1, 2, 0))]
    with served(PlayedEngine(steps)) as client:
        streamed = frames(post(client, stream=True).text)[-1]["response"]
        whole = post(client).json()
    for response in (streamed, whole):
        assert response["status"] == "completed"
        assert response["output"][0]["content"][0]["text"] == "Hello"
        assert response["usage"]["total_tokens"] == 5
    assert streamed.keys() == whole.keys()


@pytest.mark.parametrize("store", [True, False])
def test_an_engine_that_says_it_all_at_once_is_heard_streamed_and_whole(store, tmp_path):
    end = Finished("length", Usage(3, 0, 0, 0))
    with served(PlayedEngine([end]), storage=AsyncStore(tmp_path / "db")) as client:
        streamed = frames(post(client, stream=True, max_output_tokens=1, store=store).text)
        whole = post(client, max_output_tokens=1, store=store).json()
    assert [event["sequence_number"] for event in streamed] == [0, 1, 2]
    assert streamed[0]["type"] == "response.created"
    assert streamed[-1]["response"]["status"] == whole["status"] == "incomplete"


@pytest.mark.parametrize(("sent", "asked"), [(None, 0.95), (0, 1e-6), (0.5, 0.5), (1, 1.0)])
def test_a_top_p_of_nothing_is_the_least_that_engines_take(sent, asked):
    engine = PlayedEngine([TextDelta("ok"), Finished("stop")])
    with served(engine) as client:
        assert post(client, top_p=sent).json()["top_p"] == (1.0 if sent is None else sent)
    assert engine.requests[0].top_p == asked


@pytest.mark.parametrize("stream", [True, False])
def test_clients_learn_that_usage_holds_the_reasoning_that_they_replay(stream):
    with served(PlayedEngine([TextDelta("ok"), Finished("stop")])) as client:
        assert post(client, stream=stream).headers["x-reasoning-included"] == "true"


def test_the_engine_gets_the_rendered_conversation_and_recommended_sampling():
    engine = PlayedEngine([TextDelta("ok"), Finished("stop")])
    with served(engine) as client:
        post(client, instructions="be brief", tools=[{"type": "custom", "name": "apply_patch"}])
        post(client, temperature=0.2, reasoning={"effort": "none"})
    first, second = engine.requests
    assert [message["role"] for message in first.messages] == ["system", "user"]
    assert first.tools[0]["function"]["parameters"]["required"] == ["input"]
    assert (first.temperature, first.template_arguments["thinking"]) == (1.0, True)
    assert (second.temperature, second.template_arguments["thinking"]) == (0.2, False)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("error", "status", "code", "retry_after"),
    [
        (EngineError("too long", code="context_length_exceeded", status=400), 400, "context_length_exceeded", None),
        (EngineError("full", code=None, status=503, retry_after_s=2), 503, None, "2"),
        (RuntimeError("secret detail"), 500, "server_error", None),
    ],
)
def test_a_refusal_before_the_first_token_is_an_http_error(stream, error, status, code, retry_after):
    with served(PlayedEngine([error])) as client:
        response = post(client, stream=stream)
    assert response.status_code == status
    assert response.json()["error"]["code"] == code
    assert response.headers.get("retry-after") == retry_after
    assert response.json()["error"]["request_id"] == response.headers["x-request-id"]
    assert "secret" not in response.text


def test_a_late_refusal_of_a_stream_says_when_to_come_back():
    late = EngineError("The engine's queue is full", code=None, status=503, retry_after_s=2)
    with served(PlayedEngine([0.2, late]), peek_s=0.01) as client:
        error = frames(post(client, stream=True).text)[-1]["response"]["error"]
    assert error["code"] == "rate_limit_exceeded"
    assert error["message"].endswith("try again in 2s")


def test_a_late_refusal_of_a_whole_response_still_has_its_status():
    late = EngineError("full", code=None, status=503, retry_after_s=2)
    with served(PlayedEngine([0.2, late]), peek_s=0.01) as client:
        response = post(client)
    assert (response.status_code, response.headers["retry-after"]) == (503, "2")


def test_an_error_while_streaming_ends_the_stream_with_one_terminal_event():
    steps = [TextDelta("partial"), RuntimeError("secret detail")]
    with served(PlayedEngine(steps)) as client:
        response = post(client, stream=True)
    terminal = frames(response.text)[-1]
    assert terminal["type"] == "response.failed"
    assert terminal["response"]["error"]["code"] == "server_error"
    assert "secret" not in response.text


def test_an_engine_that_ends_without_a_result_is_a_failure():
    with served(PlayedEngine([TextDelta("partial")])) as client:
        assert frames(post(client, stream=True).text)[-1]["type"] == "response.failed"
        assert post(client).status_code == 500


def test_a_silent_engine_is_bridged_with_heartbeats_that_are_data():
    steps = [0.5, TextDelta("late"), 0.3, Finished("stop")]
    with served(PlayedEngine(steps), heartbeat_s=0.05, peek_s=0.05) as client:
        events = frames(post(client, stream=True).text)
    kinds = [event["type"] for event in events]
    first_text = kinds.index("response.output_text.delta")
    assert kinds[:first_text].count("response.in_progress") > 2
    assert kinds[first_text:].count("response.in_progress") >= 1
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert kinds[-1] == "response.completed"


def test_leaving_a_stream_aborts_the_generation():
    engine = PlayedEngine([TextDelta("x"), 60.0, Finished("stop")])
    with served(engine, peek_s=0.1) as client:
        with client.stream("POST", "/v1/responses", json={"input": "hi", "stream": True}) as response:
            next(response.iter_bytes())
        assert engine.closed.wait(10)


def test_leaving_before_the_answer_aborts_the_generation():
    engine = PlayedEngine([60.0, Finished("stop")])
    with served(engine, peek_s=0.05) as client:
        with pytest.raises(httpx.ReadTimeout):
            client.post("/v1/responses", json={"input": "hi"}, timeout=0.5)
        assert engine.closed.wait(10)


def test_calls_and_what_was_left_out_are_told():
    steps = [ToolCallStarted("f"), ToolCallArguments("{}"), ToolCallFinished(), Finished("stop")]
    with served(PlayedEngine(steps)) as client:
        response = post(client, tools=[{"type": "function", "name": "f"}, {"type": "web_search"}])
    assert response.headers["x-sgcx-ignored"] == "tools[1].type=web_search"
    assert response.json()["output"][0]["name"] == "f"
    assert "openai-model" not in response.headers


def test_what_the_client_wrote_cannot_make_headers():
    with served(PlayedEngine([TextDelta("x"), Finished("stop")])) as client:
        response = post(client, tools=[{"type": "a\r\nx-evil: 1 \u00e9"}])
    assert response.headers["x-sgcx-ignored"] == "tools[0].type=a??x-evil: 1 ?"
    assert "x-evil" not in response.headers


def test_a_generation_is_aborted_even_if_the_first_write_fails():
    engine = PlayedEngine([60.0, Finished("stop")])
    endpoint = Endpoint(lambda _: engine, KimiK2(), MODEL, (), peek_s=0.01)

    body = b'{"input": "x", "stream": true}'

    async def send(_):
        raise OSError("gone")

    async def request():
        received = asyncio.Queue()  # empty behind the body: no word that the client has left
        received.put_nowait({"type": "http.request", "body": body, "more_body": False})
        scope = {"type": "http", "method": "POST", "path": "/v1/responses", "headers": [], "query_string": b""}
        app = Starlette(routes=create_router(endpoint).routes)
        await app({**scope, "app": app}, received.get, send)

    asyncio.run(request())
    assert engine.closed.is_set()


def test_a_websocket_without_the_key_is_refused():
    sent = []

    async def never(*_):
        raise AssertionError("past the key check")

    async def send(message):
        sent.append(message)

    scope = {"type": "websocket", "path": "/v1/responses", "headers": []}
    asyncio.run(RequireApiKey(never, api_key="k")(scope, never, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        (b"{", 400, "invalid_prompt", None),
        (b"[]", 400, "invalid_prompt", None),
        (b"{}", 400, "invalid_prompt", "input"),
        (b'{"input": []}', 400, "invalid_prompt", "input"),
        (b'{"input": "x", "model": "gpt-5"}', 404, "model_not_found", "model"),
    ],
)
def test_client_errors_have_openais_envelope(body, status, code, param):
    with served(PlayedEngine([])) as client:
        response = client.post("/v1/responses", content=body)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (status, code, param)
    assert error["type"] == "invalid_request_error"


def test_other_methods_of_a_path_are_refused_in_the_envelope():
    with served(PlayedEngine([])) as client:
        refused = client.put("/v1/responses", json={})
        assert refused.status_code == 405
        assert set(refused.headers["allow"].split(", ")) == {"HEAD", "POST"}
        error = refused.json()["error"]
        assert (error["code"], error["request_id"]) == ("method_not_supported", refused.headers["x-request-id"])
        assert client.get("/v1/responses/compact").json()["error"]["code"] == "method_not_supported"
        assert client.request("PROPFIND", "/v1/models/m").status_code == 405
        assert "PROPFIND" not in client.get("/metrics").text


def test_every_answer_carries_one_request_id(tmp_path):
    storage = AsyncStore(tmp_path / "responses.sqlite3")
    engine = PlayedEngine([TextDelta("ok"), Finished("stop")])
    endpoint = Endpoint(lambda _: engine, KimiK2(), MODEL, (), storage=storage)
    routes = [route for route in create_router(endpoint).routes if isinstance(route, Route)]
    with served(engine, storage=storage) as client:
        kept = post(client, stream=True)
        response_id = kept.headers["x-request-id"]
        answers = [kept, client.get(f"/v1/responses/{response_id}?stream=true")]
        for route in routes:
            path = re.sub(r"{.+?}", response_id, route.path)
            answers += [client.request(method, path) for method in sorted(route.methods or {"PUT"})]
    asyncio.run(storage.close())
    assert {answer.status_code for answer in answers} >= {200, 400, 404, 405}
    ids = [answer.headers.get_list("x-request-id") for answer in answers]
    assert all(len(given) == 1 for given in ids)
    assert len({given for (given,) in ids}) == len(answers)


def test_every_route_wants_the_key_but_health():
    with served(PlayedEngine([])) as client:
        for key in ("", "Bearer wrong", "Basic k", "Bearer k2"):
            response = client.get("/v1/models", headers={"Authorization": key})
            assert response.status_code == 401
            assert response.json()["error"]["code"] == "invalid_api_key"
        assert client.get("/health").status_code == 404  # no such route here, but past the key check
        assert client.get("/v1/models").status_code == 200


def test_models_serve_both_kinds_of_client():
    with served(PlayedEngine([])) as client:
        listed = client.get("/v1/models").json()
        assert [entry["id"] for entry in listed["data"]] == ["m"]
        assert listed["models"] == [{"slug": "m"}]
        assert client.get("/v1/models/m").json()["id"] == "m"
        assert client.get("/v1/models/x").json()["error"]["code"] == "model_not_found"
        assert client.head("/v1/responses").status_code == 200

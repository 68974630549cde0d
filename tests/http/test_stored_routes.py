"""The routes to what is kept, on a real server over a real store."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager

import httpx
import openai
import pytest
import uvicorn
from starlette.applications import Starlette

from sgcx.http.background import BackgroundRuns
from sgcx.http.routes.stored import create_stored_routes
from sgcx.store.async_store import AsyncStore

ITEMS = tuple(
    {"type": "message", "id": f"msg_{n}", "role": "user", "content": [{"type": "input_text", "text": str(n)}]}
    for n in range(25)
)
RESPONSE = {"id": "resp_1", "object": "response", "status": "completed", "background": False, "output": []}


@contextmanager
def running(app):
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def url(tmp_path):
    storage = AsyncStore(tmp_path / "responses.sqlite3", max_bytes=1 << 20, ttl_s=3600)
    asyncio.run(storage.put_response(RESPONSE, ITEMS, ({"sequence_number": 2},)))
    asyncio.run(storage.put_response({**RESPONSE, "id": "resp_2", "background": True}, (), ()))
    with running(Starlette(routes=create_stored_routes(storage, BackgroundRuns(heartbeat_s=10)))) as url:
        yield url
    asyncio.run(storage.close())


@pytest.fixture
def http(url):
    with httpx.Client(base_url=f"{url}/v1", trust_env=False, timeout=20) as client:
        yield client


@pytest.fixture
def sdk(url):
    with openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client:
        yield client


@pytest.mark.parametrize(
    ("query", "first", "last", "count", "has_more"),
    [
        ("", "msg_24", "msg_5", 20, True),
        ("?order=asc", "msg_0", "msg_19", 20, True),
        ("?order=asc&limit=100", "msg_0", "msg_24", 25, False),
        ("?order=asc&after=msg_19", "msg_20", "msg_24", 5, False),
        ("?after=msg_5&limit=5", "msg_4", "msg_0", 5, False),
        ("?after=msg_5&limit=4", "msg_4", "msg_1", 4, True),
        ("?after=msg_0", None, None, 0, False),
    ],
)
def test_input_items_come_in_pages(http, query, first, last, count, has_more):
    page = http.get(f"/responses/resp_1/input_items{query}").json()
    assert page["object"] == "list"
    assert (page["first_id"], page["last_id"], page["has_more"]) == (first, last, has_more)
    assert len(page["data"]) == count


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("/responses/resp_1/input_items?limit=0", "limit"),
        ("/responses/resp_1/input_items?limit=101", "limit"),
        ("/responses/resp_1/input_items?limit=x", "limit"),
        ("/responses/resp_1/input_items?limit=" + "9" * 5000, "limit"),
        ("/responses/resp_1/input_items?order=up", "order"),
        ("/responses/resp_1/input_items?after=msg_x", "after"),
        ("/responses/resp_1?stream=true&starting_after=-1", "starting_after"),
    ],
)
def test_a_query_that_makes_no_sense_is_named(http, path, param):
    answer = http.get(path)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/responses/resp_x"),
        ("GET", "/responses/resp_x?stream=true"),
        ("DELETE", "/responses/resp_x"),
        ("POST", "/responses/resp_x/cancel"),
        ("GET", "/responses/resp_x/input_items"),
        ("GET", "/conversations/conv_x"),
        ("POST", "/conversations/conv_x"),
        ("DELETE", "/conversations/conv_x"),
        ("GET", "/conversations/conv_x/items"),
        ("GET", "/conversations/conv_x/items/msg_x"),
        ("DELETE", "/conversations/conv_x/items/msg_x"),
    ],
)
def test_unknown_ids_are_404(http, method, path):
    answer = http.request(method, path)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (404, "invalid_request_error")
    assert "_x' not found" in error["message"]
    assert error["request_id"] == answer.headers["x-request-id"]


def test_a_kept_response_is_replayed_from_any_event(http):
    replayed = http.get("/responses/resp_1?stream=true&starting_after=1")
    assert replayed.headers["content-type"].startswith("text/event-stream")
    event, done, rest = replayed.text.split("\n\n")
    assert event.startswith("event: response.completed\ndata: {") and '"sequence_number":2' in event
    assert (done, rest) == ("data: [DONE]", "")
    assert http.get("/responses/resp_1?stream=true&starting_after=2").text == "data: [DONE]\n\n"


def test_only_background_responses_are_cancelled(http):
    refused = http.post("/responses/resp_1/cancel")
    assert refused.status_code == 400
    assert "background" in refused.json()["error"]["message"]
    assert http.post("/responses/resp_2/cancel").json()["id"] == "resp_2"


def test_the_sdk_manages_conversations(sdk):
    created = sdk.conversations.create(metadata={"a": "b"}, items=[{"role": "user", "content": "hi"}])
    assert created.id.startswith("conv_")
    assert sdk.conversations.retrieve(created.id) == created
    assert sdk.conversations.update(created.id, metadata={"c": "d"}).metadata == {"c": "d"}
    added = sdk.conversations.items.create(
        created.id,
        items=[
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "done"},
        ],
    )
    assert [item.type for item in added.data] == ["function_call", "function_call_output"]
    listed = list(sdk.conversations.items.list(created.id, order="asc", limit=1))
    assert [item.type for item in listed] == ["message", "function_call", "function_call_output"]
    assert sdk.conversations.items.retrieve(listed[0].id, conversation_id=created.id) == listed[0]
    assert sdk.conversations.items.delete(listed[0].id, conversation_id=created.id).id == created.id
    with pytest.raises(openai.NotFoundError):
        sdk.conversations.items.retrieve(listed[0].id, conversation_id=created.id)
    assert sdk.conversations.delete(created.id).deleted is True
    with pytest.raises(openai.NotFoundError):
        sdk.conversations.retrieve(created.id)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"[]", None),
        (b'{"metadata": []}', "metadata"),
        (b'{"metadata": {"a": 1}}', "metadata.a"),
        (b'{"metadata": {"a": "%s"}}' % (b"x" * 513), "metadata"),
        (b'{"metadata": {"%s": ""}}' % (b"x" * 65), "metadata"),
        (b'{"items": "text"}', "items"),
        (b'{"items": [{"type": "function_call"}]}', "items[0].call_id"),
        (b'{"items": [3]}', "items[0]"),
    ],
)
def test_malformed_conversations_are_refused_by_name(http, body, param):
    answer = http.post("/conversations", content=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_a_conversation_needs_nothing(http):
    created = http.post("/conversations").json()
    assert (created["object"], created["metadata"]) == ("conversation", {})
    empty = http.get(f"/conversations/{created['id']}/items").json()
    assert empty == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
    nothing_to_add = http.post(f"/conversations/{created['id']}/items", json={})
    assert nothing_to_add.json()["error"]["param"] == "items"

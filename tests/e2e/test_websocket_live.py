"""Responses over a WebSocket from the real engine: the prefix cache is filled, nothing is left behind."""

from __future__ import annotations

import json
import time
import uuid

import openai
import pytest
from sdk_judge import TERMINAL, judge
from websockets.sync.client import connect

pytestmark = pytest.mark.engine

TOOLS = [{"type": "function", "name": "exec_command", "parameters": {"type": "object"}}]


@pytest.fixture
def connection(rehearsal):
    url = rehearsal.result["base_url"].replace("http", "ws", 1) + "/responses"
    headers = {"Authorization": f"Bearer {rehearsal.key}"}
    with connect(url, additional_headers=headers, proxy=None) as connection:
        yield connection


def send(connection, **fields):
    connection.send(json.dumps({"type": "response.create", "store": False, "tools": TOOLS, **fields}))


def ask(connection, **fields):
    send(connection, **fields)
    events = [json.loads(connection.recv(timeout=60))]
    while events[-1]["type"] not in TERMINAL:
        assert events[-1]["type"] != "error", events[-1]
        events.append(json.loads(connection.recv(timeout=60)))
    return judge(events)


def test_a_prewarmed_prompt_is_in_the_prefix_cache(connection):
    rules = f"{uuid.uuid4()} " + " ".join(f"Rule {number} holds." for number in range(200))
    prewarmed = ask(connection, input=[{"role": "developer", "content": rules}], generate=False)
    assert prewarmed.output == []
    first = ask(connection, input="hello", previous_response_id=prewarmed.id)
    second = ask(connection, input="hello again", previous_response_id=first.id)
    reused = [turn.usage.input_tokens_details.cached_tokens for turn in (prewarmed, first, second)]
    assert reused[0] < 0.2 * prewarmed.usage.input_tokens
    assert reused[1] >= 0.99 * prewarmed.usage.input_tokens
    assert reused[2] >= 0.99 * (first.usage.input_tokens + first.usage.output_tokens)


def test_a_client_that_leaves_leaves_nothing_in_the_engine(rehearsal, connection):
    send(connection, input="count to 400")
    while json.loads(connection.recv(timeout=60))["type"] != "response.output_text.delta":
        pass
    connection.close()
    with rehearsal.client() as client:
        loads = f"{rehearsal.engine_url}/loads"
        deadline = time.monotonic() + 30
        while client.get(loads).json()["loads"][0]["num_running_reqs"]:
            assert time.monotonic() < deadline, "the engine still works for a client that has left"
            time.sleep(0.1)


def test_a_message_larger_than_the_servers_default_is_taken(connection):
    image = "data:image/png;base64," + "A" * (17 << 20)
    content = [{"type": "input_text", "text": "hello"}, {"type": "input_image", "image_url": image}]
    assert ask(connection, input=[{"role": "user", "content": content}]).status == "completed"


@pytest.mark.filterwarnings("ignore:connect\\(\\) must be used:DeprecationWarning")  # the SDK's own call
def test_the_sdk_connects(rehearsal):
    with (
        openai.OpenAI(base_url=rehearsal.result["base_url"], api_key=rehearsal.key) as client,
        client.responses.connect() as connection,
    ):
        connection.response.create(model="rehearsal", input="hello")
        kinds = []
        for event in connection:
            kinds.append(event.type)
            if event.type in TERMINAL:
                break
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"

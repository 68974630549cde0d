"""Responses in the background: created, polled, followed, cancelled; no client holds them up or ends them."""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from test_router import PlayedEngine, frames, post, served

from sgcx.errors import EngineError
from sgcx.responses.deltas import Finished, TextDelta
from sgcx.store.async_store import AsyncStore

DEADLINE_S = 10


class GatedEngine(PlayedEngine):
    """Waits at the step `"gate"` until it is opened."""

    def __init__(self, *steps):
        super().__init__(steps)
        self.open = False

    async def generate(self, request):
        async for step in super().generate(request):
            if step != "gate":
                yield step
            while step == "gate" and not self.open:
                await asyncio.sleep(0.005)


@pytest.fixture
def storage(tmp_path):
    storage = AsyncStore(tmp_path / "responses.sqlite3")
    yield storage
    asyncio.run(storage.close())


@pytest.fixture
def engine():
    return GatedEngine(TextDelta("Hel"), "gate", TextDelta("lo"), Finished("stop"))


@pytest.fixture
def http(engine, storage):
    with served(engine, storage=storage, heartbeat_s=5) as client:
        yield client


@pytest.fixture
def client(http):
    with openai.OpenAI(base_url=f"{http.base_url}/v1/", api_key="k", max_retries=0) as client:
        yield client


def until(condition):
    deadline = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        assert time.monotonic() < deadline
    return found


def test_a_background_response_is_polled_until_it_is_there(client, engine):
    created = client.responses.create(model="m", input="hi", background=True)
    assert (created.status, created.background, created.output) == ("in_progress", True, [])
    assert client.responses.retrieve(created.id).status == "in_progress"
    engine.open = True
    until(lambda: client.responses.retrieve(created.id).status == "completed")
    assert client.responses.retrieve(created.id).output_text == "Hello"
    assert client.responses.cancel(created.id).status == "completed", "too late changes nothing"
    follow_up = client.responses.create(model="m", input="more", previous_response_id=created.id)
    assert follow_up.output_text == "Hello"


def test_a_cancelled_response_ends_at_once_and_is_kept_as_cancelled(client, http, engine):
    created = client.responses.create(model="m", input="hi", background=True)
    until(lambda: "Hel" in started_text(http, created.id))
    cancelled = client.responses.cancel(created.id)
    assert cancelled.status == "cancelled"
    assert engine.closed.wait(DEADLINE_S)
    assert client.responses.retrieve(created.id).status == "cancelled"
    assert client.responses.cancel(created.id).status == "cancelled"
    assert "response.output_text.delta" in http.get(f"/v1/responses/{created.id}?stream=true").text
    client.responses.delete(created.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(created.id)


def started_text(http, response_id):
    """What a follower reads up to the first text, and then leaves."""
    read = ""
    with http.stream("GET", f"/v1/responses/{response_id}?stream=true") as stream:
        for chunk in stream.iter_text():
            read += chunk
            if "output_text.delta" in read:
                return read
    return read


def test_a_stream_that_broke_off_is_taken_up_again(http, engine):
    with http.stream("POST", "/v1/responses", json={"input": "hi", "background": True, "stream": True}) as stream:
        read = ""
        for chunk in stream.iter_text():
            read += chunk
            if "output_text.delta" in read:
                break
    seen = [json.loads(line[6:]) for line in read.split("\n") if line.startswith("data: ")]
    response_id, last = seen[0]["response"]["id"], seen[-1]["sequence_number"]
    assert not engine.closed.is_set()
    engine.open = True
    rest = frames(http.get(f"/v1/responses/{response_id}?stream=true&starting_after={last}").text)
    assert [event["sequence_number"] for event in rest] == list(range(last + 1, last + 1 + len(rest)))
    assert rest[-1]["type"] == "response.completed"
    until(lambda: engine.closed.is_set())
    replayed = frames(http.get(f"/v1/responses/{response_id}?stream=true").text)
    assert replayed == seen + rest


def test_all_who_follow_see_the_same_signs_of_life_in_the_same_place(engine, storage):
    def beats(seen):
        return [event["type"] for event in seen].count("response.in_progress") - 1

    with served(engine, storage=storage, heartbeat_s=0.02) as http, ThreadPoolExecutor() as threads:
        path = f"/v1/responses/{post(http, background=True).json()['id']}?stream=true"
        followers = [threads.submit(lambda: frames(http.get(path).text)) for _ in range(3)]
        with http.stream("GET", path) as stream:
            lines = (line for line in stream.iter_lines() if "response.in_progress" in line)
            for _ in zip(range(8), lines, strict=False):
                pass
        engine.open = True
        seen, *others = [follower.result() for follower in followers]
        assert all(other == seen for other in others)
        assert [event["sequence_number"] for event in seen] == list(range(len(seen)))
        assert beats(seen) >= 2
        until(lambda: engine.closed.is_set())
        assert frames(http.get(path).text) == seen


def test_deleting_a_running_response_ends_it(client, engine):
    created = client.responses.create(model="m", input="hi", background=True)
    client.responses.delete(created.id)
    assert engine.closed.wait(DEADLINE_S)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(created.id)


def test_what_the_engine_refuses_is_a_failed_response(storage):
    refusal = EngineError("too long", code="context_length_exceeded", status=400)
    with served(PlayedEngine([refusal]), storage=storage) as http:
        created = post(http, background=True).json()
        failed = until(lambda: (now := http.get(f"/v1/responses/{created['id']}").json())["status"] == "failed" and now)
    assert failed["error"]["code"] == "context_length_exceeded"


def test_the_background_needs_a_store(http, engine):
    assert post(http, background=True, store=False).json()["error"]["param"] == "background"
    with served(engine) as without:
        assert post(without, background=True).json()["error"]["param"] == "background"

"""State through the front door: OpenAI's own SDK against a real server, a played engine and a real store."""

from __future__ import annotations

import asyncio
import json
import sqlite3

import openai
import pytest
from test_router import PlayedEngine, frames, post, served

from sgcx.responses.deltas import Finished, ReasoningDelta, TextDelta, ToolCallArguments, ToolCallStarted, Usage
from sgcx.store.async_store import AsyncStore

ANSWER = [ReasoningDelta("hm"), TextDelta("Hel"), TextDelta("lo"), Finished("stop", Usage(3, 1, 2, 0))]


@pytest.fixture
def storage(tmp_path):
    storage = AsyncStore(tmp_path / "responses.sqlite3")
    yield storage
    asyncio.run(storage.close())


@pytest.fixture
def engine():
    return PlayedEngine(ANSWER)


@pytest.fixture
def http(engine, storage):
    with served(engine, storage=storage) as client:
        yield client


@pytest.fixture
def client(http):
    with openai.OpenAI(base_url=f"{http.base_url}/v1/", api_key="k", max_retries=0) as client:
        yield client


def texts(request):
    return [(message["role"], message["content"]) for message in request.messages]


def test_what_was_created_is_retrieved_until_it_is_deleted(client):
    created = client.responses.create(model="m", input="hi")
    assert created.store is True
    assert client.responses.retrieve(created.id) == created
    client.responses.delete(created.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(created.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.delete(created.id)


def test_store_false_keeps_nothing(client, storage, tmp_path):
    created = client.responses.create(model="m", input="very secret", store=False)
    assert created.store is False
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(created.id)
    assert not (tmp_path / "responses.sqlite3").exists() or not kept_rows(tmp_path)


def kept_rows(tmp_path):
    with sqlite3.connect(tmp_path / "responses.sqlite3") as connection:
        return connection.execute("SELECT id FROM responses UNION SELECT item_id FROM conversation_items").fetchall()


def test_a_chain_of_responses_is_one_conversation_to_the_engine(client, engine):
    first = client.responses.create(model="m", input="one", instructions="be brief")
    second = client.responses.create(model="m", input="two", previous_response_id=first.id)
    third = client.responses.create(model="m", input="three", previous_response_id=second.id, store=False)
    assert [message["role"] for message in engine.requests[0].messages] == ["system", "user"]
    assert [message["role"] for message in engine.requests[2].messages] == ["user", "assistant"] * 2 + ["user"]
    assert "be brief" not in json.dumps(engine.requests[2].messages)
    assert third.previous_response_id == second.id
    listed = list(client.responses.input_items.list(second.id, order="asc", limit=1))
    assert [item.type for item in listed] == ["message", "reasoning", "message", "message"]
    assert listed[1].id == first.output[0].id and listed[2].id == first.output[1].id


def test_input_items_are_listed_newest_first(client):
    created = client.responses.create(model="m", input=[{"role": "user", "content": f"{n}"} for n in range(5)])
    page = client.responses.input_items.list(created.id, limit=2)
    assert [item.content[0].text for item in page.data] == ["4", "3"]
    assert page.has_more and page.last_id == page.data[1].id
    assert [item.content[0].text for item in page] == ["4", "3", "2", "1", "0"]


def test_items_that_repeat_an_id_are_listed_once_each(client):
    sent = [{"type": "message", "id": "msg_same", "role": "user", "content": f"{n}"} for n in range(4)]
    first = client.responses.create(model="m", input=sent)
    again = [item.to_dict() for item in first.output]
    created = client.responses.create(model="m", input=[*sent, *again], previous_response_id=first.id)
    for limit in (1, 3, 100):
        listed = list(client.responses.input_items.list(created.id, order="asc", limit=limit))
        assert [item.type for item in listed] == [*["message"] * 4, "reasoning", "message"] * 2
        assert len({item.id for item in listed}) == 12
    assert (listed[0].id, listed[4].id) == ("msg_same", first.output[0].id)


def test_what_is_continued_may_be_all_the_input_there_is(client, engine):
    first = client.responses.create(model="m", input="one")
    client.responses.create(model="m", previous_response_id=first.id)
    conversation = client.conversations.create(items=[{"role": "user", "content": "zero"}])
    client.responses.create(model="m", conversation=conversation.id)
    assert [[message["role"] for message in request.messages] for request in engine.requests] == [
        ["user"],
        ["user", "assistant"],
        ["user"],
    ]
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="m")
    assert caught.value.param == "input"


def test_an_unknown_previous_response_has_its_own_code(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="m", input="x", previous_response_id="resp_unknown")
    assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")


def test_errors_name_the_place_in_the_clients_own_input(client):
    first = client.responses.create(model="m", input="one")
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="m", input=[{"type": "function_call"}], previous_response_id=first.id)
    assert caught.value.param == "input[0].call_id"


def test_a_conversation_grows_by_what_is_asked_and_answered(client, engine):
    conversation = client.conversations.create(metadata={"a": "b"}, items=[{"role": "user", "content": "zero"}])
    created = client.responses.create(model="m", input="one", conversation=conversation.id)
    assert created.conversation.id == conversation.id
    client.responses.create(model="m", input="two", conversation={"id": conversation.id})
    client.responses.create(model="m", input="not kept", conversation=conversation.id, store=False)
    assert [message["role"] for message in engine.requests[1].messages] == ["user", "user", "assistant", "user"]
    items = list(client.conversations.items.list(conversation.id, order="asc"))
    kinds = ["message", "message", "reasoning", "message", "message", "reasoning", "message"]
    assert [item.type for item in items] == kinds
    assert items[3].id == created.output[1].id
    with pytest.raises(openai.BadRequestError):
        client.responses.create(model="m", input="x", conversation=conversation.id, previous_response_id=created.id)
    client.conversations.delete(conversation.id)
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="m", input="x", conversation=conversation.id)
    assert caught.value.param == "conversation"


def test_a_reference_stands_for_the_kept_item(client, engine):
    first = client.responses.create(model="m", input="one")
    reference = {"type": "item_reference", "id": first.output[1].id}
    raw = client.responses.with_raw_response.create(
        model="m", input=[reference, {"type": "item_reference", "id": "msg_unknown"}, {"role": "user", "content": "x"}]
    )
    assert raw.headers["x-sgcx-ignored"] == "input[1].type=item_reference"
    assert [message["role"] for message in engine.requests[1].messages] == ["assistant", "user"]


def test_a_replay_is_the_stream_that_was(http, client):
    original = frames(post(http, stream=True).text)
    response_id = original[-1]["response"]["id"]
    assert frames(http.get(f"/v1/responses/{response_id}?stream=true").text) == original
    assert frames(http.get(f"/v1/responses/{response_id}?stream=true&starting_after=4").text) == original[5:]
    replayed = client.responses.retrieve(response_id, stream=True, starting_after=2)
    assert [event.sequence_number for event in replayed] == list(range(3, len(original)))


def test_heartbeats_keep_their_numbers_in_a_replay(storage):
    steps = [0.2, TextDelta("late"), 0.2, Finished("stop")]
    with served(PlayedEngine(steps), storage=storage, heartbeat_s=0.05, peek_s=0.01) as http:
        original = frames(post(http, stream=True).text)
        replayed = frames(http.get(f"/v1/responses/{original[-1]['response']['id']}?stream=true").text)
    assert [event["type"] for event in original].count("response.in_progress") > 3
    assert replayed == original


def test_a_response_that_failed_or_was_cut_can_be_looked_up(storage):
    steps = [TextDelta("x"), ToolCallStarted("f"), ToolCallArguments("{"), Finished("length")]
    with served(PlayedEngine(steps), storage=storage) as http:
        failed = frames(post(http, stream=True).text)[-1]["response"]
        cut = post(http, max_output_tokens=5).json()
        for response in (failed, cut):
            assert http.get(f"/v1/responses/{response['id']}").json() == response
    assert (failed["status"], cut["status"]) == ("failed", "incomplete")


def test_a_store_that_fails_does_not_cost_the_answer(tmp_path, engine, caplog):
    storage = AsyncStore(tmp_path / "file" / "responses.sqlite3")
    (tmp_path / "file").write_text("in the way")
    with served(engine, storage=storage) as http:
        answered = post(http)
        assert answered.json()["status"] == "completed"
        assert http.get(f"/v1/responses/{answered.json()['id']}").status_code == 500
    assert "could not be kept" in caplog.text


def test_without_a_store_state_is_refused(engine):
    with served(engine) as http:
        assert post(http).json()["store"] is False
        for field in ({"previous_response_id": "resp_1"}, {"conversation": "conv_1"}):
            assert post(http, **field).json()["error"]["param"] == next(iter(field))
        assert http.get("/v1/responses/resp_1").status_code == 404

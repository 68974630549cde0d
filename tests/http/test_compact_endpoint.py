"""Compaction through the front door: what clients get, and what the model is shown in its place."""

from __future__ import annotations

import openai
import pytest
from test_router import MODEL, PlayedEngine, frames, post, served

from sgcx.errors import EngineError
from sgcx.responses.deltas import Failed, Finished, ReasoningDelta, TextDelta, ToolCallStarted, Usage
from sgcx.store.async_store import AsyncStore
from sgcx.store.sealing import AesGcmSeal

SEAL = AesGcmSeal(b"k" * 32, model="m")
SUMMARY = [TextDelta("the plan is "), TextDelta("blue"), Finished("stop", Usage(9, 5, 4, 0))]
ANSWER = [TextDelta("go on"), Finished("stop", Usage(3, 1, 2, 0))]
HISTORY = [
    {"role": "developer", "content": "rules"},
    {"role": "user", "content": "paint it"},
    {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
    {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "x" * 300},
    {"role": "assistant", "content": "which colour?"},
]
QUESTION = {"role": "user", "content": "blue"}


class Model(PlayedEngine):
    """Plays one answer after the other. Four characters are a token."""

    def __init__(self, *answers):
        super().__init__([])
        self.answers = list(answers)

    async def generate(self, request):
        self.steps = self.answers[len(self.requests)]
        async for delta in super().generate(request):
            yield delta

    async def count_tokens(self, request):
        return sum(len(str(message["content"])) for message in request.messages) // 4


def shown(request):
    return [(message["role"], message["content"]) for message in request.messages]


def compact(client, **fields):
    return client.post("/v1/responses/compact", json={"model": "m", **fields})


def sdk(http, **options):
    return openai.OpenAI(base_url=f"{http.base_url}/v1/", api_key="k", max_retries=0, **options)


def test_a_compacted_conversation_goes_on_from_what_the_model_noted():
    model = Model(SUMMARY, ANSWER)
    with served(model, seal=SEAL) as client:
        answered = compact(client, input=[*HISTORY, QUESTION])
        result = answered.json()
        post(client, input=[*result["output"], {"role": "user", "content": "next"}])
    assert result["object"] == "response.compaction"
    *users, item = result["output"]
    assert [user["content"][0]["text"] for user in users] == ["paint it", "blue"]
    assert item.keys() == {"type", "id", "encrypted_content"}
    assert "blue" not in item["encrypted_content"]
    assert (result["usage"]["input_tokens"], result["usage"]["input_tokens_details"]["cached_tokens"]) == (9, 5)
    summarized, continued = model.requests
    assert shown(summarized)[-2] == ("user", "blue")
    assert "compacted" in shown(summarized)[-1][1]
    assert not summarized.thinking
    roles_and_texts = shown(continued)
    assert roles_and_texts[:3] == [("system", "rules"), ("user", "paint it"), ("user", "blue")]
    assert roles_and_texts[3][1].endswith("the plan is blue")
    assert roles_and_texts[4] == ("user", "next")


def test_an_old_summary_gives_way_to_the_next():
    model = Model(SUMMARY, [TextDelta("and green"), Finished("stop")], ANSWER)
    with served(model, seal=SEAL) as client:
        first = compact(client, input=[*HISTORY, QUESTION]).json()["output"]
        second = compact(client, input=[*first, {"role": "assistant", "content": "painted"}]).json()["output"]
        post(client, input=second)
    texts = [text for _, text in shown(model.requests[2])]
    assert texts[:3] == ["rules", "paint it", "blue"]
    assert texts[3].endswith("and green")
    assert len(texts) == 4


def test_what_does_not_open_stands_for_nothing_and_is_reported():
    foreign = {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAAAB"}
    model = Model(ANSWER)
    with served(model, seal=SEAL) as client:
        response = post(client, input=[*HISTORY, foreign, QUESTION])
    assert response.headers["x-sgcx-ignored"] == "input[6].encrypted_content=unreadable"
    assert len(shown(model.requests[0])) == 6


def test_a_stored_conversation_can_be_compacted(tmp_path):
    with served(Model(ANSWER, SUMMARY), seal=SEAL, storage=AsyncStore(tmp_path / "s")) as client:
        first = post(client, input=[QUESTION]).json()
        compacted = compact(client, previous_response_id=first["id"]).json()
    assert [item["type"] for item in compacted["output"]] == ["message", "compaction"]


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"model": None, "input": "x"}, 400, "model"),
        ({"model": "gpt-5", "input": "x"}, 404, "model"),
        ({}, 400, "input"),
    ],
)
def test_a_compaction_request_is_checked(fields, status, param):
    with served(Model(), seal=SEAL) as client:
        response = compact(client, **fields)
    assert (response.status_code, response.json()["error"]["param"]) == (status, param)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ([Finished("stop")], 500),
        ([ReasoningDelta("hm"), Finished("length")], 500),
        ([TextDelta("x"), Failed("server_error", "gone")], 500),
        ([EngineError("full", code=None, status=503, retry_after_s=2)], 503),
    ],
)
def test_no_summary_is_an_error_and_not_an_empty_history(answer, status):
    with served(Model(answer), seal=SEAL) as client:
        assert compact(client, input=HISTORY).status_code == status


def test_a_past_without_room_for_its_summary_loses_its_oldest_items():
    model = Model(SUMMARY)
    long = [{"role": "user" if number % 2 else "assistant", "content": f"{number:<400}"} for number in range(20)]
    with served(model, seal=SEAL) as client:
        assert compact(client, input=long).status_code == 200
    [asked] = model.requests
    assert len(str(asked.messages[-1]["content"])) > 200
    assert asked.max_new_tokens == MODEL.context_length // 8
    assert sum(len(message["content"]) for message in asked.messages) // 4 < MODEL.context_length - asked.max_new_tokens


def test_a_long_prompt_is_compacted_before_it_is_answered():
    model = Model(SUMMARY, ANSWER, ANSWER)
    wish = [{"type": "compaction", "compact_threshold": 50}]
    with served(model, seal=SEAL) as client:
        events = frames(post(client, input=[*HISTORY, QUESTION], context_management=wish, stream=True).text)
        response = events[-1]["response"]
        post(client, input=[*HISTORY, QUESTION, *response["output"], QUESTION], context_management=wish)
    assert [item["type"] for item in response["output"]] == ["compaction", "message"]
    assert response["usage"]["input_tokens"] == 3
    kinds = [event["type"] for event in events]
    added = kinds.index("response.output_item.added")
    assert kinds[added : added + 3] == [
        "response.output_item.added",
        "response.compaction.compacting",
        "response.output_item.done",
    ]
    _, answered, continued = model.requests
    assert [text for _, text in shown(answered)][-1] == "blue"
    assert shown(continued)[: len(answered.messages)] == shown(answered)


def test_a_short_prompt_is_left_alone():
    model = Model(ANSWER, ANSWER)
    with served(model, seal=SEAL) as client:
        for threshold in (None, 5000):
            wish = [{"type": "compaction", "compact_threshold": threshold}]
            response = post(client, input=[*HISTORY, QUESTION], context_management=wish).json()
            assert [item["type"] for item in response["output"]] == ["message"]


def test_a_trigger_compacts_and_answers_nothing():
    model = Model(SUMMARY)
    with served(model, seal=SEAL) as client:
        response = post(client, input=[*HISTORY, {"type": "compaction_trigger"}]).json()
    assert [item["type"] for item in response["output"]] == ["compaction"]
    assert response["status"] == "completed"


def test_openais_sdk_takes_it_for_its_own():
    with served(Model(SUMMARY, SUMMARY, ANSWER), seal=SEAL) as http, sdk(http) as client:
        compacted = client.responses.compact(model="m", input="long story")
        wish = [{"type": "compaction", "compact_threshold": 50}]
        with client.responses.stream(model="m", input=[*HISTORY, QUESTION], context_management=wish) as stream:
            final = stream.get_final_response()
    assert compacted.output[-1].type == "compaction"
    assert [item.type for item in final.output] == ["compaction", "message"]


def test_leaving_a_compaction_aborts_the_generation():
    model = Model([TextDelta("x"), 60.0, Finished("stop")])
    with served(model, seal=SEAL) as http, sdk(http, timeout=0.5) as client:
        with pytest.raises(openai.APITimeoutError):
            client.responses.compact(model="m", input="long story")
        assert model.closed.wait(10)


def test_without_a_key_nothing_can_be_compacted():
    with served(Model()) as client:
        assert compact(client, input=HISTORY).status_code == 501


def test_a_call_in_place_of_a_summary_is_not_taken_for_one():
    with served(Model([ToolCallStarted("f"), Finished("stop")]), seal=SEAL) as client:
        assert compact(client, input=HISTORY).status_code == 500

"""Counting prompts and making them fit, through the front door."""

from __future__ import annotations

import pytest
from test_router import MODEL, PlayedEngine, post, served

from sgcx.errors import EngineError
from sgcx.responses.deltas import Finished, TextDelta

ANSWER = [TextDelta("x"), Finished("stop")]
ROOM = MODEL.context_length - MODEL.context_length // 16 - 1


class CountingEngine(PlayedEngine):
    """Every character of a message is a token; `longest`: it counts no further."""

    longest = None

    async def count_tokens(self, request):
        tokens = sum(len(str(message["content"])) for message in request.messages)
        if self.longest is not None and tokens > self.longest:
            raise EngineError("longer than the context", code="context_length_exceeded", status=400)
        return tokens


def turns(number, size=100):
    return [{"role": "user" if each % 2 else "assistant", "content": f"{each:<{size}}"} for each in range(number)]


def test_the_prompt_is_counted_as_it_would_be_generated():
    with served(CountingEngine(ANSWER)) as client:
        counted = client.post(
            "/v1/responses/input_tokens", json={"model": "m", "input": "12345", "instructions": "678"}
        )
        refused = client.post("/v1/responses/input_tokens", json={"model": "m", "input": 3})
    assert counted.json() == {"object": "response.input_tokens", "input_tokens": 8}
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "input")


@pytest.mark.parametrize("longest", [None, MODEL.context_length])
def test_the_oldest_items_go_where_the_prompt_is_too_long(longest):
    engine = CountingEngine(ANSWER)
    engine.longest = longest
    history = [{"role": "developer", "content": "rules"}, *turns(30)]
    with served(engine) as client:
        response = post(client, input=history, truncation="auto")
    [asked] = engine.requests
    sent = [message["content"] for message in asked.messages]
    assert sent[0] == "rules"
    assert sent[-1] == history[-1]["content"]
    assert 400 < sum(map(len, sent)) <= ROOM
    assert response.headers["x-sgcx-truncated"] == f"{31 - len(sent)} items"
    assert response.json()["truncation"] == "auto"


def test_what_fits_stays_whole():
    engine = CountingEngine(ANSWER)
    with served(engine) as client:
        response = post(client, input=turns(9), truncation="auto")
    assert len(engine.requests[0].messages) == 9
    assert "x-sgcx-truncated" not in response.headers


def test_the_room_for_a_limited_answer_is_the_one_it_asks_for():
    engine = CountingEngine(ANSWER)
    with served(engine) as client:
        post(client, input=turns(9), truncation="auto", max_output_tokens=500)
    assert sum(len(message["content"]) for message in engine.requests[0].messages) < 500


def test_what_cannot_be_cut_is_too_long():
    with served(CountingEngine(ANSWER)) as client:
        response = post(client, input="x" * 2000, truncation="auto")
        refused = post(client, truncation="sometimes")
    assert (response.status_code, response.json()["error"]["code"]) == (400, "context_length_exceeded")
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "truncation")

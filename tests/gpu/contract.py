"""The endpoint's promises on a GPU: a scripted checkpoint with Kimi K2's layers, asked as clients ask.

The whole list runs on the CPU engine in the test suite; these are the ones that a GPU's own code paths could break.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx
from scripted import serving_script
from serving import MODEL

_ADD = {
    "type": "function",
    "name": "add",
    "description": "Adds two numbers.",
    "parameters": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
        "additionalProperties": False,
    },
}
_NOTE = {"type": "custom", "name": "note", "description": "Takes a note.", "format": {"type": "text"}}
_COLOUR = {"type": "object", "properties": {"colour": {"type": "string"}}, "required": ["colour"]}


def measure(scratch: Path, checkpoint: Path, *, port: int, tp_size: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    with (
        serving_script(scratch / "engine", checkpoint, port=port, tp_size=tp_size) as server,
        httpx.Client(base_url=f"{server.base_url}/v1", timeout=120, trust_env=False) as client,
    ):
        for check in CHECKS:
            try:
                check(client)
                rows.append({"check": check.__name__, "passed": True})
            except Exception as error:
                rows.append({"check": check.__name__, "passed": False, "why": repr(error)[-600:]})
            print(rows[-1], flush=True)
    return rows


def _ask(client: httpx.Client, sent: object, **fields: object) -> dict:
    answer = client.post("/responses", json={"model": MODEL, "input": sent, "store": False, **fields})
    assert answer.status_code == 200, answer.text[:500]
    return answer.json()


def _items(response: dict, kind: str) -> list[dict]:
    return [item for item in response["output"] if item["type"] == kind]


def text_comes_with_reasoning_and_exact_usage(client: httpx.Client) -> None:
    response = _ask(client, "Write 50 words")
    [message] = _items(response, "message")
    assert message["content"][0]["text"].split() == ["word"] * 50
    assert _items(response, "reasoning")
    usage = response["usage"]
    assert usage["output_tokens"] > usage["output_tokens_details"]["reasoning_tokens"] > 0


def a_stream_is_the_whole_answer_in_order(client: httpx.Client) -> None:
    body = {"model": MODEL, "input": "Write 60 words", "stream": True, "store": False}
    events: list[dict] = []
    with client.stream("POST", "/responses", json=body) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                events.append(json.loads(line[6:]))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    deltas = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    [message] = _items(events[-1]["response"], "message")
    assert events[-1]["type"] == "response.completed"
    assert deltas == message["content"][0]["text"]


def a_function_is_called_and_its_output_found_in_the_cache(client: httpx.Client) -> None:
    asked = {"role": "user", "content": 'Call add with {"a": 2, "b": 40}'}
    first = _ask(client, [asked], tools=[_ADD])
    [call] = _items(first, "function_call")
    assert json.loads(call["arguments"]) == {"a": 2, "b": 40}
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "42"}
    second = _ask(client, [asked, *first["output"], output], tools=[_ADD])
    known = first["usage"]["input_tokens"] + first["usage"]["output_tokens"] - 1
    assert second["usage"]["input_tokens_details"]["cached_tokens"] >= known - 1
    assert "42" in _items(second, "message")[-1]["content"][0]["text"]


def a_custom_tool_takes_plain_text(client: httpx.Client) -> None:
    response = _ask(client, 'Call note with {"input": "two\\nlines"}', tools=[_NOTE])
    [call] = _items(response, "custom_tool_call")
    assert call["input"] == "two\nlines"


def a_required_call_is_made(client: httpx.Client) -> None:
    asked = 'Say nothing or else call add with {"a": 1, "b": 2}'
    [call] = _items(_ask(client, asked, tools=[_ADD], tool_choice="required"), "function_call")
    assert json.loads(call["arguments"]) == {"a": 1, "b": 2}


def a_schema_binds_the_answer(client: httpx.Client) -> None:
    form = {"type": "json_schema", "name": "colour", "schema": _COLOUR, "strict": True}
    body = {"model": MODEL, "input": "Write 5 words", "text": {"format": form}, "max_output_tokens": 300}
    answer = client.post("/responses", json={**body, "store": False, "reasoning": {"effort": "none"}}).json()
    text = "".join(part["text"] for item in _items(answer, "message") for part in item["content"])
    assert text.lstrip().startswith("{"), text[:200]


def a_prompt_beyond_the_context_is_refused_with_its_code(client: httpx.Client) -> None:
    answer = client.post("/responses", json={"model": MODEL, "input": "word " * 60_000, "store": False})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "context_length_exceeded"


def input_tokens_are_counted_as_they_are_used(client: httpx.Client) -> None:
    body = {"model": MODEL, "input": "Write 3 words", "tools": [_ADD]}
    counted = client.post("/responses/input_tokens", json=body).json()["input_tokens"]
    used = client.post("/responses", json={**body, "store": False}).json()["usage"]["input_tokens"]
    assert counted == used


CHECKS: tuple[Callable[[httpx.Client], None], ...] = (
    text_comes_with_reasoning_and_exact_usage,
    a_stream_is_the_whole_answer_in_order,
    a_function_is_called_and_its_output_found_in_the_cache,
    a_custom_tool_takes_plain_text,
    a_required_call_is_made,
    a_schema_binds_the_answer,
    a_prompt_beyond_the_context_is_refused_with_its_code,
    input_tokens_are_counted_as_they_are_used,
)

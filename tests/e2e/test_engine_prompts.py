"""Prompts on the real engine: counted exactly, cut where they are too long, compacted, and found in its cache."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.engine

SHELL = {
    "type": "function",
    "name": "exec_command",
    "description": "Runs a command.",
    "parameters": {"type": "object", "properties": {"cmd": {"type": "string"}}, "required": ["cmd"]},
}
PATCH = {"type": "custom", "name": "apply_patch", "description": "Edits files. " * 40}
SERVER = {"type": "namespace", "name": "mcp__demo", "tools": [{"type": "function", "name": "add"}]}
TOOLS = [SHELL, PATCH, SERVER]
CODEX_COMPACTION = "You are performing a CONTEXT CHECKPOINT COMPACTION. Create a handoff summary for another LLM."


def message(role, text):
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}


def create(client, **fields):
    answer = client.post("/responses", json={"store": False, **fields})
    assert answer.status_code == 200, answer.text
    return answer


def cached(answer):
    return answer.json()["usage"]["input_tokens_details"]["cached_tokens"]


@pytest.fixture
def client(rehearsal):
    with rehearsal.client() as client:
        yield client


@pytest.mark.parametrize(
    "fields",
    [
        {"input": "hello"},
        {"input": "hello", "instructions": "Be brief. ✓"},
        {"input": "hello", "tools": TOOLS, "reasoning": {"effort": "none"}},
        {"input": "hello", "tools": TOOLS, "tool_choice": "none"},
        {"input": [message("developer", "rules"), message("user", "hello"), message("assistant", "half")]},
    ],
)
def test_what_is_counted_is_what_is_used(client, fields):
    counted = client.post("/responses/input_tokens", json=fields)
    assert counted.json()["input_tokens"] == create(client, **fields).json()["usage"]["input_tokens"]


def test_a_compaction_turn_finds_the_whole_conversation_in_the_cache(client):
    """The shape of Codex's: no tools, no parallel calls, the history, and a last question."""
    history = [message("developer", "You are a coding agent."), message("user", "list the files")]
    shared = {"prompt_cache_key": "thread-1", "include": ["reasoning.encrypted_content"]}
    first = create(client, input=history, tools=TOOLS, **shared).json()
    [*_, call] = first["output"]
    assert call["type"] == "function_call"
    history += [*first["output"], {"type": "function_call_output", "call_id": call["call_id"], "output": "a.py\n" * 50}]
    second = create(client, input=history, tools=TOOLS, **shared).json()
    history += [*second["output"], message("user", CODEX_COMPACTION)]
    answer = create(client, input=history, tools=[], parallel_tool_calls=False, **shared)
    assert answer.headers["x-sgcx-cache"] == "hit; tools kept"
    assert answer.json()["output"][-1]["content"][0]["text"].startswith("Summary by the rehearsal model")
    seen = second["usage"]["input_tokens"] + second["usage"]["output_tokens"]
    assert cached(answer) >= 0.99 * seen
    ours = client.post("/responses/compact", json={"model": "rehearsal", "input": history[:-1], **shared})
    assert cached(ours) >= 0.99 * seen


def test_a_conversation_that_is_too_long_is_cut_and_still_answered(client, rehearsal):
    room = 3000
    turns = [
        message("user" if number % 2 else "assistant", f"{number} " + "one two three " * 30) for number in range(80)
    ]
    asked = {
        "input": [message("developer", "rules"), *turns, message("user", "hello")],
        "max_output_tokens": rehearsal.result["context_length"] - room,
        "store": False,
    }
    too_long = client.post("/responses", json=asked)
    assert too_long.json()["error"]["code"] == "context_length_exceeded"
    answer = create(client, **asked, truncation="auto")
    assert answer.headers["x-sgcx-truncated"].endswith(" items")
    assert room // 3 < answer.json()["usage"]["input_tokens"] < room


def test_a_compacted_conversation_is_shorter_and_goes_on(client):
    history = [message("user", "list the files"), message("assistant", "a.py " * 500), message("user", "and now?")]
    compacted = client.post("/responses/compact", json={"model": "rehearsal", "input": history})
    assert compacted.status_code == 200, compacted.text
    item = compacted.json()["output"][-1]
    before = create(client, input=history).json()
    after = create(client, input=[item, message("user", "hello")]).json()
    assert after["status"] == "completed"
    assert after["usage"]["input_tokens"] < before["usage"]["input_tokens"] / 2

"""The memory's bounds, and that its comparison is right."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sgcx.responses.continuation import prompt_memory
from sgcx.responses.continuation.prompt_memory import PromptMemory
from sgcx.responses.request import parse_request


def request(texts, key="k", tools=()):
    messages = [{"role": "user", "content": text} for text in texts]
    return parse_request({"input": messages, "prompt_cache_key": key, "tools": list(tools)})


def test_the_oldest_conversations_are_forgotten():
    memory = PromptMemory()
    for number in range(600):
        memory.note(request(["hi"], key=str(number)), None, "resp")
        memory.note(request(["hi"], key="kept"), None, "resp")
    assert str(memory.note(request(["hi"], key="0"), None, "resp")) == "miss: first_or_evicted"
    assert str(memory.note(request(["hi"], key="599"), None, "resp")) == "hit"
    assert str(memory.note(request(["hi"], key="kept"), None, "resp")) == "hit"


def test_many_tools_are_remembered_within_a_bound(monkeypatch):
    monkeypatch.setattr(prompt_memory, "_MAX_BYTES", 50_000)
    tools = [{"type": "function", "name": "f", "description": "d" * 20_000, "parameters": {"type": "object"}}]
    memory = PromptMemory()
    for key in ("first", "second", "third"):
        memory.note(request(["hi"], key=key, tools=tools), tools, "resp")
    assert memory.left_out_tools(request(["hi", "go on"], key="first")) is None
    assert memory.left_out_tools(request(["hi", "go on"], key="third")) == tools
    memory.note(request(["hi"], key="k" * 60_000), None, "resp")
    assert memory.left_out_tools(request(["hi", "go on"], key="third")) is None


def test_a_key_remembers_its_latest_prompts_only():
    memory = PromptMemory()
    for text in "abcdef":
        memory.note(request([text]), None, "resp")
    assert str(memory.note(request(["f", "g"]), None, "resp")) == "hit"
    assert str(memory.note(request(["a", "g"]), None, "resp")) == "miss: input_changed at item 0"


texts = st.lists(st.sampled_from("abc"), min_size=1, max_size=12)


@given(texts, texts)
def test_the_first_difference_is_found(before, after):
    memory = PromptMemory()
    memory.note(request(before), None, "resp")
    outlook = memory.note(request(after), None, "resp")
    differences = [index for index, (old, new) in enumerate(zip(before, after, strict=False)) if old != new]
    assert outlook.changed_item == (differences[0] if differences else None)
    assert (outlook.reason is None) == (not differences)


def test_the_response_to_the_earlier_prompt_is_named():
    memory = PromptMemory()
    assert memory.note(request(["a"]), None, "first").earlier is None
    assert memory.note(request(["b"]), None, "second").earlier == "first"
    assert memory.note(request(["a", "c"]), None, "third").earlier == "first"

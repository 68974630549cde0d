"""Constraints on the real engine: a scripted model that wants to break them, and what it is made to say instead."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.engine

PICK = {
    "type": "function",
    "name": "pick",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    },
}
FREE = {"type": "function", "name": "free", "parameters": {"type": "object", "properties": {}}}
PATCH = {
    "type": "custom",
    "name": "apply_patch",
    "format": {
        "type": "grammar",
        "syntax": "lark",
        "definition": 'start: "*** Begin Patch" LF line+ "*** End Patch"\nline: "+" /(.*)/ LF\n%import common.LF\n',
    },
}
SCHEMA = {"type": "json_schema", "name": "s", "schema": {"type": "object", "properties": {"ok": {"type": "boolean"}}}}


def patch(line):
    return json.dumps({"input": f"*** Begin Patch\n{line}\n*** End Patch"})


@pytest.fixture
def answer(rehearsal):
    def ask(request, *tools, **fields):
        with rehearsal.client() as client:
            body = {"input": request, "tools": tools, "max_output_tokens": 300, **fields}
            response = client.post("/responses", json=body).json()
        assert response.get("status") == "completed", response
        assert response["output"][0]["type"] == "reasoning"
        return response

    return ask


def items(response):
    """Behind the reasoning: texts, and calls as (name, arguments or input)."""
    found = []
    for item in response["output"][1:]:
        if item["type"] == "message":
            found.append(item["content"][0]["text"])
        else:
            found.append((item["name"], item["arguments"] if item["type"] == "function_call" else item["input"]))
    return found


def test_a_required_call_takes_the_place_of_words(answer):
    request = 'say hello or else call pick with {"n": 7}'
    assert items(answer(request, PICK)) == ["hello"]
    assert items(answer(request, PICK, tool_choice="required")) == [("pick", '{"n": 7}')]


def test_a_named_tool_takes_the_place_of_another(answer):
    request = 'call free with {} or else call pick with {"n": 7}'
    named = {"type": "function", "name": "pick"}
    assert items(answer(request, PICK, FREE, tool_choice=named)) == [("pick", '{"n": 7}')]
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [named]}
    assert items(answer(request, PICK, FREE, tool_choice=allowed)) == [("pick", '{"n": 7}')]


def test_where_no_call_may_be_made_the_prompt_stays_and_words_come(answer):
    request = "call free with {} or else say done"
    called = answer(request, FREE)
    assert items(called) == [("free", "{}")]
    said = answer(request, FREE, tool_choice="none")
    assert items(said) == ["done"]
    assert said["usage"]["input_tokens"] == called["usage"]["input_tokens"]
    assert said["usage"]["input_tokens_details"]["cached_tokens"] >= called["usage"]["input_tokens"] - 1


def test_strict_arguments_match_their_schema(answer):
    request = 'call pick with {"n": "seven"} or else call pick with {"n": 7}'
    [(name, arguments)] = items(answer(request, PICK, FREE))
    assert name == "pick"
    assert isinstance(json.loads(arguments)["n"], int)


def test_the_input_of_a_custom_tool_matches_its_grammar(answer):
    [legal] = items(answer(f"call apply_patch with {patch('+ok')}", PATCH, FREE))
    assert legal == ("apply_patch", "*** Begin Patch\n+ok\n*** End Patch")
    request = f"call apply_patch with {patch('bad')} or else call apply_patch with {patch('+ok')}"
    [(_, text)] = items(answer(request, PATCH, FREE))
    assert text.splitlines()[1].startswith("+")


def test_a_schema_binds_the_answer_beside_tools(answer):
    text = {"format": SCHEMA}
    assert items(answer('say yes or else call pick with {"n": 7}', PICK, text=text)) == [("pick", '{"n": 7}')]
    request = 'call free with {} or else say {"ok": true}'
    none = items(answer(request, FREE, text=text, tool_choice="none"))
    assert none == ['{"ok": true}']


def test_without_parallel_calls_the_generation_ends_behind_the_first(answer):
    response = answer('call free with {"a": 1}', FREE, parallel_tool_calls=False)
    assert items(response) == [("free", '{"a": 1}')]
    assert response["usage"]["output_tokens"] > 0


def test_a_schema_that_no_value_matches_costs_its_own_request_the_constraint_and_nobody_the_engine(answer):
    circular = {**PICK, "parameters": {"$ref": "#"}}
    assert items(answer('call pick with {"n": 7}', circular, tool_choice="required")) == [("pick", '{"n": 7}')]
    form = {"type": "json_schema", "name": "s", "schema": circular["parameters"]}
    assert items(answer("say 1", text={"format": form})) == ["1"]
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: start"}
    custom = {"type": "custom", "name": "pick", "format": grammar}
    assert items(answer('call pick with {"input": "x"}', custom, tool_choice="required")) == [("pick", "x")]

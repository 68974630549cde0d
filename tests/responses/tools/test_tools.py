"""Declared tools as the model sees them, and what it wrote as the tool that it meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgcx.responses.parsing import Node
from sgcx.responses.request import parse_request
from sgcx.responses.tools.declared import CustomTool, FunctionTool, echoed_tools
from sgcx.responses.tools.names import MAX_NAME_CHARACTERS, distinct_name, exposed_name


def table(*tools):
    return parse_request({"input": "hi", "tools": list(tools)}).tools


def function(name, **fields):
    return {"type": "function", "name": name, **fields}


def namespace(name, *tools, **fields):
    return {"type": "namespace", "name": name, "tools": list(tools), **fields}


@pytest.mark.parametrize(
    ("name", "in_namespace", "shown"),
    [
        ("f", None, "f"),
        ("add", "mcp__demo", "mcp__demo__add"),
        ("add", "mcp__demo__", "mcp__demo__add"),
        ("a.b-c", None, "a.b-c"),
        ("a" * 64, None, "a" * 64),
    ],
)
def test_names_are_joined_as_clients_expect_them(name, in_namespace, shown):
    assert exposed_name(name, in_namespace) == shown


@given(st.text(min_size=1, max_size=80), st.none() | st.text(min_size=1, max_size=80))
def test_every_name_fits_engines_and_is_always_the_same(name, in_namespace):
    shown = exposed_name(name, in_namespace)
    assert 0 < len(shown) <= MAX_NAME_CHARACTERS
    assert shown.isascii() and not set(shown) & set(' `{<:"')
    assert exposed_name(name, in_namespace) == shown


def test_long_names_stay_apart():
    members = [function(f"{'a' * 60}_{index}") for index in range(3)]
    tools = table(namespace("mcp__demo", *members))
    assert len(set(tools.by_exposed_name)) == 3
    for shown, tool in tools.by_exposed_name.items():
        assert len(shown) == MAX_NAME_CHARACTERS
        assert tools.resolve(shown) is tool
        assert tools.exposed(tool.name, "mcp__demo") == shown


def test_tools_whose_joined_names_are_the_same_stay_apart():
    tools = table(function("a__b__c"), namespace("a", function("b__c")), namespace("a__b", function("c")))
    assert list(tools.by_exposed_name) == ["a__b__c", distinct_name("b__c", "a"), distinct_name("c", "a__b")]
    assert tools.resolve("a__b__c").namespace is None
    assert tools.resolve(tools.exposed("c", "a__b")).namespace == "a__b"


def test_what_the_model_wrote_is_the_tool_that_it_meant():
    tools = table(namespace("x", function("add"), function("both")), namespace("y", function("both")), function("f"))
    assert {tools.resolve(written).namespace for written in ("x__add", "add", "x.add")} == {"x"}
    assert tools.resolve("both") is None
    assert tools.resolve("y.both").namespace == "y"
    assert tools.resolve("nothing") is None
    assert tools.resolve("None.f") is None


def test_a_namespace_is_described_with_its_first_member():
    tools = table(namespace("x", function("a", description="A."), function("b"), description="All of x."))
    assert [tool["function"]["description"] for tool in tools.chat_tools()] == ["All of x.\n\nA.", None]


def test_functions_in_the_form_of_chat_completions_are_understood():
    tools = table({"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}})
    assert tools.resolve("f") == FunctionTool("f", None, {"type": "object"})


def test_custom_tools_are_shown_as_functions_with_one_string():
    form = {"type": "grammar", "syntax": "regex", "definition": "[ab]+"}
    tools = table({"type": "custom", "name": "note", "description": "Notes.", "format": form})
    assert tools.resolve("note") == CustomTool("note", "Notes.", "[ab]+", "regex")
    [shown] = tools.chat_tools()
    [(name, schema)] = shown["function"]["parameters"]["properties"].items()
    assert (name, schema["type"]) == ("input", "string")
    assert "regex grammar:\n[ab]+" in schema["description"]


def test_typed_tools_are_shown_as_functions():
    tools = table({"type": "shell"}, {"type": "local_shell"}, {"type": "apply_patch"})
    shown = {tool["function"]["name"]: tool["function"]["parameters"] for tool in tools.chat_tools()}
    assert {name: schema["required"] for name, schema in shown.items()} == {
        "shell": ["commands"],
        "local_shell": ["command"],
        "apply_patch": ["type", "path"],
    }


def test_a_search_for_tools_is_declared_as_its_client_declares_it():
    own = {"type": "object", "properties": {"query": {"type": "string"}, "limit": {"type": "number"}}}
    [shown] = table(
        {"type": "tool_search", "execution": "client", "description": "Finds.", "parameters": own}
    ).chat_tools()
    assert shown["function"] == {"name": "tool_search", "description": "Finds.", "parameters": own}
    [plain] = table({"type": "tool_search", "execution": "client"}).chat_tools()
    assert plain["function"]["parameters"]["required"] == ["query"]


@pytest.mark.parametrize(
    "tool",
    [
        *({"type": kind} for kind in ("web_search", "web_search_preview_2025_03_11", "file_search", "computer", "mcp")),
        *({"type": kind} for kind in ("code_interpreter", "image_generation", "programmatic_tool_calling", "new")),
        {"type": "tool_search"},
        {"type": "tool_search", "execution": "server"},
        {"type": "shell", "environment": {"type": "container_auto"}},
        namespace("x", {"type": "web_search"}),
    ],
    ids=str,
)
def test_tools_that_run_at_the_provider_are_left_out_and_reported(tool):
    request = parse_request({"input": "hi", "tools": [function("f"), tool]})
    assert list(request.tools.by_exposed_name) == ["f"]
    [left_out] = request.ignored
    assert left_out.startswith("tools[1].")


def test_echoed_tools_have_the_fields_that_the_api_always_shows():
    sent = [function("f"), function("g", strict=True), namespace("x", function("h")), {"type": "web_search"}]
    shown = {"type": "function", "description": None, "parameters": None, "strict": False}
    assert echoed_tools(Node(sent, "tools")) == [
        {**shown, "name": "f"},
        {**shown, "name": "g", "strict": True},
        {"type": "namespace", "name": "x", "description": "", "tools": [{**shown, "name": "h"}]},
        {"type": "web_search"},
    ]

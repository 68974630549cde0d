"""`tool_choice`: which tools may be called, and must one be."""

from __future__ import annotations

import pytest

from sgcx.errors import InvalidRequest
from sgcx.responses.request import parse_request
from sgcx.responses.tools.choice import ToolChoice

TOOLS = [
    {"type": "function", "name": "read"},
    {"type": "custom", "name": "patch"},
    {"type": "namespace", "name": "mcp__demo", "tools": [{"type": "function", "name": "add"}]},
]


def chosen(choice, tools=TOOLS):
    request = parse_request({"input": "hi", "tools": tools, "tool_choice": choice})
    return request.tool_choice, request.ignored


@pytest.mark.parametrize(
    ("choice", "meant"),
    [
        (None, ToolChoice()),
        ("auto", ToolChoice()),
        ("none", ToolChoice(allowed=frozenset())),
        ("required", ToolChoice("required")),
        ({"type": "function", "name": "read"}, ToolChoice("required", frozenset({"read"}), exactly_one=True)),
        ({"type": "custom", "name": "patch"}, ToolChoice("required", frozenset({"patch"}), exactly_one=True)),
        (
            {"type": "function", "name": "add", "namespace": "mcp__demo"},
            ToolChoice("required", frozenset({"mcp__demo__add"}), exactly_one=True),
        ),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "add"}]},
            ToolChoice("auto", frozenset({"mcp__demo__add"})),
        ),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "custom", "name": "patch"}, {"type": "namespace", "name": "mcp__demo"}],
            },
            ToolChoice("required", frozenset({"patch", "mcp__demo__add"})),
        ),
    ],
)
def test_every_choice_among_declared_tools_is_understood(choice, meant):
    assert chosen(choice) == (meant, ())


def test_hosted_tools_cannot_be_chosen_and_are_reported():
    assert chosen({"type": "web_search_preview"}) == (ToolChoice(), ("tool_choice.type=web_search_preview",))
    only_hosted = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "mcp", "server_label": "x"}]}
    assert chosen(only_hosted) == (
        ToolChoice(allowed=frozenset()),
        ("tool_choice.tools[0].type=mcp", "tool_choice.mode=required"),
    )
    assert chosen("required", [{"type": "web_search"}]) == (
        ToolChoice(),
        ("tools[0].type=web_search", "tool_choice=required"),
    )


@pytest.mark.parametrize(
    ("choice", "param"),
    [
        ("any", "tool_choice"),
        ({}, "tool_choice.type"),
        ({"type": "function"}, "tool_choice.name"),
        ({"type": "function", "name": "write"}, "tool_choice.name"),
        ({"type": "allowed_tools", "mode": "all", "tools": []}, "tool_choice.mode"),
        ({"type": "allowed_tools", "mode": "auto", "tools": {}}, "tool_choice.tools"),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "custom", "name": "x"}]},
            "tool_choice.tools[0].name",
        ),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "namespace", "name": "x"}]},
            "tool_choice.tools[0].name",
        ),
    ],
)
def test_a_choice_that_cannot_be_meant_names_the_place(choice, param):
    with pytest.raises(InvalidRequest) as caught:
        chosen(choice)
    assert caught.value.param == param

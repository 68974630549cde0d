"""Declared tools. The model is shown every one as a function: it has a name, a description and parameters.

A custom (freeform) tool is a function with one string, a typed tool (shell, apply_patch, …) a function whose
arguments are what its call item holds. Tools that would run at the provider are left out and reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sgcx.errors import InvalidRequest
from sgcx.responses.parsing import Node
from sgcx.responses.tools.typed import APPLY_PATCH_TOOL, LOCAL_SHELL_TOOL, SHELL_TOOL, TypedTool, tool_search
from sgcx.responses.wire import JsonObject, JsonValue

CUSTOM_INPUT = "input"
"""The one property of the function that stands for a custom tool."""

_NO_PARAMETERS: JsonObject = {"type": "object", "properties": {}}


@dataclass(frozen=True, slots=True)
class FunctionTool:
    name: str
    description: str | None
    parameters: JsonObject
    namespace: str | None = None
    strict: bool = False
    """The arguments must match the parameters' schema."""


@dataclass(frozen=True, slots=True)
class CustomTool:
    """`grammar` is the definition that the input must match, in the syntax that the description names."""

    name: str
    description: str | None
    grammar: str | None = None
    syntax: str | None = None
    namespace: str | None = None

    @property
    def parameters(self) -> JsonObject:
        description = "The tool's input, as plain text"
        if self.grammar:
            description += f" that matches this {self.syntax or 'lark'} grammar:\n{self.grammar}"
        properties: JsonObject = {CUSTOM_INPUT: {"type": "string", "description": description}}
        return {"type": "object", "properties": properties, "required": [CUSTOM_INPUT]}


Tool = FunctionTool | CustomTool | TypedTool


def parse_tools(node: Node) -> tuple[tuple[Tool, ...], tuple[str, ...]]:
    """The tools that the model can call, and what was left out."""
    tools: list[Tool] = []
    ignored: list[str] = []
    for element in node.items():
        if element.get("type").string() == "namespace":
            tools += _members(element, ignored)
        elif (tool := _parse_tool(element, None, ignored)) is not None:
            tools.append(tool)
    return tuple(tools), tuple(ignored)


def _members(node: Node, ignored: list[str]) -> list[Tool]:
    namespace = _name(node)
    parsed = (_parse_tool(member, namespace, ignored) for member in node.get("tools").items())
    members = [member for member in parsed if member is not None]
    description = node.get("description").optional_string()
    if members and description:  # the model sees functions only, so the first one speaks for all
        members[0] = replace(members[0], description=f"{description}\n\n{members[0].description or ''}".rstrip())
    return members


def _parse_tool(node: Node, namespace: str | None, ignored: list[str]) -> Tool | None:
    kind = node.get("type").string()
    match kind:
        case "function":
            return _function(node, namespace)
        case "custom":
            return _custom(node, namespace)
        case "tool_search" if namespace is None and node.get("execution").optional_string() == "client":
            return tool_search(node.get("description").optional_string(), node.get("parameters").value)
        case "shell" if namespace is None and _runs_at_client(node.get("environment")):
            return SHELL_TOOL
        case "local_shell" if namespace is None:
            return LOCAL_SHELL_TOOL
        case "apply_patch" if namespace is None:
            return APPLY_PATCH_TOOL
    ignored.append(f"{node.path}.type={kind}")
    return None


def _function(node: Node, namespace: str | None) -> FunctionTool:
    if isinstance(node.get("function").value, Mapping):  # the form of chat completions
        node = node.get("function")
    return FunctionTool(
        name=_name(node),
        description=node.get("description").optional_string(),
        parameters=_parameters(node),
        namespace=namespace,
        strict=node.get("strict").value is True,
    )


def _custom(node: Node, namespace: str | None) -> CustomTool:
    form = node.get("format")
    grammar = not form.is_null() and form.get("type").optional_string() == "grammar"
    return CustomTool(
        name=_name(node),
        description=node.get("description").optional_string(),
        grammar=form.get("definition").optional_string() if grammar else None,
        syntax=form.get("syntax").optional_string() if grammar else None,
        namespace=namespace,
    )


def _runs_at_client(environment: Node) -> bool:
    return environment.is_null() or environment.get("type").string() == "local"


def _parameters(node: Node) -> JsonObject:
    parameters = node.get("parameters")
    return _NO_PARAMETERS if parameters.is_null() else parameters.as_object()


def _name(node: Node) -> str:
    name = node.get("name").string()
    if not name:
        raise InvalidRequest(f"`{node.path}.name` must not be empty", param=f"{node.path}.name")
    return name


def echoed_tools(node: Node) -> list[JsonValue]:
    """The tools as responses repeat them: with the fields that the API always shows."""
    return [_echoed(element) for element in node.items()]


def _echoed(node: Node) -> JsonValue:
    tool = node.as_object()
    match tool.get("type"):
        case "function" if "function" not in tool:
            return {"description": None, "parameters": None, "strict": False, **tool}
        case "namespace":
            return {"description": "", **tool, "tools": echoed_tools(node.get("tools"))}
        case _:
            return tool

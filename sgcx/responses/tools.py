"""Declared tools. The model is shown every one as a function: it has a name, a description and parameters.

A custom (freeform) tool is a function with one string, a typed tool (shell, apply_patch, …) a function whose
arguments are what its call item holds. Tools that would run at the provider are left out and reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from sgcx.errors import InvalidRequest
from sgcx.responses.parsing import Node
from sgcx.responses.wire import JsonObject

CUSTOM_INPUT = "input"
"""The one property of the function that stands for a custom tool."""

TOOL_SEARCH: Literal["tool_search"] = "tool_search"
SHELL: Literal["shell"] = "shell"
LOCAL_SHELL: Literal["local_shell"] = "local_shell"
APPLY_PATCH: Literal["apply_patch"] = "apply_patch"

_NO_PARAMETERS: JsonObject = {"type": "object", "properties": {}}


@dataclass(frozen=True, slots=True)
class FunctionTool:
    name: str
    description: str | None
    parameters: JsonObject
    namespace: str | None = None


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


@dataclass(frozen=True, slots=True)
class TypedTool:
    """A tool that is known by its type, runs at the client and has a call item of its own."""

    name: Literal["tool_search", "shell", "local_shell", "apply_patch"]
    description: str
    parameters: JsonObject

    @property
    def namespace(self) -> None:
        return None


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
            return _tool_search(node)
        case "shell" if namespace is None and _runs_at_client(node.get("environment")):
            return TypedTool(SHELL, _SHELL_DESCRIPTION, _SHELL_PARAMETERS)
        case "local_shell" if namespace is None:
            return TypedTool(LOCAL_SHELL, _LOCAL_SHELL_DESCRIPTION, _LOCAL_SHELL_PARAMETERS)
        case "apply_patch" if namespace is None:
            return TypedTool(APPLY_PATCH, _APPLY_PATCH_DESCRIPTION, _APPLY_PATCH_PARAMETERS)
    ignored.append(f"{node.path}.type={kind}")
    return None


def _function(node: Node, namespace: str | None) -> FunctionTool:
    if isinstance(node.get("function").value, Mapping):  # the form of chat completions
        node = node.get("function")
    return FunctionTool(_name(node), node.get("description").optional_string(), _parameters(node), namespace)


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


def _tool_search(node: Node) -> TypedTool:
    description = node.get("description").optional_string() or "Finds further tools, which can be called from then on."
    parameters = node.get("parameters")
    return TypedTool(TOOL_SEARCH, description, _SEARCH_PARAMETERS if parameters.is_null() else parameters.as_object())


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


# typed tools as functions

_SEARCH_PARAMETERS: JsonObject = {
    "type": "object",
    "properties": {"query": {"type": "string", "description": "What the tool is to do"}},
    "required": ["query"],
    "additionalProperties": False,
}

_SHELL_DESCRIPTION = "Runs shell commands on the user's machine and returns what they print and how they end."
_SHELL_PARAMETERS: JsonObject = {
    "type": "object",
    "properties": {
        "commands": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Run in this order, each by a shell of its own",
        },
        "timeout_ms": {"type": "integer", "description": "Longest time that a command may take"},
        "max_output_length": {"type": "integer", "description": "Characters of output to return per command"},
    },
    "required": ["commands"],
    "additionalProperties": False,
}

_LOCAL_SHELL_DESCRIPTION = "Runs a program on the user's machine and returns what it prints."
_LOCAL_SHELL_PARAMETERS: JsonObject = {
    "type": "object",
    "properties": {
        "command": {
            "type": "array",
            "items": {"type": "string"},
            "description": 'The program and its arguments, as ["bash", "-lc", "ls | wc -l"]',
        },
        "working_directory": {"type": "string"},
        "timeout_ms": {"type": "integer"},
        "env": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "required": ["command"],
    "additionalProperties": False,
}

_APPLY_PATCH_DESCRIPTION = "Creates, changes or deletes one file in the user's workspace."
_APPLY_PATCH_PARAMETERS: JsonObject = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
        "path": {"type": "string", "description": "Relative to the workspace"},
        "diff": {
            "type": "string",
            "description": (
                "For create_file: the whole file, every line behind a `+`. For update_file: hunks, each opened by a"
                " line with `@@`, where a line begins with a space (context), `-` (goes) or `+` (comes)."
                " Not for delete_file."
            ),
        },
    },
    "required": ["type", "path"],
    "additionalProperties": False,
}

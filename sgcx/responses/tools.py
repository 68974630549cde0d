"""Declared tools, and the names under which the model sees them.

A chat template knows one kind of tool: a function with a flat name. So a custom (freeform) tool is shown as
a function with one string property, and the members of a namespace under a joined name. `ToolTable` is the
one place that knows both sides: exposed name ↔ (kind, namespace, name).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sgcx.errors import InvalidRequest
from sgcx.responses.parsing import Node
from sgcx.responses.wire import JsonObject

CUSTOM_INPUT = "input"
"""The one property of the function that stands for a custom tool."""

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


Tool = FunctionTool | CustomTool


def parse_tools(node: Node) -> tuple[tuple[Tool, ...], tuple[str, ...]]:
    """The tools that the model can call, and what was left out (hosted tools run at the provider's)."""
    tools: list[Tool] = []
    ignored: list[str] = []
    for element in node.items():
        _parse_tool(element, None, tools, ignored)
    return tuple(tools), tuple(ignored)


def _parse_tool(node: Node, namespace: str | None, tools: list[Tool], ignored: list[str]) -> None:
    match node.get("type").string():
        case "function":
            parameters = node.get("parameters")
            tools.append(
                FunctionTool(
                    name=_name(node),
                    description=node.get("description").optional_string(),
                    parameters=_NO_PARAMETERS if parameters.is_null() else parameters.as_object(),
                    namespace=namespace,
                )
            )
        case "custom":
            tools.append(_custom(node, namespace))
        case "namespace" if namespace is None:
            for member in node.get("tools").items():
                _parse_tool(member, _name(node), tools, ignored)
        case other:
            ignored.append(f"{node.path}.type={other}")


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


def _name(node: Node) -> str:
    name = node.get("name").string()
    if not name:
        raise InvalidRequest(f"`{node.path}.name` must not be empty", param=f"{node.path}.name")
    return name


def exposed_name(name: str, namespace: str | None) -> str:
    """`mcp__demo` + `add` → `mcp__demo__add`; a namespace that ends with the separator keeps it single."""
    if namespace is None:
        return name
    return f"{namespace}{name}" if namespace.endswith("__") else f"{namespace}__{name}"


@dataclass(frozen=True, slots=True)
class ToolTable:
    """Declared tools by the name that the model sees, in declaration order."""

    by_exposed_name: dict[str, Tool] = field(default_factory=dict)

    @classmethod
    def of(cls, tools: Iterable[Tool]) -> ToolTable:
        table: dict[str, Tool] = {}
        for tool in tools:
            exposed = exposed_name(tool.name, tool.namespace)
            if exposed in table:
                raise InvalidRequest(f"Two tools have the name {exposed!r}; tool names must be unique", param="tools")
            table[exposed] = tool
        return cls(table)

    def resolve(self, written: str) -> Tool | None:
        """The tool that the model meant by `written`; a bare member name is enough where it is unambiguous."""
        tool = self.by_exposed_name.get(written)
        if tool is not None:
            return tool
        members = [tool for tool in self.by_exposed_name.values() if tool.name == written]
        return members[0] if len(members) == 1 else None

    def chat_tools(self) -> tuple[JsonObject, ...]:
        """The tools as chat completions declare them, for the chat template."""
        return tuple(
            {
                "type": "function",
                "function": {"name": exposed, "description": tool.description, **_schema(tool)},
            }
            for exposed, tool in self.by_exposed_name.items()
        )


def _schema(tool: Tool) -> JsonObject:
    match tool:
        case FunctionTool():
            return {"parameters": tool.parameters}
        case CustomTool():
            description = "The tool's input, as plain text"
            if tool.grammar:
                description += f" that matches this {tool.syntax or 'lark'} grammar:\n{tool.grammar}"
            properties: JsonObject = {CUSTOM_INPUT: {"type": "string", "description": description}}
            return {"parameters": {"type": "object", "properties": properties, "required": [CUSTOM_INPUT]}}

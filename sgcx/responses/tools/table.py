"""All tools of a request: the one place that knows both sides, exposed name ↔ (type, namespace, name).

Tools that came up during the conversation (`tool_search_output`, `additional_tools`) are announced there, in the
text. The block of declarations in front of the prompt stays as it was, and with it the prefix cache.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from sgcx.errors import InvalidRequest
from sgcx.responses.parsing import Node
from sgcx.responses.tools.declared import Tool, parse_tools
from sgcx.responses.tools.names import distinct_name, exposed_name
from sgcx.responses.wire import JsonObject

_Key = tuple[str | None, str]


@dataclass(frozen=True, slots=True)
class ToolTable:
    """Tools by the name that the model sees, in the order of their declaration."""

    by_exposed_name: dict[str, Tool] = field(default_factory=dict)
    _exposed: dict[_Key, str] = field(default_factory=dict)
    _late: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, tools: Iterable[Tool], late: Iterable[Tool] = ()) -> ToolTable:
        """`late`: tools that came up during the conversation. They may come up again; the last one counts."""
        table = cls()
        for tool in tools:
            if _key(tool) in table._exposed:
                raise InvalidRequest(f"Two tools have the name {tool.name!r}; tool names must be unique", param="tools")
            table._declare(tool)
        for tool in late:
            if _key(tool) not in table._exposed:
                table._late.add(table._declare(tool))
            elif table.is_late(tool):
                table.by_exposed_name[table.exposed(tool.name, tool.namespace)] = tool
        return table

    def _declare(self, tool: Tool) -> str:
        shown = exposed_name(tool.name, tool.namespace)
        if shown in self.by_exposed_name:
            shown = distinct_name(tool.name, tool.namespace)
        self.by_exposed_name[shown] = tool
        self._exposed[_key(tool)] = shown
        return shown

    def exposed(self, name: str, namespace: str | None) -> str:
        """The name under which the model sees a tool, or would have seen one that is not declared any more."""
        return self._exposed.get((namespace, name)) or exposed_name(name, namespace)

    def is_late(self, tool: Tool) -> bool:
        return self._exposed.get(_key(tool)) in self._late

    def resolve(self, written: str) -> Tool | None:
        """The tool that the model meant by `written`; a bare member name is enough where it is unambiguous."""
        tool = self.by_exposed_name.get(written)
        if tool is not None:
            return tool
        meant = [tool for tool in self.by_exposed_name.values() if _is_meant(tool, written)]
        return meant[0] if len(meant) == 1 else None

    def chat_tools(self) -> tuple[JsonObject, ...]:
        """The tools in front of the prompt, as chat completions declare them, for the chat template."""
        return tuple(_declaration(shown, tool) for shown, tool in self._shown(late=False))

    def late_chat_tools(self) -> tuple[JsonObject, ...]:
        """The others: for engines that accept calls of declared tools only."""
        return tuple(_declaration(shown, tool) for shown, tool in self._shown(late=True))

    def announcement(self, tools: Iterable[Tool]) -> str:
        """Declarations for the model in the midst of a conversation."""
        declared = [_declaration(self.exposed(tool.name, tool.namespace), tool) for tool in tools]
        return f"These functions can be called from now on:\n{json.dumps(declared, ensure_ascii=False)}"

    def _shown(self, *, late: bool) -> Iterable[tuple[str, Tool]]:
        return ((shown, tool) for shown, tool in self.by_exposed_name.items() if (shown in self._late) is late)


def parse_tool_table(declared: Node, conversation: Iterable[Node]) -> tuple[ToolTable, tuple[str, ...]]:
    """The request's tools and those that its conversation brings along, and what was left out of them."""
    tools, ignored = parse_tools(declared)
    front, late = list(tools), list[Tool]()
    in_front = True
    for item in conversation:
        kind = item.get("type").value
        if kind in ("additional_tools", "tool_search_output"):
            announced, left_out = parse_tools(item.get("tools"))
            ignored += left_out
            if in_front and kind == "additional_tools":
                known = {_key(tool) for tool in front}
                front += [tool for tool in announced if _key(tool) not in known]
            else:
                late += announced
        in_front = in_front and (kind == "additional_tools" or item.get("role").value in ("system", "developer"))
    return ToolTable.of(front, late), ignored


def _key(tool: Tool) -> _Key:
    return tool.namespace, tool.name


def _is_meant(tool: Tool, written: str) -> bool:
    return written == tool.name or (tool.namespace is not None and written == f"{tool.namespace}.{tool.name}")


def _declaration(shown: str, tool: Tool) -> JsonObject:
    function: JsonObject = {"name": shown, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}

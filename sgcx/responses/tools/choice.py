"""`tool_choice`: which of the declared tools may be called, and must one be. The list that the model sees stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sgcx.errors import InvalidRequest
from sgcx.responses.parsing import Node
from sgcx.responses.tools.table import ToolTable
from sgcx.responses.tools.typed import TypedTool

_DECLARED_KINDS = ("function", "custom")


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """`allowed`: the names that the model sees; None: all. `exactly_one`: one tool was named, to be called once."""

    mode: Literal["auto", "required"] = "auto"
    allowed: frozenset[str] | None = None
    exactly_one: bool = False


NO_CALLS = ToolChoice(allowed=frozenset())


def parse_tool_choice(node: Node, tools: ToolTable) -> tuple[ToolChoice, tuple[str, ...]]:
    """The choice, and what of it has no effect: hosted tools are nothing that this model could call.

    Raises `InvalidRequest`, also for a tool that is not declared.
    """
    if node.is_null():
        return ToolChoice(), ()
    if node.is_string():
        return _of_word(node, tools)
    match node.get("type").string():
        case "function" | "custom":
            return ToolChoice("required", frozenset({_declared(node, tools)}), exactly_one=True), ()
        case "allowed_tools":
            return _allowed_tools(node, tools)
        case kind if isinstance(tools.by_exposed_name.get(kind), TypedTool):
            return ToolChoice("required", frozenset({kind}), exactly_one=True), ()
        case hosted:
            return ToolChoice(), (f"{node.path}.type={hosted}",)


def _of_word(node: Node, tools: ToolTable) -> tuple[ToolChoice, tuple[str, ...]]:
    match node.value:
        case "auto":
            return ToolChoice(), ()
        case "none":
            return NO_CALLS, ()
        case "required":
            # All that was declared may be hosted.
            return (ToolChoice("required"), ()) if tools.by_exposed_name else (ToolChoice(), (f"{node.path}=required",))
    raise InvalidRequest(f'`{node.path}` must be "auto", "none", "required" or an object', param=node.path)


def _allowed_tools(node: Node, tools: ToolTable) -> tuple[ToolChoice, tuple[str, ...]]:
    mode = node.get("mode")
    required = _is_required(mode)
    allowed: set[str] = set()
    ignored: list[str] = []
    for entry in node.get("tools").items():
        kind = entry.get("type").string()
        if kind in _DECLARED_KINDS:
            allowed.add(_declared(entry, tools))
        elif kind == "namespace":
            allowed |= _members(entry, tools)
        elif isinstance(tools.by_exposed_name.get(kind), TypedTool):
            allowed.add(kind)
        else:
            ignored.append(f"{entry.path}.type={kind}")
    if required and not allowed:
        required = False
        ignored.append(f"{mode.path}=required")
    return ToolChoice("required" if required else "auto", frozenset(allowed)), tuple(ignored)


def _is_required(mode: Node) -> bool:
    if mode.value not in (None, "auto", "required"):
        raise InvalidRequest(f'`{mode.path}` must be "auto" or "required"', param=mode.path)
    return mode.value == "required"


def _declared(node: Node, tools: ToolTable) -> str:
    """The name under which the model sees the tool that `node` names."""
    name, namespace = node.get("name"), node.get("namespace")
    exposed = tools.exposed(name.string(), namespace.optional_string())
    tool = tools.resolve(exposed)
    if tool is None:
        raise InvalidRequest(f"`{name.path}` names {exposed!r}, which is not declared in `tools`", param=name.path)
    return tools.exposed(tool.name, tool.namespace)


def _members(node: Node, tools: ToolTable) -> set[str]:
    name = node.get("name")
    members = {exposed for exposed, tool in tools.by_exposed_name.items() if tool.namespace == name.string()}
    if not members:
        raise InvalidRequest(
            f"`{name.path}` names {name.value!r}, a namespace without tools in `tools`", param=name.path
        )
    return members

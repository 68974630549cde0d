"""Calls and outputs among the input items, whatever tool they are of → the function calls that the model made.

What `output/calls.py` makes of a call and what is made of it here are inverse: the prompt repeats the arguments as
the model wrote them, and the prefix cache holds them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from sgcx.responses.input.content import parse_part, parse_parts
from sgcx.responses.items import Part, TextPart, ToolCall
from sgcx.responses.parsing import Node
from sgcx.responses.tools.declared import CUSTOM_INPUT, parse_tools
from sgcx.responses.tools.table import ToolTable
from sgcx.responses.tools.typed import APPLY_PATCH, LOCAL_SHELL, SHELL, TOOL_SEARCH
from sgcx.responses.wire import JsonValue


def parse_call(node: Node, kind: str, tools: ToolTable) -> ToolCall | None:
    """None where `kind` is no call of a tool that the client runs."""
    match kind:
        case "function_call":
            return ToolCall(node.get("call_id").string(), _name(node, tools), node.get("arguments").string())
        case "custom_tool_call":
            written = as_arguments({CUSTOM_INPUT: node.get("input").string()})
            return ToolCall(node.get("call_id").string(), _name(node, tools), written)
        case "tool_search_call":
            call_id = node.get("call_id").optional_string() or node.get("id").optional_string() or ""
            return ToolCall(call_id, TOOL_SEARCH, as_arguments(node.get("arguments").value))
        case "local_shell_call":
            return ToolCall(node.get("call_id").string(), LOCAL_SHELL, _action(node.get("action")))
        case "shell_call":
            return ToolCall(node.get("call_id").string(), SHELL, _action(node.get("action")))
        case "apply_patch_call":
            operation = node.get("operation").as_object()
            return ToolCall(node.get("call_id").string(), APPLY_PATCH, as_arguments(operation))
        case "computer_call":
            actions = node.get("actions").value or [node.get("action").as_object()]
            return ToolCall(node.get("call_id").string(), "computer", as_arguments({"actions": actions}))
        case "program":
            code = node.get("code").string()
            return ToolCall(node.get("call_id").string(), "program", as_arguments({"code": code}))
        case _:
            return None


def parse_output_content(node: Node, kind: str, tools: ToolTable, ignored: list[str]) -> tuple[Part, ...] | None:
    """What a tool gave back. None where `kind` is no output."""
    output = node.get("output")
    match kind:
        case "function_call_output" | "custom_tool_call_output" | "local_shell_call_output":
            return parse_parts(output, ignored)
        case "shell_call_output":
            return (TextPart(output.string() if output.is_string() else _shell_output(output)),)
        case "apply_patch_call_output":
            report = (node.get("status").string(), output.optional_string())
            return (TextPart(": ".join(text for text in report if text)),)
        case "tool_search_output":
            found, _ = parse_tools(node.get("tools"))
            return (TextPart(tools.announcement(found) if found else "No tools were found."),)
        case "computer_call_output":
            part = parse_part(output, ignored)
            return () if part is None else (part,)
        case "program_output":
            return (TextPart(node.get("result").string()),)
        case _:
            return None


def as_arguments(value: JsonValue) -> str:
    """JSON in the form in which models write it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _name(node: Node, tools: ToolTable) -> str:
    return tools.exposed(node.get("name").string(), node.get("namespace").optional_string())


def _action(node: Node) -> str:
    """Without what the API adds to it."""
    action = node.as_object()
    return as_arguments({key: value for key, value in action.items() if key != "type" and value not in (None, {})})


def _shell_output(node: Node) -> str:
    return "\n".join(_command_output(chunk) for chunk in node.items())


def _command_output(node: Node) -> str:
    streams = (node.get(name).optional_string() for name in ("stdout", "stderr"))
    outcome = node.get("outcome").value
    ended = outcome.get("type") if isinstance(outcome, Mapping) else None
    code = outcome.get("exit_code") if isinstance(outcome, Mapping) else None
    ending = "[timed out]" if ended == "timeout" else f"[exit code {code}]" if code is not None else None
    return "\n".join(text for text in (*streams, ending) if text)

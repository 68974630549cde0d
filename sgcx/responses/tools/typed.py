"""Tools that are known by their type, as functions: what the model is shown of them.

The arguments of the function are what the call item holds (`shell_call.action`, `apply_patch_call.operation`, …).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sgcx.responses.wire import JsonObject, JsonValue

TOOL_SEARCH: Literal["tool_search"] = "tool_search"
SHELL: Literal["shell"] = "shell"
LOCAL_SHELL: Literal["local_shell"] = "local_shell"
APPLY_PATCH: Literal["apply_patch"] = "apply_patch"


@dataclass(frozen=True, slots=True)
class TypedTool:
    """A tool that is known by its type, runs at the client and has a call item of its own."""

    name: Literal["tool_search", "shell", "local_shell", "apply_patch"]
    description: str
    parameters: JsonObject

    @property
    def namespace(self) -> None:
        return None


_SEARCH_PARAMETERS: JsonObject = {
    "type": "object",
    "properties": {"query": {"type": "string", "description": "What the tool is to do"}},
    "required": ["query"],
    "additionalProperties": False,
}

SHELL_TOOL = TypedTool(
    SHELL,
    "Runs shell commands on the user's machine and returns what they print and how they end.",
    {
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
    },
)

LOCAL_SHELL_TOOL = TypedTool(
    LOCAL_SHELL,
    "Runs a program on the user's machine and returns what it prints.",
    {
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
    },
)

APPLY_PATCH_TOOL = TypedTool(
    APPLY_PATCH,
    "Creates, changes or deletes one file in the user's workspace.",
    {
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
    },
)


def tool_search(description: str | None, parameters: JsonValue) -> TypedTool:
    """The client's own search: it says itself what it is to be given."""
    schema = parameters if isinstance(parameters, Mapping) else _SEARCH_PARAMETERS
    return TypedTool(TOOL_SEARCH, description or "Finds further tools, which can be called from then on.", schema)

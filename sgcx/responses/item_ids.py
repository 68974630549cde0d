"""Ids of items: the kind of an item shows in its id, as OpenAI's own do."""

from __future__ import annotations

from collections.abc import Callable, Mapping

NewId = Callable[[str], str]
"""A prefix → an id that there is only once."""

_PREFIXES: Mapping[str, str] = {
    "message": "msg",
    "agent_message": "amsg",
    "reasoning": "rs",
    "compaction": "cmp",
    "configuration_update": "cfg",
    "additional_tools": "at",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "tool_search_call": "tsc",
    "tool_search_output": "tso",
    "shell_call": "sh",
    "shell_call_output": "sho",
    "local_shell_call": "lsh",
    "apply_patch_call": "apc",
    "apply_patch_call_output": "apco",
}


def new_item_id(kind: str, new_id: NewId) -> str:
    """`kind`: the item's `type`."""
    return new_id(_PREFIXES.get(kind, "item"))

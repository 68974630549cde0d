"""The control tokens of the Kimi K2 family, as text."""

from __future__ import annotations

from typing import Final

SYSTEM: Final = "<|im_system|>"
USER: Final = "<|im_user|>"
ASSISTANT: Final = "<|im_assistant|>"
MIDDLE: Final = "<|im_middle|>"
END: Final = "<|im_end|>"
THINK: Final = "<think>"
END_THINK: Final = "</think>"
CALLS: Final = "<|tool_calls_section_begin|>"
END_CALLS: Final = "<|tool_calls_section_end|>"
CALL: Final = "<|tool_call_begin|>"
ARGUMENTS: Final = "<|tool_call_argument_begin|>"
END_CALL: Final = "<|tool_call_end|>"

CONTROL: Final = (
    "[BOS]", "[EOS]", "[PAD]",
    SYSTEM, USER, ASSISTANT, MIDDLE, END,
    CALLS, END_CALLS, CALL, ARGUMENTS, END_CALL,
)  # fmt: skip
"""Tokens that a detokenizer drops when it is asked to skip special tokens."""

VISIBLE: Final = (THINK, END_THINK)
"""Single tokens too, but text to every detokenizer."""


def printable(text: str) -> str:
    """`text` with nothing left in it that would become a control token: what was read stays data."""
    for marker in CONTROL + VISIBLE:
        if marker in text:
            text = text.replace(marker, marker[0] + ":" + marker[1:])
    return text

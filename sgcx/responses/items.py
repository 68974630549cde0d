"""What a conversation holds, as a dialect writes it. Parsed from the wire by `input/items.py`.

The wire has a kind of item for every kind of tool; the model has only ever called functions. So every call is a
`ToolCall` under the name that the model was shown, with the arguments as it writes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "developer", "user", "assistant"]
ROLES: tuple[Role, ...] = ("system", "developer", "user", "assistant")


@dataclass(frozen=True, slots=True)
class TextPart:
    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """`url` is an https or data URL."""

    url: str
    detail: str


Part = TextPart | ImagePart


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    content: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Reasoning:
    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`arguments` verbatim, also where it is not valid JSON. `call_id` is the client's: repeated ids are possible."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """`call_id` may name no call at all."""

    call_id: str
    output: tuple[Part, ...]


InputItem = Message | Reasoning | ToolCall | ToolOutput

"""A rendered prompt, read back into the conversation it was rendered from. The reverse of `chat_template.jinja`.

Lenient: text that carries control tokens of its own may garble a message, but never raises.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from sgcx.rehearsal import markers

_HEAD = re.compile(r"<\|im_(system|user|assistant)\|>([^<]*)<\|im_middle\|>")
_RETURN = re.compile(r"## Return of (.*)\n")
_CALL = re.compile(
    f"{re.escape(markers.CALL)}(.*?){re.escape(markers.ARGUMENTS)}(.*?){re.escape(markers.END_CALL)}", re.DOTALL
)
_WRAPPED = re.compile(r"\s*<(\w+)[^>]*>.*</\1>\s*", re.DOTALL)
"""What Codex, not the user, says in the user's name: `<environment_context>…`, `<turn_aborted>…`."""
_IMAGE = re.compile(r"<image\b[^>]*>.*?</image>", re.DOTALL)
_INSTRUCTIONS = "# AGENTS.md instructions"


@dataclass(frozen=True, slots=True)
class Instruction:
    role: str
    text: str


@dataclass(frozen=True, slots=True)
class UserMessage:
    text: str

    @property
    def request(self) -> str | None:
        """What the person asks for; None when the message is only context."""
        text = _IMAGE.sub("", self.text).strip()
        if not text or text.startswith(_INSTRUCTIONS) or _WRAPPED.fullmatch(text):
            return None
        return text


@dataclass(frozen=True, slots=True)
class AssistantTurn:
    reasoning: str
    text: str
    calls: tuple[tuple[str, str], ...]
    """Pairs of call id and arguments."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    call_id: str
    text: str


Message = Instruction | UserMessage | AssistantTurn | ToolResult


@dataclass(frozen=True, slots=True)
class Conversation:
    tools: frozenset[str]
    messages: tuple[Message, ...]
    thinking: bool
    """Whether the model is asked to reason first."""

    @property
    def requests(self) -> tuple[tuple[int, str], ...]:
        """Every request of the person, with its place among the messages."""
        found = []
        for index, message in enumerate(self.messages):
            if isinstance(message, UserMessage) and (request := message.request) is not None:
                found.append((index, request))
        return tuple(found)

    @property
    def calls_made(self) -> int:
        return sum(len(message.calls) for message in self.messages if isinstance(message, AssistantTurn))


def parse_prompt(prompt: str) -> Conversation:
    *finished, opening = prompt.split(markers.END)
    tools: frozenset[str] = frozenset()
    messages: list[Message] = []
    for segment in finished:
        head = _HEAD.search(segment)
        if head is None:
            continue
        side, role, body = head[1], head[2], segment[head.end() :]
        if side == "system" and role == "tool_declare":
            tools = _tool_names(body)
        else:
            messages.append(_message(side, role, body))
    return Conversation(tools, tuple(messages), thinking=not opening.rstrip().endswith(markers.END_THINK))


def _message(side: str, role: str, body: str) -> Message:
    if side == "user":
        return UserMessage(body)
    if side == "assistant":
        return _assistant_turn(body)
    result = _RETURN.match(body) if role == "tool" else None
    return ToolResult(result[1], body[result.end() :]) if result else Instruction(role, body)


def _assistant_turn(body: str) -> AssistantTurn:
    reasoning, found, rest = body.partition(markers.END_THINK)
    if not found:
        reasoning, rest = "", body
    text, _, section = rest.partition(markers.CALLS)
    calls = tuple((call[1], call[2]) for call in _CALL.finditer(section))
    return AssistantTurn(reasoning.removeprefix(markers.THINK), text, calls)


def _tool_names(declaration: str) -> frozenset[str]:
    try:
        tools: object = json.loads(declaration)
    except ValueError:
        return frozenset()
    names = set()
    for tool in tools if isinstance(tools, list) else []:
        function: object = tool.get("function") if isinstance(tool, dict) else None
        name: object = function.get("name") if isinstance(function, dict) else None
        if isinstance(name, str):
            names.add(name)
    return frozenset(names)

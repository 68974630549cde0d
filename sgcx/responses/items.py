"""Input items: what a client says happened so far, typed. Lenient in what it accepts.

Item kinds that a language model has no use for are left out and reported (`ignored`); only what is
malformed is an error, and the error names the place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sgcx.errors import InvalidRequest
from sgcx.responses.parsing import Node
from sgcx.responses.wire import JsonValue

Role = Literal["system", "developer", "user", "assistant"]
ROLES: tuple[Role, ...] = ("system", "developer", "user", "assistant")


@dataclass(frozen=True, slots=True)
class TextPart:
    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """`url` is an http(s) or data URL."""

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
class FunctionCall:
    """`arguments` verbatim, also where it is not valid JSON."""

    call_id: str
    name: str
    namespace: str | None
    arguments: str


@dataclass(frozen=True, slots=True)
class CustomToolCall:
    call_id: str
    name: str
    namespace: str | None
    input: str


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """The result of a function call or of a custom tool call."""

    call_id: str
    output: tuple[Part, ...]


InputItem = Message | Reasoning | FunctionCall | CustomToolCall | ToolOutput


def parse_input(node: Node) -> tuple[tuple[InputItem, ...], tuple[str, ...]]:
    """`input` as items, and what was left out of it."""
    if node.is_string():
        return (Message("user", (TextPart(node.string()),)),), ()
    if node.is_null():
        raise InvalidRequest("`input` is required: a string or an array of items", param="input")
    items: list[InputItem] = []
    ignored: list[str] = []
    for element in node.items():
        item = _parse_item(element, ignored)
        if item is not None:
            items.append(item)
    return tuple(items), tuple(ignored)


def _parse_item(node: Node, ignored: list[str]) -> InputItem | None:
    kind = node.get("type").optional_string() or ("message" if node.get("role").is_string() else "")
    match kind:
        case "message":
            return Message(_role(node.get("role")), _parts(node.get("content"), ignored))
        case "reasoning":
            return _reasoning(node)
        case "function_call":
            return FunctionCall(
                call_id=node.get("call_id").string(),
                name=node.get("name").string(),
                namespace=node.get("namespace").optional_string(),
                arguments=node.get("arguments").string(),
            )
        case "custom_tool_call":
            return CustomToolCall(
                call_id=node.get("call_id").string(),
                name=node.get("name").string(),
                namespace=node.get("namespace").optional_string(),
                input=node.get("input").string(),
            )
        case "function_call_output" | "custom_tool_call_output":
            return ToolOutput(node.get("call_id").string(), _parts(node.get("output"), ignored))
        case "":
            raise InvalidRequest(f"`{node.path}.type` is required", param=f"{node.path}.type")
        case unknown:
            ignored.append(f"{node.path}.type={unknown}")
            return None


def _role(node: Node) -> Role:
    role = node.string()
    if role not in ROLES:
        raise InvalidRequest(f"`{node.path}` must be one of {', '.join(ROLES)}, not {role!r}", param=node.path)
    return role


def _parts(node: Node, ignored: list[str]) -> tuple[Part, ...]:
    if node.is_null():
        return ()
    if node.is_string():
        return (TextPart(node.string()),)
    parts: list[Part] = []
    for element in node.items():
        part = _part(element)
        if part is None:
            ignored.append(f"{element.path}.type={element.get('type').value}")
        else:
            parts.append(part)
    return tuple(parts)


def _part(node: Node) -> Part | None:
    match node.get("type").string():
        case "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text":
            return TextPart(node.get("text").string())
        case "refusal":
            return TextPart(node.get("refusal").string())
        case "input_image" if node.get("image_url").is_string():
            return _image(node)
        case _:
            return None


def _image(node: Node) -> ImagePart:
    """Engines open any URL they are given, local files too, so only what a client may mean gets through."""
    url = node.get("image_url").string()
    if not url.startswith(("data:image/", "https://")):
        raise InvalidRequest(
            f"`{node.path}.image_url` must be a data:image/ or https:// URL", param=f"{node.path}.image_url"
        )
    detail = node.get("detail").optional_string()
    return ImagePart(url, detail if detail in ("low", "high") else "auto")


def _reasoning(node: Node) -> Reasoning | None:
    """The raw text where the client kept it, else the summary."""
    for field in ("content", "summary"):
        texts = [_text_of(part) for part in node.get(field).items()]
        if texts:
            return Reasoning("".join(texts) if field == "content" else "\n\n".join(texts))
    return None


def _text_of(node: Node) -> str:
    text: JsonValue = node.get("text").value
    return text if isinstance(text, str) else ""

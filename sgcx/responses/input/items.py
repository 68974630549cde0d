"""Input items: what a client says happened so far. Lenient in what it accepts.

Item kinds that a language model has no use for are left out and reported (`ignored`); only what is
malformed is an error, and the error names the place.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sgcx.errors import InvalidRequest
from sgcx.responses.input.calls import parse_call, parse_output_content
from sgcx.responses.input.compaction import decode_messages
from sgcx.responses.input.content import parse_parts
from sgcx.responses.input.hosted_calls import parse_hosted_call
from sgcx.responses.items import ROLES, InputItem, Message, Reasoning, Role, TextPart, ToolCall, ToolOutput
from sgcx.responses.parsing import Node
from sgcx.responses.seal import Purpose, Seal
from sgcx.responses.tools.declared import parse_tools
from sgcx.responses.tools.table import ToolTable
from sgcx.responses.tools.typed import TOOL_SEARCH


@dataclass(slots=True)
class InputReader:
    """Reads arrays of items, one after the other: what was kept of a conversation, then what the request adds."""

    tools: ToolTable
    seal: Seal | None = None
    """None: no blob opens."""
    items: list[InputItem] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    reasoning: Node | None = None
    """The last `configuration_update` of this field, in place of the request's own; `text` likewise."""
    text: Node | None = None
    _call_ids: dict[str, str] = field(default_factory=dict)
    """Ids of call items → call ids: some outputs name the item."""

    def read(self, node: Node) -> None:
        """A string is the user's message."""
        if node.is_string():
            self.items.append(Message("user", (TextPart(node.string()),)))
            return
        for element in node.items():
            self._read_item(element)

    def _read_item(self, node: Node) -> None:
        kind = node.get("type").optional_string() or ("message" if node.get("role").is_string() else "")
        if not kind:
            raise InvalidRequest(f"`{node.path}.type` is required", param=f"{node.path}.type")
        match kind:
            case "message":
                self._message(_role(node.get("role")), node)
            case "agent_message":
                self._message("user", node)
            case "reasoning":
                self._reasoning(node)
            case "configuration_update":
                self._configuration_update(node)
            case "additional_tools":
                self._additional_tools(node)
            case "compaction" | "compaction_summary":
                self._compaction(node)
            case "compaction_trigger":
                pass  # it asks for something, and says nothing
            case _:
                self._read_call(node, kind)

    def _read_call(self, node: Node, kind: str) -> None:
        if (call := parse_call(node, kind, self.tools)) is not None:
            self._call(node, call)
        elif (content := parse_output_content(node, kind, self.tools, self.ignored)) is not None:
            self.items.append(ToolOutput(self._answered_call(node, kind), content))
        elif (made := parse_hosted_call(node, kind, self.ignored)) is not None:
            self.items += made
        else:
            self.ignored.append(f"{node.path}.type={kind}")

    def _message(self, role: Role, node: Node) -> None:
        self.items.append(Message(role, parse_parts(node.get("content"), self.ignored)))

    def _reasoning(self, node: Node) -> None:
        """The raw text where the client kept it, else what it kept sealed, else the summary."""
        content = "".join(_texts(node.get("content")))
        if text := content or self._unsealed(node.get("encrypted_content")) or "\n\n".join(_texts(node.get("summary"))):
            self.items.append(Reasoning(text))

    def _unsealed(self, blob: Node) -> str:
        """A blob that does not open, another provider's as a rule, is no error."""
        if not blob.is_string() or not blob.value:
            return ""
        content = self._opened(blob, "reasoning")
        if content is None:
            self.ignored.append(f"{blob.path}=unreadable")
            return ""
        return content.decode(errors="replace")

    def _compaction(self, node: Node) -> None:
        """It stands for everything before it; one that does not open stands for nothing."""
        blob = node.get("encrypted_content")
        opened = self._opened(blob, "compaction")
        messages = None if opened is None else decode_messages(opened)
        if messages is None:
            self.ignored.append(f"{blob.path}=unreadable")
        else:
            self.items[:] = messages

    def _opened(self, blob: Node, purpose: Purpose) -> bytes | None:
        return None if self.seal is None else self.seal.open(blob.string(), purpose)

    def _configuration_update(self, node: Node) -> None:
        if not node.get("reasoning").is_null():
            self.reasoning = node.get("reasoning")
        if not node.get("text").is_null():
            self.text = node.get("text")

    def _additional_tools(self, node: Node) -> None:
        """In place, where the tools are not among those that the prompt begins with."""
        tools, _ = parse_tools(node.get("tools"))
        if late := [tool for tool in tools if self.tools.is_late(tool)]:
            self.items.append(Message("developer", (TextPart(self.tools.announcement(late)),)))

    def _call(self, node: Node, call: ToolCall) -> None:
        self.items.append(call)
        item_id = node.get("id").value
        if isinstance(item_id, str):
            self._call_ids[item_id] = call.call_id

    def _answered_call(self, node: Node, kind: str) -> str:
        """The call id that an output belongs to, also where it says so in another way."""
        call_id = node.get("call_id").optional_string()
        if call_id is not None:
            return call_id
        item_id = node.get("id").optional_string()
        if item_id is not None and item_id in self._call_ids:
            return self._call_ids[item_id]
        name = TOOL_SEARCH if kind == "tool_search_output" else node.get("name").optional_string()
        wanted = self.tools.exposed(name, node.get("namespace").optional_string()) if name else None
        calls = (item for item in reversed(self.items) if isinstance(item, ToolCall) and item.name == wanted)
        found = next(calls, None)
        return "" if found is None else found.call_id


def _role(node: Node) -> Role:
    role = node.string()
    if role not in ROLES:
        raise InvalidRequest(f"`{node.path}` must be one of {', '.join(ROLES)}, not {role!r}", param=node.path)
    return role


def _texts(parts: Node) -> list[str]:
    texts = (part.get("text").value for part in parts.items())
    return [text for text in texts if isinstance(text, str)]

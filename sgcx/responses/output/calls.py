"""Tool calls as output items. The item's type follows the type of the tool that was declared.

The arguments of functions and the inputs of custom tools go out while they are written, as far as they are certain;
what a tool of another type holds is one object, and complete when the call is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import assert_never

from sgcx.responses import events
from sgcx.responses.arguments.custom_input import CustomInputStream
from sgcx.responses.arguments.mending import declared_only, finish_object, sendable, strings
from sgcx.responses.arguments.stream import ArgumentStream
from sgcx.responses.events import Event
from sgcx.responses.grammars.matcher import Matcher, Verdict
from sgcx.responses.item_ids import NewId, new_item_id
from sgcx.responses.output.items import ItemStatus
from sgcx.responses.tools.declared import CustomTool, FunctionTool
from sgcx.responses.tools.table import ToolTable
from sgcx.responses.tools.typed import TypedTool
from sgcx.responses.wire import JsonObject


@dataclass(frozen=True, slots=True)
class InputCheck:
    """What came of holding a custom tool's input against the tool's grammar.

    An input that matches could begin with the first `matching` of its `characters`.
    """

    tool: str
    verdict: Verdict
    matching: int
    characters: int


@dataclass(slots=True)
class CallItem(ABC):
    id: str
    call_id: str
    _pieces: list[str] = field(default_factory=list, init=False)
    """What is known of the call's content."""

    @property
    def check(self) -> InputCheck | None:
        """Of a call that is closed; None: there was nothing to hold it against."""
        return None

    @abstractmethod
    def snapshot(self, status: ItemStatus) -> JsonObject: ...

    @abstractmethod
    def append(self, text: str, output_index: int) -> list[Event]: ...

    @abstractmethod
    def closed(self, output_index: int) -> list[Event]: ...

    def opened(self, output_index: int) -> list[Event]:  # noqa: ARG002  (nothing is known yet)
        return []

    def _text(self) -> str:
        return "".join(self._pieces)


@dataclass(slots=True)
class StreamedCallItem(CallItem):
    """A call whose content goes out while it is written."""

    _stream: ArgumentStream | CustomInputStream = field(init=False)

    def append(self, text: str, output_index: int) -> list[Event]:
        return self._send(self._stream.feed(text), output_index)

    def closed(self, output_index: int) -> list[Event]:
        return [*self._send(self._stream.finish(), output_index), self._done(output_index)]

    def _send(self, piece: str, output_index: int) -> list[Event]:
        if not piece:
            return []
        self._pieces.append(piece)
        return [self._delta(piece, output_index)]

    @abstractmethod
    def _delta(self, piece: str, output_index: int) -> Event: ...

    @abstractmethod
    def _done(self, output_index: int) -> Event: ...


@dataclass(slots=True)
class FunctionCallItem(StreamedCallItem):
    name: str
    tool: FunctionTool | None
    """None: the model called a tool that was not declared; the client tells it so."""

    def __post_init__(self) -> None:
        self._stream = ArgumentStream(self.tool.parameters if self.tool else None)

    def snapshot(self, status: ItemStatus) -> JsonObject:
        namespace = {"namespace": self.tool.namespace} if self.tool and self.tool.namespace else {}
        return {
            "type": "function_call",
            "id": self.id,
            "call_id": self.call_id,
            "name": self.name,
            **namespace,
            "arguments": self._text(),
            "status": status,
        }

    def _delta(self, piece: str, output_index: int) -> Event:
        return events.arguments_delta(self.id, output_index, piece)

    def _done(self, output_index: int) -> Event:
        return events.arguments_done(self.id, output_index, self.name, self._text())


@dataclass(slots=True)
class CustomToolCallItem(StreamedCallItem):
    tool: CustomTool
    _matcher: Matcher | None = field(init=False)

    def __post_init__(self) -> None:
        stream = CustomInputStream(self.tool)
        self._stream, self._matcher = stream, stream.matcher

    @property
    def check(self) -> InputCheck | None:
        matcher = self._matcher
        return InputCheck(self.tool.name, matcher.verdict, matcher.read, len(self._text())) if matcher else None

    def snapshot(self, status: ItemStatus) -> JsonObject:
        namespace = {"namespace": self.tool.namespace} if self.tool.namespace else {}
        return {
            "type": "custom_tool_call",
            "id": self.id,
            "call_id": self.call_id,
            "name": self.tool.name,
            **namespace,
            "input": self._text(),
            "status": status,
        }

    def _delta(self, piece: str, output_index: int) -> Event:
        return events.custom_input_delta(self.id, output_index, piece)

    def _done(self, output_index: int) -> Event:
        return events.custom_input_done(self.id, output_index, self._text())


@dataclass(slots=True)
class TypedCallItem(CallItem):
    """A call of a tool that is known by its type. What it holds is one object, without deltas of its own."""

    tool: TypedTool

    def append(self, text: str, output_index: int) -> list[Event]:  # noqa: ARG002
        self._pieces.append(text)
        return []

    def closed(self, output_index: int) -> list[Event]:  # noqa: ARG002
        return []

    def _arguments(self) -> JsonObject | None:
        """None where the model wrote no JSON object, or one that no event can hold."""
        arguments = finish_object(self._text(), self.tool.parameters)
        return None if arguments is None else sendable(arguments)

    def _plain_command(self) -> str | None:
        """Text that was never meant as JSON is taken for the command itself. Broken JSON is none: a shell would run
        whatever of it looks like a command."""
        text = self._text()
        return None if text.lstrip().startswith(("{", "[")) else text

    def _declared(self) -> JsonObject:
        """The arguments that the tool declares, of the types that it declares: the item has no place for others."""
        return declared_only(self._arguments() or {}, self.tool.parameters)


@dataclass(slots=True)
class ToolSearchCallItem(TypedCallItem):
    def snapshot(self, status: ItemStatus) -> JsonObject:
        return {
            "type": "tool_search_call",
            "id": self.id,
            "call_id": self.call_id,
            "execution": "client",
            "arguments": {} if status == "in_progress" else self._search(),
            "status": status,
        }

    def _search(self) -> JsonObject:
        """Text that is no JSON is taken for what is searched."""
        arguments = self._arguments()
        return {"query": self._text()} if arguments is None else arguments


@dataclass(slots=True)
class ShellCallItem(TypedCallItem):
    def snapshot(self, status: ItemStatus) -> JsonObject:
        return {
            "type": "shell_call",
            "id": self.id,
            "call_id": self.call_id,
            "action": {"commands": []}
            if status == "in_progress"
            else {**self._declared(), "commands": self._commands()},
            "environment": {"type": "local"},
            "status": status,
        }

    def closed(self, output_index: int) -> list[Event]:
        numbered = enumerate(self._commands())
        return [event for index, text in numbered for event in events.shell_command(output_index, index, text)]

    def _commands(self) -> list[str]:
        """One string in place of several is one command."""
        arguments = self._arguments()
        commands = self._plain_command() if arguments is None else arguments.get("commands")
        return [commands] if isinstance(commands, str) else strings(commands)


@dataclass(slots=True)
class LocalShellCallItem(TypedCallItem):
    def snapshot(self, status: ItemStatus) -> JsonObject:
        return {
            "type": "local_shell_call",
            "id": self.id,
            "call_id": self.call_id,
            "action": {"type": "exec", "command": [], "env": {}} if status == "in_progress" else self._action(),
            "status": status,
        }

    def _action(self) -> JsonObject:
        arguments = self._arguments()
        command = self._plain_command() if arguments is None else arguments.get("command")
        argv = [*_SHELL_ARGV, command] if isinstance(command, str) else strings(command)
        return {"type": "exec", **self._declared(), "command": argv, "env": self._declared().get("env", {})}


@dataclass(slots=True)
class ApplyPatchCallItem(TypedCallItem):
    def snapshot(self, status: ItemStatus) -> JsonObject:
        return {
            "type": "apply_patch_call",
            "id": self.id,
            "call_id": self.call_id,
            "operation": _NO_OPERATION if status == "in_progress" else self._operation(),
            "status": "completed" if status == "completed" else "in_progress",
        }

    def _operation(self) -> JsonObject:
        """What is no operation becomes one that fails at the client, and so the model learns of it."""
        arguments = self._arguments()
        if arguments is None:
            return {**_NO_OPERATION, "diff": self._text()}
        operation = {**self._declared()}
        for name, value in _NO_OPERATION.items():
            operation.setdefault(name, value)
        if operation["type"] == "delete_file":
            del operation["diff"]
        return operation


_SHELL_ARGV = ("bash", "-lc")
_NO_OPERATION: JsonObject = {"type": "update_file", "path": "", "diff": ""}


def call_item(written: str, tools: ToolTable, new_id: NewId) -> CallItem:
    """The item of a call that begins. `written`: the name as the model wrote it."""
    tool = tools.resolve(written)
    match tool:
        case CustomTool():
            return CustomToolCallItem(new_item_id("custom_tool_call", new_id), new_id("call"), tool)
        case TypedTool(name="tool_search"):
            return ToolSearchCallItem(new_item_id("tool_search_call", new_id), new_id("call"), tool)
        case TypedTool(name="shell"):
            return ShellCallItem(new_item_id("shell_call", new_id), new_id("call"), tool)
        case TypedTool(name="local_shell"):
            return LocalShellCallItem(new_item_id("local_shell_call", new_id), new_id("call"), tool)
        case TypedTool():
            return ApplyPatchCallItem(new_item_id("apply_patch_call", new_id), new_id("call"), tool)
        case FunctionTool() | None:
            name = tool.name if tool else written
            return FunctionCallItem(new_item_id("function_call", new_id), new_id("call"), name, tool)
    assert_never(tool)

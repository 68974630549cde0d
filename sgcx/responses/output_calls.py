"""Tool calls as output items. The item's type follows the type of the tool that was declared.

What the model writes goes out in one piece when the call is closed: only then can the schema mend it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

from sgcx.responses import events
from sgcx.responses.arguments import finish_arguments, finish_custom_input
from sgcx.responses.events import Event
from sgcx.responses.output import ItemStatus
from sgcx.responses.tools import CustomTool, FunctionTool, ToolTable
from sgcx.responses.wire import JsonObject


@dataclass(slots=True)
class CallItem(ABC):
    id: str
    call_id: str
    _pieces: list[str] = field(default_factory=list, init=False)

    @abstractmethod
    def snapshot(self, status: ItemStatus) -> JsonObject: ...

    @abstractmethod
    def closed(self, output_index: int) -> list[Event]: ...

    def opened(self, output_index: int) -> list[Event]:  # noqa: ARG002  (nothing is known yet)
        return []

    def append(self, text: str, output_index: int) -> list[Event]:  # noqa: ARG002
        self._pieces.append(text)
        return []

    def _text(self) -> str:
        return "".join(self._pieces)


@dataclass(slots=True)
class FunctionCallItem(CallItem):
    name: str
    tool: FunctionTool | None
    """None: the model called a tool that was not declared; the client tells it so."""

    def snapshot(self, status: ItemStatus) -> JsonObject:
        namespace = {"namespace": self.tool.namespace} if self.tool and self.tool.namespace else {}
        return {
            "type": "function_call",
            "id": self.id,
            "call_id": self.call_id,
            "name": self.name,
            **namespace,
            "arguments": "" if status == "in_progress" else self._arguments(),
            "status": status,
        }

    def closed(self, output_index: int) -> list[Event]:
        arguments = self._arguments()
        return [
            events.arguments_delta(self.id, output_index, arguments),
            events.arguments_done(self.id, output_index, self.name, arguments),
        ]

    def _arguments(self) -> str:
        return finish_arguments(self._text(), self.tool)


@dataclass(slots=True)
class CustomToolCallItem(CallItem):
    tool: CustomTool

    def snapshot(self, status: ItemStatus) -> JsonObject:
        namespace = {"namespace": self.tool.namespace} if self.tool.namespace else {}
        return {
            "type": "custom_tool_call",
            "id": self.id,
            "call_id": self.call_id,
            "name": self.tool.name,
            **namespace,
            "input": "" if status == "in_progress" else self._input(),
            "status": status,
        }

    def closed(self, output_index: int) -> list[Event]:
        text = self._input()
        return [
            events.custom_input_delta(self.id, output_index, text),
            events.custom_input_done(self.id, output_index, text),
        ]

    def _input(self) -> str:
        return finish_custom_input(self._text(), self.tool)


def call_item(written: str, tools: ToolTable, new_id: Callable[[str], str]) -> CallItem:
    """The item of a call that begins. `written`: the name as the model wrote it."""
    tool = tools.resolve(written)
    if isinstance(tool, CustomTool):
        return CustomToolCallItem(new_id("ctc"), new_id("call"), tool)
    return FunctionCallItem(new_id("fc"), new_id("call"), tool.name if tool else written, tool)

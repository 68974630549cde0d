"""The last check on calls. A grammar holds only behind the reasoning, and some engines know no constraints at all."""

from __future__ import annotations

from dataclasses import dataclass, field

from sgcx.responses.constraint import Constraint
from sgcx.responses.deltas import (
    CompactionFinished,
    CompactionStarted,
    EngineDelta,
    Failed,
    Finished,
    ReasoningDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallFinished,
    ToolCallStarted,
)
from sgcx.responses.tools.table import ToolTable


@dataclass(slots=True)
class CallGuard:
    """Leaves out calls to tools that may not be called; a turn without the call that had to come fails."""

    tools: ToolTable
    constraint: Constraint
    _leaving_out: bool = field(default=False, init=False)
    _called: bool = field(default=False, init=False)

    def feed(self, delta: EngineDelta) -> EngineDelta | None:
        match delta:
            case ToolCallStarted(name):
                self._leaving_out = self.constraint.withheld and not self._may_call(name)
                return None if self._leaving_out else delta
            case ToolCallArguments():
                return None if self._leaving_out else delta
            case ToolCallFinished():
                left_out, self._leaving_out = self._leaving_out, False
                self._called = self._called or not left_out
                return None if left_out else delta
            case Finished("stop") if self.constraint.must_call and not self._called:
                return Failed("server_error", "The model called no tool, although `tool_choice` wants a call")
            case ReasoningDelta() | TextDelta() | CompactionStarted() | CompactionFinished() | Finished() | Failed():
                return delta

    def _may_call(self, name: str) -> bool:
        """By the tool that the name stands for: the one that the client would run."""
        meant = self.tools.resolve(name)
        return meant is not None and self.tools.exposed(meant.name, meant.namespace) in self.constraint.callable_names

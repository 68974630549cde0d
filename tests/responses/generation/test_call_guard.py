"""`CallGuard`: calls that may not be made are left out, a call that has to be made is missed."""

from __future__ import annotations

from sgcx.responses.constraint import AnyObject, CallableTool, Constraint
from sgcx.responses.deltas import Failed, Finished, TextDelta, ToolCallArguments, ToolCallFinished, ToolCallStarted
from sgcx.responses.generation.call_guard import CallGuard
from sgcx.responses.tools.declared import FunctionTool
from sgcx.responses.tools.table import ToolTable

MEMBER = FunctionTool("add", None, {}, namespace="mcp__demo")
SHELL, NAMESAKE = FunctionTool("shell", None, {}), FunctionTool("add", None, {})
ADD = (CallableTool("mcp__demo__add", AnyObject()),)


def guarded(constraint, *deltas, tools=(MEMBER, SHELL)):
    guard = CallGuard(ToolTable.of(tools), constraint)
    return [allowed for delta in deltas if (allowed := guard.feed(delta)) is not None]


def call(name):
    return ToolCallStarted(name), ToolCallArguments("{}"), ToolCallFinished()


def test_a_call_to_a_tool_that_may_not_be_called_is_left_out():
    allowed = Constraint(ADD, withheld=True)
    deltas = (TextDelta("a"), *call("shell"), *call("add"), TextDelta("b"), Finished("stop"))
    assert guarded(allowed, *deltas) == [TextDelta("a"), *call("add"), TextDelta("b"), Finished("stop")]
    assert guarded(Constraint(withheld=True), *call("add")) == []


def test_a_name_counts_as_the_tool_that_the_client_would_run():
    allowed, both = Constraint(ADD, withheld=True), (MEMBER, NAMESAKE)
    assert guarded(allowed, *call("add"), tools=both) == []
    for written in ("mcp__demo__add", "mcp__demo.add"):
        assert guarded(allowed, *call(written), tools=both) == list(call(written))


def test_a_turn_without_the_required_call_fails():
    [failed] = guarded(Constraint(ADD, withheld=True, must_call=True), *call("shell"), Finished("stop"))
    assert isinstance(failed, Failed)
    finished = (*call("mcp__demo__add"), Finished("stop"))
    assert guarded(Constraint(ADD, must_call=True), *finished) == list(finished)
    assert guarded(Constraint(ADD, must_call=True), Finished("length")) == [Finished("length")]


def test_where_every_tool_may_be_called_an_unknown_name_is_the_clients_to_answer():
    assert guarded(Constraint(ADD, must_call=True), *call("unknown")) == list(call("unknown"))

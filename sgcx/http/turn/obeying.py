"""What an engine decoded, held against the constraint it was given: not every engine enforces every part of one."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from sgcx.responses.constraint import Constraint
from sgcx.responses.deltas import EngineDelta
from sgcx.responses.generation.call_guard import CallGuard
from sgcx.responses.tools.table import ToolTable


def obeying(
    tools: ToolTable, constraint: Constraint, deltas: AsyncGenerator[EngineDelta, None]
) -> AsyncGenerator[EngineDelta, None]:
    """`deltas` without the calls that were not allowed, and failed where a call had to come and did not."""
    return _guarded(CallGuard(tools, constraint), deltas) if constraint.withheld or constraint.must_call else deltas


async def _guarded(guard: CallGuard, deltas: AsyncGenerator[EngineDelta, None]) -> AsyncGenerator[EngineDelta, None]:
    async with aclosing(deltas):
        async for delta in deltas:
            if (allowed := guard.feed(delta)) is not None:
                yield allowed

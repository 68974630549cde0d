"""Calls and their outputs, as templates and models expect them: every call has one output, right behind its turn.

Histories are not like that: an output is missing after an interruption, belongs to a call that was compacted away,
comes late or twice, and call ids repeat. The format of DeepSeek-R1 has no ids at all, only the order.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import replace

from sgcx.responses.items import InputItem, Message, TextPart, ToolCall, ToolOutput

NO_OUTPUT = "[no output: the call was not carried out]"
OUTPUT_ALONE = "[output of a call that is not part of this conversation]\n"


def paired(items: Sequence[InputItem]) -> list[InputItem]:
    """The conversation with every call answered. `call_id` becomes the number of the call, from 0, as a string."""
    outputs = _output_positions(items)
    used = set(outputs.values())
    ordered: list[InputItem] = []
    waiting: list[InputItem] = []
    calls = 0
    for position, item in enumerate(items):
        if isinstance(item, ToolCall):
            number, calls = str(calls), calls + 1
            ordered.append(replace(item, call_id=number))
            output = items[outputs[position]] if position in outputs else None
            content = output.output if isinstance(output, ToolOutput) else (TextPart(NO_OUTPUT),)
            waiting.append(ToolOutput(number, content))
            continue
        ordered += waiting
        waiting.clear()
        if not isinstance(item, ToolOutput):
            ordered.append(item)
        elif position not in used:
            ordered.append(Message("user", (TextPart(OUTPUT_ALONE), *item.output)))
    return ordered + waiting


def _output_positions(items: Sequence[InputItem]) -> dict[int, int]:
    """Where a call is → where its output is: the first one of its id behind it that is no other call's."""
    unanswered: defaultdict[str, deque[int]] = defaultdict(deque)
    positions: dict[int, int] = {}
    for position, item in enumerate(items):
        if isinstance(item, ToolCall):
            unanswered[item.call_id].append(position)
        elif isinstance(item, ToolOutput) and unanswered[item.call_id]:
            positions[unanswered[item.call_id].popleft()] = position
    return positions

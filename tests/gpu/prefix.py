"""A coding session of forty turns, twice: with its history as our endpoint writes it, and with calls under other ids.

The second is what an endpoint does that hands out ids of its own: the model's answers are prefilled again.

Per turn: time to the first token, and how much of the prompt was found in the prefix cache. The weights are random,
so what the model "said" is given; before each turn the cache is brought to where a model that said it would have
left it: the previous prompt and its answer.
"""

from __future__ import annotations

import json
from pathlib import Path

import orjson
from serving import MODEL, serving

from sgcx.bench.load import run_load
from sgcx.bench.wire import Protocol, Target

TURNS = 40
_WAYS: tuple[Protocol, ...] = ("responses", "chat")
_REQUEST = "Work through the modules."
_TOOL = {
    "name": "exec_command",
    "description": "Runs a command in a shell and returns what it printed.",
    "parameters": {
        "type": "object",
        "properties": {"cmd": {"type": "string"}},
        "required": ["cmd"],
        "additionalProperties": False,
    },
}


def measure(scratch: Path, checkpoint: Path, *, port: int) -> list[dict[str, object]]:
    argv = [
        *("--model-path", str(checkpoint), "--load-format", "dummy", "--attention-backend", "triton"),
        *("--mem-fraction-static", "0.7", "--context-length", "131072", "--chunked-prefill-size", "8192"),
        *("--cuda-graph-max-bs", "8", "--enable-cache-report", "--schedule-policy", "lpm"),
    ]
    rows: list[dict[str, object]] = []
    with serving(scratch / "engine", argv, port=port) as server:
        _turn(server.base_url, "responses", -1, orjson.dumps(_envelope("responses", {"input": "warm up " * 9000})))
        for protocol in _WAYS:
            for turn in range(TURNS):
                if turn:
                    _turn(server.base_url, protocol, turn, _body(protocol, turn, answered=False))
                rows.append(_turn(server.base_url, protocol, turn, _body(protocol, turn, answered=True)))
    return rows


def _turn(base_url: str, protocol: Protocol, turn: int, body: bytes) -> dict[str, object]:
    load = run_load(Target(base_url, protocol), [body], streams=1)
    if load.failures:
        return {"protocol": protocol, "turn": turn, "failure": load.failures[0][:300]}
    [timing] = load.timings
    return {
        "protocol": protocol,
        "turn": turn,
        "input_tokens": timing.input_tokens,
        "cached_tokens": timing.cached_tokens,
        "output_tokens": timing.output_tokens,
        "ttft_ms": round(timing.first_token_s * 1000, 2),
    }


def _reasoning(turn: int) -> str:
    return f"Module {turn} comes next. " + "I compare what it returns with what its callers expect of it. " * 120


def _said(turn: int) -> str:
    return f"Reading module {turn}."


def _command(turn: int) -> str:
    return f"cat module_{turn}.py"


def _printed(turn: int) -> str:
    return f"# module {turn}\n" + f"def area_{turn}(width, height):\n    return width * height\n" * 60


def _base_prompt(protocol: Protocol) -> str:
    """Of its own for each way, so that neither finds what the other left in the cache."""
    return f"You are a coding agent for {protocol}. " + "Read before you write, and say what you did. " * 400


def _body(protocol: Protocol, turn: int, *, answered: bool) -> bytes:
    """`answered`: the last call has its output; without it, what the cache holds when the model has just called."""
    fields = _responses_fields(turn, answered) if protocol == "responses" else _chat_fields(turn, answered)
    return orjson.dumps(_envelope(protocol, fields))


def _envelope(protocol: Protocol, fields: dict[str, object]) -> dict[str, object]:
    """One token is enough: what is timed is the way to it."""
    common: dict[str, object] = {"model": MODEL, "stream": True, "temperature": 0, **fields}
    if protocol == "responses":
        return {**common, "store": False, "max_output_tokens": 1, "reasoning": {"effort": "medium"}}
    return {**common, "stream_options": {"include_usage": True}, "max_tokens": 1}


def _responses_fields(turn: int, answered: bool) -> dict[str, object]:
    items: list[dict[str, object]] = [
        {"type": "message", "role": "developer", "content": _base_prompt("responses")},
        {"type": "message", "role": "user", "content": _REQUEST},
    ]
    for earlier in range(turn):
        items += [
            {
                "type": "reasoning",
                "summary": [],
                "content": [{"type": "reasoning_text", "text": _reasoning(earlier)}],
            },
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": _said(earlier)}]},
            {
                "type": "function_call",
                "call_id": f"call_{earlier:08x}",
                "name": _TOOL["name"],
                "arguments": json.dumps({"cmd": _command(earlier)}),
            },
            {"type": "function_call_output", "call_id": f"call_{earlier:08x}", "output": _printed(earlier)},
        ]
    tool = {"type": "function", "strict": False, **_TOOL}
    return {"input": items if answered else items[:-1], "tools": [tool]}


def _chat_fields(turn: int, answered: bool) -> dict[str, object]:
    """The same conversation, with ids of the client's making: what the model wrote is not what it reads again."""
    messages: list[dict[str, object]] = [
        {"role": "system", "content": _base_prompt("chat")},
        {"role": "user", "content": _REQUEST},
    ]
    for earlier in range(turn):
        call = {"name": _TOOL["name"], "arguments": json.dumps({"cmd": _command(earlier)})}
        messages += [
            {
                "role": "assistant",
                "content": _said(earlier),
                "reasoning_content": _reasoning(earlier),
                "tool_calls": [{"id": f"call_{earlier:08x}", "type": "function", "function": call}],
            },
            {"role": "tool", "tool_call_id": f"call_{earlier:08x}", "content": _printed(earlier)},
        ]
    kept = messages if answered else _before(messages)
    return {"messages": kept, "tools": [{"type": "function", "function": _TOOL}]}


def _before(messages: list[dict[str, object]]) -> list[dict[str, object]]:
    """The previous prompt: the answer that the cache holds behind it has other ids."""
    return messages[:-2]

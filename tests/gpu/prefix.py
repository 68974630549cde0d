"""A coding session of forty turns, twice: with its history as our endpoint writes it, and as chat clients write it.

The model is scripted, so both histories hold the same answers. Per turn: time to the first token, and how much of
the prompt was found in the prefix cache.
"""

from __future__ import annotations

import json
from pathlib import Path

import orjson
from serving import MODEL, serving

from sgcx.bench.load import run_load
from sgcx.bench.wire import Protocol, Target
from sgcx.rehearsal.rules import SCRIPT_VARIABLE

TURNS = 40
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
    script = scratch / "session.toml"
    script.write_text(_script())
    argv = [
        *("--model-path", str(checkpoint), "--load-format", "dummy", "--attention-backend", "triton"),
        *("--mem-fraction-static", "0.7", "--context-length", "131072", "--chunked-prefill-size", "8192"),
        *("--disable-cuda-graph", "--disable-overlap-schedule", "--enable-cache-report", "--schedule-policy", "lpm"),
    ]
    rows: list[dict[str, object]] = []
    models = {"SGLANG_EXTERNAL_MODEL_PACKAGE": "sgcx.rehearsal.sglang_models", SCRIPT_VARIABLE: str(script)}
    with serving(scratch / "engine", argv, port=port, **models) as server:
        for protocol in ("responses", "chat"):
            for turn in range(TURNS):
                body = _responses_body(turn) if protocol == "responses" else _chat_body(turn)
                rows.append(_turn(server.base_url, protocol, turn, body))
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
    return f"Module {turn} comes next. " + "I compare what it returns with what its callers expect of it. " * 20


def _said(turn: int) -> str:
    return f"Reading module {turn}."


def _command(turn: int) -> str:
    return f"cat module_{turn}.py"


def _printed(turn: int) -> str:
    return f"# module {turn}\n" + f"def area_{turn}(width, height):\n    return width * height\n" * 60


def _base_prompt(protocol: Protocol) -> str:
    """Of its own for each way, so that neither finds what the other left in the cache."""
    return f"You are a coding agent for {protocol}. " + "Read before you write, and say what you did. " * 400


def _script() -> str:
    steps = "".join(
        f"[[rule.step]]\nturn = {turn}\nreasoning = {_quoted(_reasoning(turn))}\ntext = {_quoted(_said(turn))}\n"
        f'[[rule.step.call]]\ntool = "exec_command"\narguments.cmd = {_quoted(_command(turn))}\n'
        for turn in range(TURNS)
    )
    return f'[[rule]]\nname = "session"\nmatch = "^Work through"\n{steps}'


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()


def _responses_body(turn: int) -> bytes:
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
    return orjson.dumps({"model": MODEL, "stream": True, "store": False, "input": items, "tools": [tool]})


def _chat_body(turn: int) -> bytes:
    """As agents on chat completions do: reasoning is not sent back, and ids are whatever the client made up."""
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
                "tool_calls": [{"id": f"call_{earlier:08x}", "type": "function", "function": call}],
            },
            {"role": "tool", "tool_call_id": f"call_{earlier:08x}", "content": _printed(earlier)},
        ]
    body = {"messages": messages, "tools": [{"type": "function", "function": _TOOL}]}
    return orjson.dumps({"model": MODEL, "stream": True, "stream_options": {"include_usage": True}, **body})

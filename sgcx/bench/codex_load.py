"""Requests shaped like those of coding sessions: one long beginning for all, then turns that each repeat the last.

Everything is written beforehand, the model's own past calls included, so that each server is asked the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

_CHARACTERS_PER_TOKEN = 4.0
_GUIDELINE = "Guideline {index}: keep changes small, explain the reason of each, run the tests that it touches.\n"
_LISTING = "src/module_{index}.py: def handler(request, context): return process(request, retries={index})\n"
_TOOL = {
    "type": "function",
    "name": "exec_command",
    "description": "Runs a command in a shell and returns its output.",
    "strict": False,
    "parameters": {"type": "object", "properties": {"cmd": {"type": "string"}}, "required": ["cmd"]},
}


@dataclass(frozen=True, slots=True)
class CodexLoad:
    """Token counts are rough: each model has its own tokenizer. The answers' usage tells the true ones."""

    model: str
    prefix_tokens: int = 8000
    """Instructions and project, the same for all sessions of a run."""
    turn_tokens: int = 500
    """What each tool call brings back."""
    output_tokens: int = 128
    turns: int = 3

    def sessions(self, count: int, *, salt: str) -> list[bytes]:
        """All first turns, then all second ones. `salt` makes the beginning new to the server's cache."""
        return [self._body(salt, session, turn) for turn in range(self.turns) for session in range(count)]

    def _body(self, salt: str, session: int, turn: int) -> bytes:
        task = f"Hello. Task {session}: read the files one after another, then explain at length what they do."
        body = {
            "model": self.model,
            "stream": True,
            "store": False,
            "instructions": f"Run {salt}.\n" + _text(_GUIDELINE, self.prefix_tokens),
            "input": [_message(task), *(item for past in range(turn) for item in self._past(session, past))],
            "tools": [_TOOL],
            "parallel_tool_calls": False,
            # Shown as it comes: the first token is the first one of the reasoning.
            "reasoning": {"effort": "medium", "summary": "auto"},
            "include": ["reasoning.encrypted_content"],
            "prompt_cache_key": f"{salt}-{session}",
            "max_output_tokens": self.output_tokens,
        }
        return orjson.dumps(body)

    def _past(self, session: int, turn: int) -> list[dict[str, object]]:
        call_id = f"call_{session}_{turn}"
        arguments = orjson.dumps({"cmd": f"cat src/module_{session}_{turn}.py"}).decode()
        output = f"# session {session}, turn {turn}\n" + _text(_LISTING, self.turn_tokens)
        return [
            {"type": "function_call", "name": "exec_command", "arguments": arguments, "call_id": call_id},
            {"type": "function_call_output", "call_id": call_id, "output": output},
        ]


def _message(text: str) -> dict[str, object]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def _text(line: str, tokens: int) -> str:
    lines = max(1, int(tokens * _CHARACTERS_PER_TOKEN / len(line)))
    return "".join(line.format(index=index) for index in range(lines))

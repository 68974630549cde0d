"""Requests as Codex makes them, to see whether Codex will work with a running server. One finding for each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from sgcx.workflows.checks.check import Status
from sgcx.workflows.responses_client import Answer, Item, ResponsesClient

_INSTRUCTIONS = (
    "You are a coding agent. Run commands with exec_command, change files with apply_patch. "
    "Do what is asked with one call, and answer in one short sentence when it is done."
)
_PATCH_GRAMMAR = """\
start: begin_patch hunk+ end_patch
begin_patch: "*** Begin Patch" LF
end_patch: "*** End Patch" LF?
hunk: "*** Add File: " filename LF add_line+
filename: /(.+)/
add_line: "+" /(.*)/ LF
%import common.LF
"""
_TOOLS: list[object] = [
    {
        "type": "function",
        "name": "exec_command",
        "description": "Runs a command in a shell and returns its output.",
        "strict": False,
        "parameters": {
            "type": "object",
            "properties": {"cmd": {"type": "string", "description": "The command."}},
            "required": ["cmd"],
            "additionalProperties": False,
        },
    },
    {
        "type": "custom",
        "name": "apply_patch",
        "description": "Changes files. The input is a patch, not JSON.",
        "format": {"type": "grammar", "syntax": "lark", "definition": _PATCH_GRAMMAR},
    },
]
_COMMAND = 'Call the tool exec_command with {"cmd": "echo ok"}'
_EDIT = "Create the file sgcx-probe.txt with the content: ok"
_MODEL_CHOSE_OTHERWISE = "the model answered with {said} instead; ask again, one answer proves little"


@dataclass(frozen=True, slots=True)
class Finding:
    title: str
    status: Status
    said: str


def probe_for_codex(client: ResponsesClient, model: str) -> Iterator[Finding]:
    """A status FAIL means that Codex will not work, WARN that the model did not do what it was asked for."""
    yield _judge_text(client.ask(_request(model, [_user("Say OK.")])))
    history = [_user(_COMMAND)]
    called = client.ask(_request(model, history))
    yield _judge_command(called)
    yield _judge_patch(client.ask(_request(model, [_user(_EDIT)])))
    yield _judge_return(client, model, history, called)
    yield _judge_error(client.ask(_request(model, [{"type": "message", "role": "nobody", "content": 1}])))


def _request(model: str, items: list[Item]) -> dict[str, object]:
    """The fields that Codex sends, in its order; only the effort is less, to be quick."""
    return {
        "model": model,
        "instructions": _INSTRUCTIONS,
        "input": items,
        "tools": _TOOLS,
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "low"},
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "sgcx-doctor",
        "text": {"verbosity": "low"},
        "client_metadata": {"originator": "sgcx doctor"},
    }


def _user(text: str) -> Item:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def _judge_text(answer: Answer) -> Finding:
    refused = _refusal(answer)
    if refused is not None:
        return Finding("text", Status.FAIL, refused)
    texts = [_text(item) for item in answer.items if item.get("type") == "message"]
    if not any(texts):
        return Finding("text", Status.WARN, f"no text came, only {_kinds(answer)}")
    timing = f"the first event after {answer.first_event_s:.2f} s, the end after {answer.total_s:.2f} s"
    return Finding("text", Status.OK, f"{len(answer.event_types)} events, {timing}")


def _judge_command(answer: Answer) -> Finding:
    title, refused = "tool call", _refusal(answer)
    if refused is not None:
        return Finding(title, Status.FAIL, refused)
    call = _first(answer, "function_call")
    if call is None or call.get("name") != "exec_command":
        return Finding(title, Status.WARN, _MODEL_CHOSE_OTHERWISE.format(said=_kinds(answer)))
    try:
        arguments: object = json.loads(str(call.get("arguments")))
    except ValueError:
        return Finding(title, Status.FAIL, "the arguments of the call are no JSON")
    if not isinstance(arguments, dict) or not isinstance(arguments.get("cmd"), str):
        return Finding(title, Status.FAIL, "the arguments of the call lack `cmd`")
    return Finding(title, Status.OK, f"exec_command is called with {json.dumps(arguments)}")


def _judge_patch(answer: Answer) -> Finding:
    title, refused = "apply_patch", _refusal(answer)
    if refused is not None:
        return Finding(title, Status.FAIL, refused)
    call = _first(answer, "custom_tool_call")
    if call is None:
        if any(item.get("name") == "apply_patch" for item in answer.items):
            return Finding(title, Status.FAIL, "the call comes as a function_call, which Codex does not take for it")
        return Finding(title, Status.WARN, _MODEL_CHOSE_OTHERWISE.format(said=_kinds(answer)))
    if not str(call.get("input", "")).startswith("*** Begin Patch"):
        return Finding(title, Status.WARN, "the input of the call is no patch; Codex shows the model why")
    return Finding(title, Status.OK, "comes as a custom_tool_call with a patch")


def _judge_return(client: ResponsesClient, model: str, history: list[Item], called: Answer) -> Finding:
    """The items go back as they came: reasoning, call, and the output of the tool."""
    title, call = "reasoning and output", _first(called, "function_call")
    if call is None:
        return Finding(title, Status.SKIP, "there was no call to answer")
    output = {"type": "function_call_output", "call_id": call.get("call_id"), "output": "ok\n"}
    answer = client.ask(_request(model, [*history, *called.items, output]))
    refused = _refusal(answer)
    if refused is not None:
        return Finding(title, Status.FAIL, refused)
    thought = "went back" if _first(called, "reasoning") is not None else "did not come, so only the output went back"
    return Finding(title, Status.OK, f"the reasoning {thought}; the model goes on with {_kinds(answer)}")


def _judge_error(answer: Answer) -> Finding:
    title = "error"
    if answer.status == 200 or answer.error is None:
        return Finding(title, Status.FAIL, "a request that means nothing is answered as if it did")
    message, kind = answer.error.get("message"), answer.error.get("type")
    if not isinstance(message, str) or not isinstance(kind, str):
        return Finding(title, Status.FAIL, f"HTTP {answer.status} without an error that Codex can show")
    status = Status.OK if answer.status == 400 else Status.WARN
    return Finding(title, status, f"HTTP {answer.status}: {message}")


def _refusal(answer: Answer) -> str | None:
    if answer.error is not None:
        return f"HTTP {answer.status}: {answer.error.get('message') or 'no message'}"
    if answer.end != "response.completed":
        return f"ends with {answer.end} instead of response.completed"
    return None


def _first(answer: Answer, kind: str) -> Item | None:
    return next((item for item in answer.items if item.get("type") == kind), None)


def _kinds(answer: Answer) -> str:
    return ", ".join(str(item.get("type")) for item in answer.items) or "nothing"


def _text(item: Item) -> str:
    match item.get("content"):
        case list(parts):
            return "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))
        case _:
            return ""

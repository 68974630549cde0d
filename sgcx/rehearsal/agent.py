"""The scripted agent: conversation in, reply out. The first rule that fits speaks.

A rule fits when its `match` finds the last request of the person and the client offers its tools. Of its steps the
first fits whose conditions on the turn and on the last tool outputs hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sgcx.rehearsal import markers, patches
from sgcx.rehearsal.conversation import AssistantTurn, Conversation, ToolResult
from sgcx.rehearsal.rules import (
    PATCH_TOOL,
    SHELL_TOOL,
    Action,
    AppendLine,
    Call,
    CreateFiles,
    ReplaceText,
    Rule,
    Step,
    ToolArguments,
)
from sgcx.rehearsal.templating import fill

_MOST_REPETITIONS = 50_000
_EXIT_CODE = re.compile(r"^(?:Process exited with|Exit) code:? (-?\d+)$", re.MULTILINE)
_BODY = re.compile(r"^Output:\n", re.MULTILINE)
_REFUSED = ("failed", "apply_patch verification failed", "unsupported call", "aborted", "exec_command failed")


@dataclass(frozen=True, slots=True)
class Reply:
    rule: str
    reasoning: str
    text: str
    calls: tuple[tuple[str, str], ...] = ()
    """Pairs of call id and arguments."""
    delay_ms: int = 0
    otherwise: Reply | None = None

    def written(self, *, thinking: bool) -> str:
        """The continuation of a prompt that ends with `<think>`, or with `<think></think>` when not `thinking`."""
        opening = self.reasoning + markers.END_THINK if thinking else ""
        return opening + self.text + (_section(self.calls) if self.calls else "")


GENERIC = Reply(
    rule="generic",
    reasoning="No rule of the script fits this request. I say what I am and what I can be asked.",
    text=(
        "I am the rehearsal model: scripted, no language model. I answer from a fixed set of rules so that "
        "everything around a model can be tried without one. I can read, list, write and edit files, run commands "
        "and make a small Python package. Try: `read README.md`, `run uname -a`, `write notes.txt with hello`."
    ),
)


@dataclass(frozen=True, slots=True)
class Output:
    """What a tool returned: Codex puts a heading with the exit code above the text."""

    exit_code: int | None
    body: str

    @classmethod
    def parse(cls, text: str) -> Output:
        start = _BODY.search(text)
        code = _EXIT_CODE.search(text, 0, start.start() if start else len(text))
        return cls(int(code[1]) if code else None, text[start.end() :] if start else text)

    @property
    def failed(self) -> bool:
        return self.exit_code != 0 if self.exit_code is not None else self.body.startswith(_REFUSED)


@dataclass(frozen=True, slots=True)
class Situation:
    """What the rules can see of a conversation."""

    conversation: Conversation
    request: str
    earlier: tuple[str, ...]
    turn: int
    """How often the model has spoken since the request."""
    outputs: tuple[Output, ...]
    """What the calls of the last of these turns returned."""

    @classmethod
    def of(cls, conversation: Conversation) -> Situation | None:
        if not (requests := conversation.requests):
            return None
        start, request = requests[-1]
        turn, outputs = 0, list[Output]()
        for message in conversation.messages[start:]:
            if isinstance(message, AssistantTurn):
                turn += 1
                outputs.clear()
            elif isinstance(message, ToolResult):
                outputs.append(Output.parse(message.text))
        return cls(conversation, request, tuple(text for _, text in requests[:-1]), turn, tuple(outputs))

    @property
    def commands(self) -> tuple[Output, ...]:
        """The outputs that end with an exit code, if there are any: a plan update is no news."""
        return tuple(output for output in self.outputs if output.exit_code is not None) or self.outputs

    @property
    def failed(self) -> bool:
        return any(output.failed for output in self.outputs)

    def values(self, prompt: str) -> dict[str, str]:
        bodies = [output.body for output in self.commands]
        last = self.commands[-1] if self.commands else Output(None, "")
        directory = re.search(r"<cwd>(.*?)</cwd>", prompt)
        values = {
            "request": self.request,
            "earlier": "\n".join(f"- {text.splitlines()[0]}" for text in self.earlier) or "- nothing yet",
            "prompt": prompt,
            "output": last.body,
            "exit_code": "unknown" if last.exit_code is None else str(last.exit_code),
            "directory": directory[1] if directory else ".",
            "i": "1",
        }
        for number in range(1, 4):
            values[f"output{number}"] = bodies[number - 1] if number <= len(bodies) else ""
        return values


def reply_to(conversation: Conversation, prompt: str, rules: Sequence[Rule]) -> Reply:
    situation = Situation.of(conversation)
    if situation is None:
        return GENERIC
    for rule in rules:
        found = rule.match.search(situation.request)
        if found is None or not rule.tools_suffice(conversation.tools):
            continue
        for step in rule.steps:
            groups = _conditions(step, situation)
            if groups is not None:
                values = situation.values(prompt) | _texts(found.groupdict()) | groups
                clean = {name: markers.printable(text) for name, text in values.items()}
                return _perform(rule, step, clean, conversation)
    return GENERIC


def _conditions(step: Step, situation: Situation) -> dict[str, str] | None:
    """What `output` captured, or None when the step does not fit."""
    if step.turn is not None and step.turn != situation.turn:
        return None
    if step.outcome is not None and (step.outcome == "failed") != situation.failed:
        return None
    if step.output is None:
        return {}
    found = step.output.search("\n".join(output.body for output in situation.outputs))
    return _texts(found.groupdict()) if found else None


def _texts(groups: Mapping[str, str | None]) -> dict[str, str]:
    return {name: text or "" for name, text in groups.items()}


def _perform(rule: Rule, step: Step, values: dict[str, str], conversation: Conversation) -> Reply:
    otherwise = None if step.otherwise is None else _perform(rule, step.otherwise, values, conversation)
    calls: list[tuple[str, str]] = []
    for call in step.calls:
        if call.optional and call.tool not in conversation.tools:
            continue
        name, arguments = _written_call(call, values, conversation.tools)
        calls.append((f"functions.{name}:{conversation.calls_made + len(calls)}", arguments))
    return Reply(rule.name, fill(step.reasoning, values), _text(step, values), tuple(calls), step.delay_ms, otherwise)


def _text(step: Step, values: Mapping[str, str]) -> str:
    if not step.repeat:
        return fill(step.text, values)
    wanted = fill(step.repeat, values)
    times = min(int(wanted), _MOST_REPETITIONS) if wanted.isdecimal() else 1
    return "".join(fill(step.text, {**values, "i": str(number)}) for number in range(1, times + 1))


def _written_call(call: Call, values: Mapping[str, str], tools: frozenset[str]) -> tuple[str, str]:
    if isinstance(call.action, ToolArguments):
        arguments = _filled(call.action.arguments, values)
        written = arguments if isinstance(arguments, str) else _json(arguments)
        return fill(call.tool, values), written
    patch = _patch(call.action, values)
    if PATCH_TOOL in tools:
        return PATCH_TOOL, _json({"input": patch})
    return SHELL_TOOL, _json({"cmd": f"apply_patch <<'END_OF_PATCH'\n{patch}END_OF_PATCH"})


def _patch(action: Action, values: Mapping[str, str]) -> str:
    match action:
        case CreateFiles(files):
            return patches.create({fill(path, values): fill(text, values) for path, text in files.items()})
        case ReplaceText(file, old, new):
            before, gone, instead = values["output"], fill(old, values), fill(new, values)
            # Without the file in view, `old` and `new` are whole lines.
            if not gone or gone not in before:
                before = gone
            return patches.update(fill(file, values), before, before.replace(gone, instead))
        case AppendLine(file, line):
            before = values["output"]
            grown = "\n".join([*before.splitlines(), fill(line, values)])
            return patches.update(fill(file, values), before, grown)
        case ToolArguments():
            raise TypeError("plain arguments are no patch")


def _filled(value: object, values: Mapping[str, str]) -> object:
    match value:
        case str():
            return fill(value, values)
        case dict():
            return {key: _filled(entry, values) for key, entry in value.items()}
        case list():
            return [_filled(entry, values) for entry in value]
        case _:
            return value


def _json(value: object) -> str:
    # The spelling of the chat template's `tojson`, so that arguments parsed on the way come back as they were.
    return json.dumps(value, ensure_ascii=False)


def _section(calls: Sequence[tuple[str, str]]) -> str:
    written = "".join(
        f"{markers.CALL}{call_id}{markers.ARGUMENTS}{arguments}{markers.END_CALL}" for call_id, arguments in calls
    )
    return f"{markers.CALLS}{written}{markers.END_CALLS}"

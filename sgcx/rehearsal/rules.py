"""The script: a TOML file of rules, checked when it is read. `agent.toml` ships, and documents the keys."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sgcx.errors import UserError
from sgcx.rehearsal import templating

SCRIPT_VARIABLE = "SGCX_REHEARSAL_SCRIPT"
BUILT_IN = Path(__file__).with_name("agent.toml")

PATCH_TOOL = "apply_patch"
SHELL_TOOL = "exec_command"

Outcome = Literal["ok", "failed"]

BUILT_IN_NAMES = frozenset(
    {"request", "earlier", "prompt", "output", "output1", "output2", "output3", "exit_code", "i", "directory"}
)
_RULE_KEYS = frozenset({"name", "match", "requires", "step"})
_STEP_KEYS = frozenset({"turn", "outcome", "output", "reasoning", "text", "call", "repeat", "delay_ms", "otherwise"})
_CALL_KEYS = frozenset({"tool", "arguments", "optional", "create", "replace", "append"})


@dataclass(frozen=True, slots=True)
class ToolArguments:
    """Arguments as a table of templates, or as one template for the raw JSON."""

    arguments: Mapping[str, object] | str


@dataclass(frozen=True, slots=True)
class CreateFiles:
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ReplaceText:
    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class AppendLine:
    file: str
    line: str


Action = ToolArguments | CreateFiles | ReplaceText | AppendLine


@dataclass(frozen=True, slots=True)
class Call:
    tool: str
    action: Action
    optional: bool
    """Left out, instead of ruling the rule out, when the client does not offer the tool."""


@dataclass(frozen=True, slots=True)
class Step:
    turn: int | None
    outcome: Outcome | None
    output: re.Pattern[str] | None
    reasoning: str
    text: str
    calls: tuple[Call, ...]
    repeat: str
    delay_ms: int
    otherwise: Step | None
    """What is said where the engine does not let the model say this."""


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    match: re.Pattern[str]
    requires: frozenset[str]
    steps: tuple[Step, ...]

    def tools_suffice(self, offered: frozenset[str]) -> bool:
        # A patch can also be piped through the shell.
        able = offered | {PATCH_TOOL} if SHELL_TOOL in offered else offered
        return self.requires <= able


def load_script(path: Path) -> tuple[Rule, ...]:
    """The rules in the file at `path`, or a UserError that names the file, the rule and the key at fault."""
    try:
        document: dict[str, object] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"The rehearsal script {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"The rehearsal script {path} is not valid TOML: {error}") from error
    file = _Reader(str(path), document)
    file.only({"rule"})
    rules = tuple(_rule(table) for table in file.tables("rule"))
    if not rules:
        raise file.wrong("rule", "must have at least one entry")
    return rules


@dataclass(frozen=True, slots=True)
class _Reader:
    """One table of the file, and where it stands in it."""

    where: str
    table: Mapping[str, object]

    def wrong(self, key: str, why: str) -> UserError:
        return UserError(f"{self.where}: `{key}` {why}", hint=f"{BUILT_IN} is a complete example")

    def only(self, known: frozenset[str] | set[str]) -> None:
        for key in self.table:
            if key not in known:
                raise self.wrong(key, f"is not known here (known: {', '.join(sorted(known))})")

    def string(self, key: str, default: str | None = None) -> str:
        value = self.table.get(key, default)
        if not isinstance(value, str):
            raise self.wrong(key, "must be a string")
        return value

    def boolean(self, key: str) -> bool:
        value = self.table.get(key, False)
        if not isinstance(value, bool):
            raise self.wrong(key, "must be true or false")
        return value

    def count(self, key: str) -> int | None:
        value = self.table.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
            raise self.wrong(key, "must be a whole number, 0 or more")
        return value

    def pattern(self, key: str) -> re.Pattern[str] | None:
        if key not in self.table:
            return None
        try:
            return re.compile(self.string(key))
        except re.error as error:
            raise self.wrong(key, f"is not a regular expression: {error}") from error

    def tables(self, key: str) -> Iterator[_Reader]:
        value = self.table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            raise self.wrong(key, "must be an array of tables")
        for index, entry in enumerate(value):
            yield _Reader(f"{self.where}: {key}[{index}]", entry)

    def table_or_none(self, key: str) -> _Reader | None:
        value = self.table.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.wrong(key, "must be a table")
        return _Reader(f"{self.where}: {key}", value)

    def strings(self, key: str) -> dict[str, str]:
        value = self.table.get(key)
        if not isinstance(value, dict) or not all(isinstance(entry, str) for entry in value.values()):
            raise self.wrong(key, "must be a table of strings")
        return value


def _rule(reader: _Reader) -> Rule:
    reader.only(_RULE_KEYS)
    match = reader.pattern("match")
    if match is None:
        raise reader.wrong("match", "is missing")
    groups = frozenset(match.groupindex)
    steps = tuple(_step(table, groups) for table in reader.tables("step"))
    if not steps:
        raise reader.wrong("step", "must have at least one entry")
    named = reader.table.get("requires", [])
    if not isinstance(named, list) or not all(isinstance(tool, str) for tool in named):
        raise reader.wrong("requires", "must be an array of strings")
    needed = {call.tool for step in steps for call in step.calls if not call.optional and "{{" not in call.tool}
    return Rule(reader.string("name"), match, frozenset(named) | needed, steps)


def _step(reader: _Reader, groups: frozenset[str]) -> Step:
    reader.only(_STEP_KEYS)
    step = _spoken(reader, groups, reader.string("reasoning"))
    alternative = reader.table_or_none("otherwise")
    if alternative is None:
        return step
    alternative.only({"text", "call"})
    return replace(step, otherwise=_spoken(alternative, groups, step.reasoning))


def _spoken(reader: _Reader, groups: frozenset[str], reasoning: str) -> Step:
    output = reader.pattern("output")
    outcome = reader.table.get("outcome")
    if outcome not in (None, "ok", "failed"):
        raise reader.wrong("outcome", 'must be "ok" or "failed"')
    names = BUILT_IN_NAMES | groups | frozenset(output.groupindex if output else ())
    step = Step(
        turn=reader.count("turn"),
        outcome=outcome,
        output=output,
        reasoning=reasoning,
        text=reader.string("text", ""),
        calls=tuple(_call(table, names) for table in reader.tables("call")),
        repeat=reader.string("repeat", ""),
        delay_ms=reader.count("delay_ms") or 0,
        otherwise=None,
    )
    if not step.reasoning:
        raise reader.wrong("reasoning", "must not be empty")
    if not step.text and not step.calls:
        raise reader.wrong("text", "is missing, and there is no `call` either")
    for key in ("reasoning", "text", "repeat"):
        _check_templates(reader, key, names, reader.table.get(key))
    return step


def _call(reader: _Reader, names: frozenset[str]) -> Call:
    reader.only(_CALL_KEYS)
    kinds = [key for key in ("arguments", "create", "replace", "append") if key in reader.table]
    if len(kinds) != 1:
        raise reader.wrong("arguments", "is missing (or one of `create`, `replace`, `append`; exactly one of them)")
    _check_templates(reader, kinds[0], names, reader.table[kinds[0]])
    action = _action(reader, kinds[0])
    tool = reader.string("tool", None if isinstance(action, ToolArguments) else PATCH_TOOL)
    _check_templates(reader, "tool", names, tool)
    return Call(tool, action, reader.boolean("optional"))


def _action(reader: _Reader, kind: str) -> Action:
    if kind == "arguments":
        arguments = reader.table["arguments"]
        if isinstance(arguments, (dict, str)):
            return ToolArguments(arguments)
        raise reader.wrong("arguments", "must be a table, or a string of JSON")
    if kind == "create":
        return CreateFiles(reader.strings("create"))
    fields = _Reader(f"{reader.where}: {kind}", reader.strings(kind))
    if kind == "replace":
        fields.only({"file", "old", "new"})
        return ReplaceText(fields.string("file"), fields.string("old"), fields.string("new"))
    fields.only({"file", "line"})
    return AppendLine(fields.string("file"), fields.string("line"))


def _check_templates(reader: _Reader, key: str, names: frozenset[str], value: object) -> None:
    for template in _strings_in(value):
        for name, filters in templating.placeholders(template):
            if name not in names:
                known = ", ".join(sorted(names))
                raise reader.wrong(key, f"uses {{{{{name}}}}}, which nothing defines (known: {known})")
            for used in filters:
                if used not in templating.FILTERS:
                    known = ", ".join(templating.FILTERS)
                    raise reader.wrong(key, f"uses the unknown filter {used!r} (known: {known})")


def _strings_in(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _strings_in(key)
            yield from _strings_in(entry)
    elif isinstance(value, Sequence):
        for entry in value:
            yield from _strings_in(entry)

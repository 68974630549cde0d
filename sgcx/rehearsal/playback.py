"""Which token comes next, for every request in the engine. Plain Python: the engine's tensors stay outside.

A request is known by its slot in the engine's request pool. Its reply is made up once, when its prompt has been read,
and from then on a step costs one list look-up, however long the context is. The slot's length is checked at each step:
whenever it is not the one expected (a new request in an old slot, a request that was put back and read again) the
part is looked up afresh from the tokens themselves.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sgcx.errors import UserError
from sgcx.rehearsal import markers
from sgcx.rehearsal.agent import Reply, reply_to
from sgcx.rehearsal.conversation import Conversation, parse_prompt
from sgcx.rehearsal.rules import Rule, load_script

_log = logging.getLogger(__name__)


class Tokens(Protocol):
    """What is asked of a tokenizer."""

    def encode(self, text: str) -> list[int]: ...
    def decode(self, tokens: Sequence[int]) -> str: ...


class Script:
    """The rules in a file, read again when it changes. A file broken while the server runs changes nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self._stamp()
        self._rules = load_script(path)

    @property
    def rules(self) -> tuple[Rule, ...]:
        stamp = self._stamp()
        if stamp != self._seen:
            self._seen = stamp
            try:
                self._rules = load_script(self._path)
            except UserError as error:
                _log.warning("The rehearsal goes on with the rules it had: %s", error.message)
        return self._rules

    def _stamp(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size


@dataclass(slots=True)
class Part:
    """One request's reply, and how much of the sequence the prompt is."""

    reply: Sequence[int]
    prompt_length: int
    length: int
    delay_s: float
    otherwise: Sequence[int] | None
    """The reply from where the engine does not let the model say the first one."""


@dataclass(frozen=True, slots=True)
class Cue:
    """`otherwise`: the token where the engine forbids the first, as a grammar does."""

    token: int
    delay_s: float
    otherwise: int | None = None


class Playback:
    def __init__(self, script: Script, tokens: Tokens) -> None:
        self._script = script
        self._tokens = tokens
        self._parts: dict[int, Part] = {}
        self._assistant, self._end, self._think, self._end_think = (
            tokens.encode(marker)[0] for marker in (markers.ASSISTANT, markers.END, markers.THINK, markers.END_THINK)
        )

    def cue(self, slot: int, length: int, sequence: Callable[[], Sequence[int]], *, fresh: bool) -> Cue | None:
        """The token after the first `length` tokens of the request in `slot`; None where nothing is scripted.

        `fresh` says that the engine has just read (more of) the prompt. `sequence` fetches those tokens.
        """
        part = self._parts.get(slot)
        if fresh or part is None or part.length + 1 != length:
            part = self._part(sequence())
            if part is None:
                self._parts.pop(slot, None)
                return None
            self._parts[slot] = part
        part.length = length
        position = length - part.prompt_length
        if part.otherwise is not None and list(sequence()[part.prompt_length :]) != list(part.reply[:position]):
            part.reply, part.otherwise = part.otherwise, None
        otherwise = None if part.otherwise is None else self._token(part.otherwise, position)
        return Cue(self._token(part.reply, position), part.delay_s, otherwise)

    def _token(self, reply: Sequence[int], position: int) -> int:
        return reply[position] if position < len(reply) else self._end

    def _part(self, sequence: Sequence[int]) -> Part | None:
        prompt_length = self._prompt_length(sequence)
        if prompt_length is None:
            return None
        prompt = self._tokens.decode(sequence[:prompt_length])
        conversation = parse_prompt(prompt)
        reply = reply_to(conversation, prompt, self._script.rules)
        _log.info("rule %s for a prompt of %d tokens", reply.rule, prompt_length)
        otherwise = None if reply.otherwise is None else self._written(reply.otherwise, conversation)
        delay_s = reply.delay_ms / 1000
        return Part(self._written(reply, conversation), prompt_length, len(sequence), delay_s, otherwise)

    def _written(self, reply: Reply, conversation: Conversation) -> Sequence[int]:
        return [*self._tokens.encode(reply.written(thinking=conversation.thinking)), self._end]

    def _prompt_length(self, sequence: Sequence[int]) -> int | None:
        """How much of `sequence` is prompt, or None when it does not reach into a reply yet."""
        for start in range(len(sequence) - 1, -1, -1):
            if sequence[start] == self._end:
                return None
            if sequence[start] == self._assistant:
                break
        else:
            return None
        try:
            thinking = list(sequence[start:]).index(self._think) + start + 1
        except ValueError:
            return None
        # Replies that reason never begin with the end of the reasoning: rules must have some.
        skipped = thinking < len(sequence) and sequence[thinking] == self._end_think
        return thinking + 1 if skipped else thinking

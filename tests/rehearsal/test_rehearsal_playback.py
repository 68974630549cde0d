"""Token by token: the reply follows its prompt, whatever the engine does with the request in between."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from sgcx.rehearsal import markers
from sgcx.rehearsal.playback import Cue, Playback, Script
from sgcx.rehearsal.rules import BUILT_IN

_PIECES = re.compile("|".join(re.escape(marker) for marker in markers.CONTROL + markers.VISIBLE) + "|.", re.DOTALL)


class CharacterTokens:
    """One token per control token and per character."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._texts: list[str] = []

    def encode(self, text: str) -> list[int]:
        return [self._id(piece) for piece in _PIECES.findall(text)]

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join(self._texts[token] for token in tokens)

    def _id(self, piece: str) -> int:
        if piece not in self._ids:
            self._ids[piece] = len(self._texts)
            self._texts.append(piece)
        return self._ids[piece]


TOKENS = CharacterTokens()
END = TOKENS.encode(markers.END)[0]


def prompt(request: str, *, thinking: bool = True) -> list[int]:
    opening = "<think>" if thinking else "<think></think>"
    text = f"<|im_user|>user<|im_middle|>{request}<|im_end|><|im_assistant|>assistant<|im_middle|>{opening}"
    return TOKENS.encode(text)


class Engine:
    """Reads prompts and decodes, as the real one does, into `said`."""

    def __init__(self, script: Path = BUILT_IN) -> None:
        self.playback = Playback(Script(script), TOKENS)
        self.looked_up = 0

    def step(self, slot: int, sequence: list[int], *, fresh: bool) -> Cue | None:
        def look_up() -> list[int]:
            self.looked_up += 1
            return sequence

        return self.playback.cue(slot, len(sequence), look_up, fresh=fresh)

    def generate(self, slot: int, sequence: list[int], *, steps: int = 100_000, fresh: bool = True) -> list[int]:
        for _ in range(steps):
            cue = self.step(slot, sequence, fresh=fresh)
            assert cue is not None
            sequence = [*sequence, cue.token]
            fresh = False
            if cue.token == END:
                break
        return sequence


def test_a_reply_is_made_up_once_and_then_read_off() -> None:
    engine = Engine()
    start = prompt("write 50 words")
    said = TOKENS.decode(engine.generate(3, start)[len(start) :])
    assert said.endswith("</think>" + "word " * 50 + "<|im_end|>")
    assert engine.looked_up == 1


def test_requests_in_other_slots_do_not_mix() -> None:
    engine = Engine()
    sequences = {slot: prompt(f"write {slot} words") for slot in (1, 2, 3)}
    for step in range(400):
        for slot, sequence in sequences.items():
            if sequence[-1] != END or step == 0:
                sequences[slot] = engine.generate(slot, sequence, steps=1, fresh=step == 0)
    for slot, sequence in sequences.items():
        assert TOKENS.decode(sequence).endswith("</think>" + "word " * slot + "<|im_end|>")


def test_a_request_that_was_put_back_goes_on_where_it_was() -> None:
    whole = Engine().generate(1, prompt("hello"))
    engine = Engine()
    part = engine.generate(1, prompt("hello"), steps=30)
    engine.generate(1, prompt("write 5 words"))
    assert engine.generate(9, part) == whole


def test_a_slot_with_another_request_is_noticed_by_its_length() -> None:
    engine = Engine()
    engine.generate(1, prompt("hello"), steps=5)
    start = prompt("write 2 words")
    assert TOKENS.decode(engine.generate(1, start, fresh=False)).endswith("word word <|im_end|>")


def test_half_a_prompt_is_not_answered() -> None:
    engine = Engine()
    whole = prompt("hello")
    for length in range(1, len(whole)):
        assert engine.step(1, whole[:length], fresh=True) is None
    assert engine.step(1, whole, fresh=True) is not None


def test_a_reply_that_is_forbidden_goes_on_as_the_other_one() -> None:
    engine = Engine()
    start = prompt('call f with {"a": 1} or else say no')
    sequence = engine.generate(1, start, steps=36)
    first, other = TOKENS.encode("<|tool_calls_section_begin|>")[0], TOKENS.encode("n")[0]
    cue = engine.step(1, sequence, fresh=False)
    assert cue is not None
    assert (cue.token, cue.otherwise) == (first, other)
    whole = engine.generate(1, [*sequence, other], fresh=False)
    assert TOKENS.decode(whole).endswith("kept from it.</think>no<|im_end|>")
    put_back = Engine().generate(2, [*sequence, other])
    assert put_back == whole


def test_without_thinking_the_answer_comes_at_once() -> None:
    start = prompt("hello", thinking=False)
    assert TOKENS.decode(Engine().generate(1, start)[len(start) :]).startswith("Hello! I am the rehearsal model")

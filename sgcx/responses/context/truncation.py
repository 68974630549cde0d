"""`truncation: auto`: what a conversation loses where it does not fit into the context.

Oldest first, in whole units: a call goes together with its outputs. Instructions never go, nor does the last thing
that happened, nor the last thing that the user said. Cuts lie where a further step of text is gone, counted from the
start: a conversation that grows is cut at the same place for many turns, and its prompts keep their beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sgcx.responses.items import InputItem, Message, Part, Reasoning, TextPart, ToolCall, ToolOutput

_IMAGE_CHARACTERS = 4000
"""An image takes room, too, though how much only the engine knows."""


@dataclass(frozen=True, slots=True)
class Cut:
    items: tuple[InputItem, ...]
    dropped: int
    """How many items are missing."""


@dataclass(slots=True)
class Truncation:
    """Finds the first cut that fits with few counts: `propose`, count the cut, `judge`, until `propose` has no more.

    `tokens`: the whole conversation's, if known; `limit_tokens`: what it may have.
    """

    items: Sequence[InputItem]
    step_characters: int
    limit_tokens: int
    tokens: int | None = None
    _units: list[list[int]] = field(init=False)
    _places: list[tuple[int, int]] = field(init=False)
    """For every cut: how many units go, and how many characters."""
    _too_long: int = field(default=-1, init=False)
    _fits: int = field(init=False)
    _judged: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._units = _droppable_units(self.items)
        self._places = _places(self.items, self._units, self.step_characters)
        self._fits = len(self._places)

    def propose(self) -> Cut | None:
        place = self._next_place()
        return None if place is None else self._cut(place)

    def judge(self, *, fits: bool) -> None:
        place = self._next_place()
        assert place is not None
        if fits:
            self._fits = place
        else:
            self._too_long = place
        self._judged += 1

    @property
    def result(self) -> Cut | None:
        """The first cut that fits. None: not even the last one does."""
        return None if self._fits == len(self._places) else self._cut(self._fits)

    def _next_place(self) -> int | None:
        lowest, highest = self._too_long + 1, self._fits - 1
        if lowest > highest:
            return None
        if self._judged == 0:
            return min(max(self._predicted(), lowest), highest)
        if self._judged == 1:  # the prediction is off by one at most, as a rule
            return lowest if self._fits == len(self._places) else highest
        return (lowest + highest) // 2

    def _predicted(self) -> int:
        """Where the cut would be if every character took the same share of the tokens."""
        if self.tokens is None:
            return len(self._places) // 2
        characters = sum(map(_characters, self.items))
        excess = (self.tokens - self.limit_tokens) * characters / max(1, self.tokens)
        return next((place for place, (_, gone) in enumerate(self._places) if gone >= excess), len(self._places) - 1)

    def _cut(self, place: int) -> Cut:
        units, _ = self._places[place]
        gone = {index for unit in self._units[:units] for index in unit}
        return Cut(tuple(item for index, item in enumerate(self.items) if index not in gone), len(gone))


def _droppable_units(items: Sequence[InputItem]) -> list[list[int]]:
    """Indexes of what goes together, oldest unit first."""
    units: list[list[int]] = []
    of_call: dict[str, list[int]] = {}
    last_of_user = -1
    for index, item in enumerate(items):
        match item:
            case Message(role="system" | "developer"):
                continue
            case ToolOutput(call_id=call_id) if call_id in of_call:
                of_call[call_id].append(index)
                continue
            case ToolCall(call_id=call_id):
                of_call[call_id] = unit = [index]
            case Message(role="user"):
                last_of_user, unit = index, [index]
            case _:
                unit = [index]
        units.append(unit)
    last = max((unit[-1] for unit in units), default=-1)
    return [unit for unit in units if last_of_user not in unit and last not in unit]


def _places(items: Sequence[InputItem], units: list[list[int]], step: int) -> list[tuple[int, int]]:
    places: list[tuple[int, int]] = []
    gone, next_line = 0, step
    for number, unit in enumerate(units, start=1):
        gone += sum(_characters(items[index]) for index in unit)
        if gone >= next_line or number == len(units):
            places.append((number, gone))
            next_line = (gone // step + 1) * step
    return places


def _characters(item: InputItem) -> int:
    match item:
        case Message(content=parts) | ToolOutput(output=parts):
            return sum(map(_part_characters, parts))
        case Reasoning(text) | ToolCall(arguments=text):
            return len(text)


def _part_characters(part: Part) -> int:
    return len(part.text) if isinstance(part, TextPart) else _IMAGE_CHARACTERS

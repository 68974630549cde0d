"""Where in a grammar one can be after what was read, and where the next character leads.

This is Earley's recognizer over the states of a `Network`, made an automaton that is built while it reads. What is
left to do when a rule ends is a frame, and frames with the same left to do are one object, wherever they came up. So
situations that go on alike are one object too, and each remembers where a character led: the lines of a patch, the
elements of a list, everything in a regular language are worked out once and looked up from then on. Ambiguity, left
recursion and rules without text are no matter.

Nothing here is exponential, but a grammar can make each character cost more than the one before: an automaton stops
growing after so many steps. Looking up costs none of them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from sgcx.responses.grammars.expressions import Ranges
from sgcx.responses.grammars.network import Network, Rule, State

_MOST_STEPS = 100_000
"""A fifth of a second, and 6 MB."""


@dataclass(slots=True, eq=False)
class _Frame:
    """Where to go on when a called rule ends."""

    returns: tuple[_Place, ...] = ()


_Place = tuple[State, _Frame | None]
"""A state, and the frame of the rule that it belongs to; None: of the rule of the whole text."""
_Caller = tuple[State, _Frame | Rule | None]
"""The same while the frames of a situation are made: a rule that is called in it stands for its frame."""
_Calls = dict[Rule, set[_Caller]]
"""The rules that are called in a situation, and where they return to."""


@dataclass(slots=True, eq=False)
class Situation:
    places: tuple[_Place, ...]
    """Those that edges leave."""
    complete: bool
    """What was read is in the language."""
    after: dict[str, Situation] = field(default_factory=dict)
    """By the next character, as far as they are known."""
    after_class: dict[int, Situation] = field(default_factory=dict)
    """By the boundary below it."""
    dead: bool = field(init=False)
    """No text of the language begins with what was read."""

    def __post_init__(self) -> None:
        self.dead = not (self.places or self.complete)


class OutOfSteps(Exception):
    pass


class Automaton:
    """Of one network. It keeps what it has worked out, for the next text too."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.steps = 0
        """What went into it."""
        self._reached: dict[State, tuple[list[State], bool]] = {}
        self._frames: dict[tuple[Rule, frozenset[tuple[Rule, _Caller]]], _Frame] = {}
        self._situations: dict[tuple[frozenset[_Place], bool], Situation] = {}
        self._start: Situation | None = None

    def start(self) -> Situation:
        """Raises `OutOfSteps`."""
        if self._start is None:
            self._start = self._situation([(self._network.starts[0], None)])
        return self._start

    def advance(self, situation: Situation, character: str) -> Situation:
        """Raises `OutOfSteps`."""
        code = ord(character)
        boundary = bisect_right(self._network.boundaries, code)
        following = situation.after_class.get(boundary)
        if following is None:
            following = self._situation(self._across(situation.places, code))
            situation.after_class[boundary] = following
        situation.after[character] = following
        return following

    def _across(self, places: tuple[_Place, ...], code: int) -> list[_Place]:
        reached: list[_Place] = []
        for state, frame in places:
            edges = self._network.edges[state]
            self._spend(len(edges))
            reached += [(target, frame) for ranges, target in edges if _within(ranges, code)]
        return reached

    def _situation(self, arrived: list[_Place]) -> Situation:
        """Rules that have ended are returned from; what is left is what tells situations apart."""
        left: set[_Place] = set()
        complete = False
        pending, seen = arrived, set(arrived)
        while pending:
            state, frame = pending.pop()
            busy, ends = self._reach(state)
            left.update((other, frame) for other in busy)
            complete = complete or (ends and frame is None)
            if ends and frame is not None:
                self._spend(len(frame.returns))
                pending += [place for place in frame.returns if place not in seen]
                seen.update(frame.returns)
        key = frozenset(left), complete
        if key not in self._situations:
            self._situations[key] = Situation(self._with_calls(left), complete)
        return self._situations[key]

    def _reach(self, state: State) -> tuple[list[State], bool]:
        """Without reading: the states that edges and calls leave, and whether the rule can end."""
        known = self._reached.get(state)
        if known is not None:
            self._spend(1 + len(known[0]))
            return known
        network = self._network
        busy: list[State] = []
        ends = False
        pending, seen = [state], {state}
        while pending:
            self._spend(1)
            at = pending.pop()
            if network.edges[at] or network.calls[at]:
                busy.append(at)
            ends = ends or at in network.ends
            skipped = [returned for rule, returned in network.calls[at] if rule in network.nullable]
            for following in (*network.skips[at], *skipped):
                if following not in seen:
                    seen.add(following)
                    pending.append(following)
        self._reached[state] = busy, ends
        return busy, ends

    def _with_calls(self, places: Iterable[_Place]) -> tuple[_Place, ...]:
        """`places` and those in the rules that are called there, as far as edges leave them.

        A call behind which its rule has nothing left hands on the frame: chains of last calls do not grow.
        """
        calls: _Calls = {}
        pending: list[_Caller] = list(places)
        seen = set(pending)
        while pending:
            state, frame = pending.pop()
            for rule, returned in self._network.calls[state]:
                inner: _Frame | Rule | None = frame
                if self._reach(returned)[0]:
                    calls.setdefault(rule, set()).add((returned, frame))
                    inner = rule
                opened = [(other, inner) for other in self._reach(self._network.starts[rule])[0]]
                pending += [place for place in opened if place not in seen]
                seen.update(opened)
        frames = self._made(calls)
        return tuple((state, _frame(frame, frames)) for state, frame in seen if self._network.edges[state])

    def _made(self, calls: _Calls) -> dict[Rule, _Frame]:
        """The frames of the called rules. Equal ones have equal calls among all that they lead to."""
        frames: dict[Rule, _Frame] = {}
        new: list[Rule] = []
        for rule in calls:
            key = rule, frozenset((other, caller) for other in self._callers(rule, calls) for caller in calls[other])
            if key not in self._frames:
                self._frames[key] = _Frame()
                new.append(rule)
            frames[rule] = self._frames[key]
        for rule in new:
            frames[rule].returns = tuple((returned, _frame(frame, frames)) for returned, frame in calls[rule])
        return frames

    def _callers(self, rule: Rule, calls: _Calls) -> Collection[Rule]:
        """The rule and those of this situation that it returns to, directly or not."""
        pending, seen = [rule], {rule}
        while pending:
            callers = calls[pending.pop()]
            self._spend(len(callers))
            for _, frame in callers:
                if isinstance(frame, int) and frame not in seen:
                    seen.add(frame)
                    pending.append(frame)
        return seen

    def _spend(self, steps: int) -> None:
        self.steps += steps
        if self.steps > _MOST_STEPS:
            raise OutOfSteps


def _frame(frame: _Frame | Rule | None, frames: dict[Rule, _Frame]) -> _Frame | None:
    return frames[frame] if isinstance(frame, int) else frame


def _within(ranges: Ranges, code: int) -> bool:
    """`ranges` are sorted."""
    after = bisect_right(ranges, (code, 0x10FFFF))
    return after > 0 and code <= ranges[after - 1][1]

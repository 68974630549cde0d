"""Which tokens the text of an answer was made of.

Engines list the tokens of everything that they generate, markers and reasoning and calls included, while readers hold
text back until they know what it is. Here the two meet again.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from sgcx.responses.deltas import EngineDelta, ReasoningDelta, TextDelta, TokenLogprob, ToolCallArguments


@dataclass(slots=True)
class LogprobAlignment:
    """No token is shown twice, and none of what is not text.

    Exact where a delta begins where a token does, as nearly all do; a token that two deltas share goes to the first.
    A delta that does not spell like its tokens (a character of several tokens) gets all that wait.
    """

    _waiting: list[tuple[str, TokenLogprob | None]] = field(default_factory=list, init=False)
    """Tokens as they are spelled. None stands with the rest of a token that an earlier delta has."""

    def attach(self, deltas: Sequence[EngineDelta], tokens: Sequence[TokenLogprob]) -> list[EngineDelta]:
        """`deltas` with their logprobs. `tokens`: what the engine generated since the last call."""
        self._waiting.extend((token.token, token) for token in tokens)
        return [self._with_logprobs(delta) for delta in deltas]

    def _with_logprobs(self, delta: EngineDelta) -> EngineDelta:
        match delta:
            case TextDelta(text):
                return replace(delta, logprobs=tuple(self._take(text)))
            case ReasoningDelta(text) | ToolCallArguments(text):
                self._take(text)
        return delta

    def _take(self, text: str) -> list[TokenLogprob]:
        """The waiting tokens that `text` is made of. Those before them were markers."""
        starts = [0, *accumulate(len(spelled) for spelled, _ in self._waiting)]
        at = self._find(text, starts)
        end = starts[-1] if at is None else at + len(text)
        first = 0 if at is None else bisect_right(starts, at) - 1
        last = bisect_left(starts, end)
        taken, self._waiting = self._waiting[first:last], self._waiting[last:]
        if end < starts[last]:
            self._waiting.insert(0, (taken[-1][0][end - starts[last] :], None))
        return [token for _, token in taken if token is not None]

    def _find(self, text: str, starts: list[int]) -> int | None:
        spelled = "".join(spelled for spelled, _ in self._waiting)
        begins = [at for at in starts if spelled.startswith(text, at)]
        # A marker can begin with what the text is, but then it goes on.
        whole = [at for at in begins if at + len(text) in starts]
        return next(iter((*whole, *begins)), None)

"""How often a stream gets what the engine has written, where many streams share one API process.

Passing on one token costs that process nearly the same as passing on several: a wake-up, an event, a write. So it,
not the GPU, becomes the limit. A stream that waits for its share of the process before it takes the next piece finds
several tokens in it, and where that is so, later answers ask the engine for several at a time, which spares the
processes before this one, too. The shares are such that all streams together keep the process busy for less than half
of the time, which leaves the rest for what each token costs. A model that writes more slowly than that is not held
up: the wait is over before its next token. Few streams never wait, and the first token of an answer never does.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_UNPACED_STREAMS = 32
"""At so many, pauses won no throughput on an H200 (docs/performance.md)."""
_PAUSE_PER_PIECE = 2.7
"""A stream's pause in costs of a piece, as they are seen from here, per stream: a third of them is not seen."""
_LEAST_PIECE_S = 0.000055
"""Less is not believed: with pauses for this much an H200's API process took 46 µs per token, without them 67."""
_LONGEST_PIECE_S = 0.0005
"""What takes longer than this was waiting, for a slow client or for the processor."""
_LONGEST_PAUSE_S = 0.1
_MOST_TOKENS = 4
_WEIGHT = 0.02
"""Of the newest piece in a mean."""


@dataclass(slots=True)
class ProcessPace:
    """What the streams of one process learn from each other."""

    _piece_s: float = field(default=_LEAST_PIECE_S, init=False)
    """What passing on a piece costs."""
    _token_s: float = field(default=0.0, init=False)
    """The mean time from one token of a stream to its next."""
    _streams: int = field(default=0, init=False)
    """Among so many was the last one seen. What was seen of few says nothing about many: an idle engine is fast."""

    def pause_s(self, streams: int) -> float:
        """What a stream waits after each piece, in seconds, where there are so many `streams`."""
        if streams <= _UNPACED_STREAMS:
            return 0.0
        return min(_LONGEST_PAUSE_S, streams * self._piece_s * _PAUSE_PER_PIECE)

    def tokens_at_a_time(self, streams: int) -> int:
        """What an answer can ask for: as many tokens as come within the pause that `streams` make anyway."""
        if not self._token_s or streams > 2 * self._streams:
            return 1
        return max(1, min(_MOST_TOKENS, int(self.pause_s(streams) / self._token_s)))

    def see_piece(self, spent_s: float) -> None:
        believed_s = min(max(spent_s, _LEAST_PIECE_S), _LONGEST_PIECE_S)
        self._piece_s += (believed_s - self._piece_s) * _WEIGHT

    def see_tokens(self, tokens: int, elapsed_s: float, streams: int) -> None:
        """A stream among `streams` grew by `tokens` in `elapsed_s`."""
        token_s = elapsed_s / tokens
        self._token_s += (token_s - self._token_s) * (_WEIGHT if self._streams else 1.0)
        self._streams = streams


@dataclass(slots=True)
class StreamPace:
    """Of one stream. Times in seconds, from one clock."""

    process: ProcessPace
    _began_s: float = field(default=0.0, init=False)
    _tokens: int = field(default=0, init=False)
    _paced_s: float = field(default=0.0, init=False)

    def begin_piece(self, now_s: float) -> None:
        self._began_s = now_s

    def end_piece(self, tokens: int, streams: int, now_s: float) -> float:
        """It is passed on, and the answer is `tokens` long now. What the stream waits before it takes the next."""
        self.process.see_piece(now_s - self._began_s)
        pause_s = self.process.pause_s(streams)
        if pause_s:
            if self._tokens and tokens > self._tokens:
                self.process.see_tokens(tokens - self._tokens, now_s - self._paced_s, streams)
            self._tokens, self._paced_s = tokens, now_s
        return pause_s

"""How often a stream takes what the engine has written, where many streams share one API process.

Taking one token costs that process nearly the same as taking several: a wake-up, an event, a write. So it, not the
GPU, becomes the limit. A stream that waits for its share of the process before it takes the next piece finds several
tokens in it. The shares are such that all streams together keep the process busy for less than half of the time,
which leaves the rest for what each token costs. A model that writes more slowly than that is not held up: the wait is
over before its next token. Few streams never wait, and the first token of an answer never does.
"""

from __future__ import annotations

_UNPACED_STREAMS = 16
_PAUSE_PER_STREAM_S = 0.00016
"""About twice what a piece costs."""
_LONGEST_PAUSE_S = 0.05
"""One twentieth of a second: what comes in steps of this size still reads as flowing."""


def pause_s(streams: int) -> float:
    """What a stream waits after each piece, in seconds, where `streams` are in the process."""
    return min(_LONGEST_PAUSE_S, max(0, streams - _UNPACED_STREAMS) * _PAUSE_PER_STREAM_S)

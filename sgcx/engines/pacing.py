"""How often a stream takes what the engine has written, where many streams share one API process.

Taking one token costs that process the same as taking several: a wake-up, a decoding, an event, a write. From some
fifty streams on it, not the GPU, is the limit, and a stream that waits a few milliseconds before it takes the next
token finds two or three. Below that nothing waits. The first token of an answer never does.
"""

from __future__ import annotations

_UNPACED_STREAMS = 48
_PAUSE_PER_STREAM_S = 0.0001
_LONGEST_PAUSE_S = 0.02
"""One fiftieth of a second: what comes in steps of this size still reads as flowing."""


def pause_s(streams: int) -> float:
    """What a stream waits after each piece, in seconds, where `streams` are in the process."""
    return min(_LONGEST_PAUSE_S, max(0, streams - _UNPACED_STREAMS) * _PAUSE_PER_STREAM_S)

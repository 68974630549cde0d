from __future__ import annotations

from sgcx.engines.pacing import pause_s


def test_few_streams_never_wait():
    assert pause_s(1) == pause_s(16) == 0


def test_more_streams_wait_longer_but_never_long():
    pauses = [pause_s(streams) for streams in (16, 32, 128, 256, 100_000)]
    assert pauses == sorted(pauses)
    assert pauses[1] > 0
    assert pauses[-1] <= 0.05

from __future__ import annotations

import pytest

from sgcx.engines.pacing import ProcessPace, StreamPace


def seen(*, streams, token_s, piece_s=0.00005, pieces=500):
    """A process in which one of so many streams has got so many pieces of one token each."""
    process = ProcessPace()
    stream = StreamPace(process)
    for number in range(1, pieces + 1):
        stream.begin_piece(number * token_s - piece_s)
        stream.end_piece(number, streams, number * token_s)
    return process


def test_few_streams_never_wait():
    assert ProcessPace().pause_s(1) == ProcessPace().pause_s(32) == 0


def test_more_streams_wait_longer_but_never_long():
    pauses = [ProcessPace().pause_s(streams) for streams in (32, 48, 128, 256, 100_000)]
    assert pauses == sorted(pauses)
    assert pauses[1] > 0
    assert pauses[-1] <= 0.1


@pytest.mark.parametrize("piece_s", [0.00002, 0.0001, 0.0003])
def test_pieces_take_at_most_half_of_the_process(piece_s):
    process = seen(streams=64, token_s=0.01, piece_s=piece_s)
    assert 64 * piece_s / process.pause_s(64) < 0.5


def test_a_client_that_reads_slowly_is_not_taken_for_a_slow_process():
    assert seen(streams=64, token_s=1.0, piece_s=0.9).pause_s(64) < 0.1


def test_where_several_tokens_come_in_a_pause_they_are_asked_for_together():
    assert seen(streams=128, token_s=0.008).tokens_at_a_time(128) == 2
    assert seen(streams=128, token_s=0.0001).tokens_at_a_time(128) == 4


def test_a_slow_model_is_asked_for_one_token_at_a_time():
    assert seen(streams=128, token_s=0.04).tokens_at_a_time(128) == 1


def test_what_few_streams_saw_says_nothing_about_many():
    assert ProcessPace().tokens_at_a_time(256) == 1
    assert seen(streams=40, token_s=0.001).tokens_at_a_time(256) == 1

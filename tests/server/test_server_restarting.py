"""When a server is started again, and when it is given up."""

from __future__ import annotations

from sgcx.server.records import ServerState
from sgcx.server.restarting import BecameReady, Ended, GiveUp, Restarting, RestartPolicy, StartAfter, Started

POLICY = RestartPolicy(attempts=3, first_delay_s=1, longest_delay_s=3, stable_s=100)


def running(at_s: float = 0) -> Restarting:
    machine = Restarting(POLICY)
    assert machine.state is ServerState.STARTING
    machine.feed(BecameReady(at_s))
    assert machine.state is ServerState.RUNNING
    return machine


def test_delays_double_up_to_the_longest_and_then_it_is_given_up_with_the_last_reason() -> None:
    machine = running()
    assert machine.feed(Ended(10, "a")) == StartAfter(1, 1)
    assert machine.state is ServerState.BACKOFF
    machine.feed(Started())
    assert machine.state is ServerState.STARTING
    assert machine.feed(Ended(20, "b")) == StartAfter(2, 2)
    assert machine.feed(Ended(30, "c")) == StartAfter(3, 3)
    assert machine.feed(Ended(40, "the disk is full")) == GiveUp(
        "given up after 3 restarts; the last time the disk is full"
    )
    assert machine.state is ServerState.FATAL


def test_a_short_life_does_not_wipe_the_slate_and_a_long_one_does() -> None:
    machine = running()
    machine.feed(Ended(10, "a"))
    machine.feed(BecameReady(20))
    assert machine.feed(Ended(119, "b")) == StartAfter(2, 2)
    machine.feed(BecameReady(200))
    assert machine.feed(Ended(300, "c")) == StartAfter(1, 1)


def test_the_time_of_an_earlier_life_does_not_count_for_a_start_that_fails() -> None:
    machine = running(0)
    machine.feed(Ended(1000, "a"))
    machine.feed(Started())
    assert machine.feed(Ended(2000, "b")) == StartAfter(2, 2)

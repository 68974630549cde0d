"""What SGLang made while it started is not looked through for garbage while it answers."""

from __future__ import annotations

import re
import time

import pytest

pytestmark = pytest.mark.engine

_FROZEN = re.compile(r"(\d+) objects of the start are left out of garbage collection")
_DEADLINE_S = 60


def test_the_start_is_left_out_of_garbage_collection_once(rehearsal):
    deadline = time.monotonic() + _DEADLINE_S
    while not (found := _FROZEN.findall(rehearsal.engine_log.read_text(errors="replace"))):
        assert time.monotonic() < deadline, "the server is ready and has not frozen anything"
        time.sleep(0.1)  # a server is ready a moment before
    assert [int(count) > 100_000 for count in found] == [True]


def test_nothing_is_refused_to_the_server_that_starts(rehearsal):
    start, *_ = rehearsal.engine_log.read_text(errors="replace").partition("The server is fired up")
    assert "401" not in start
    assert "Traceback" not in start

"""Two real servers on one machine; one is killed and comes back, the other does not notice."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.engine


def ask(result: dict) -> str:
    key = Path(result["api_key_file"]).read_text().strip()
    answer = httpx.post(
        f"{result['base_url']}/responses",
        json={"input": "hello"},
        headers={"Authorization": f"Bearer {key}"},
        trust_env=False,
        timeout=120,
    )
    return answer.json()["status"]


@pytest.fixture
def beside(rehearsal):
    """A second server on the machine of the one that all tests share."""
    yield rehearsal.machine.up("--name", "beside", "--restart")
    stopped = rehearsal.machine.sgcx("down", "beside", "--deadline", "10")
    assert stopped.returncode == 0, stopped.stderr


def test_of_two_servers_the_killed_one_comes_back_and_the_other_goes_on(rehearsal, beside):
    assert beside["base_url"] != rehearsal.result["base_url"]
    assert [ask(beside), ask(rehearsal.result)] == ["completed", "completed"]

    os.kill(beside["pid"], signal.SIGKILL)
    assert ask(rehearsal.result) == "completed"
    deadline = time.monotonic() + 240
    while (now := {server["name"]: server for server in rehearsal.machine.status()})["beside"]["restarts"] == 0 or (
        now["beside"]["state"] != "RUNNING"
    ):
        assert now["beside"]["state"] in ("RUNNING", "BACKOFF", "STARTING"), now["beside"]["exit_reason"]
        assert time.monotonic() < deadline
        time.sleep(2)
    assert now["beside"]["pid"] != beside["pid"]
    assert now["rehearsal"]["pid"] == rehearsal.result["pid"]
    assert [ask(beside), ask(rehearsal.result)] == ["completed", "completed"]

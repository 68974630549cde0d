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


def test_of_two_servers_the_killed_one_comes_back_and_the_other_goes_on(machine):
    one = machine.up("--name", "one", "--restart")
    two = machine.up("--name", "two")
    assert one["base_url"] != two["base_url"]
    assert [ask(one), ask(two)] == ["completed", "completed"]

    os.kill(one["pid"], signal.SIGKILL)
    assert ask(two) == "completed"
    deadline = time.monotonic() + 240
    while (now := {server["name"]: server for server in machine.status()})["one"]["restarts"] == 0 or (
        now["one"]["state"] != "RUNNING"
    ):
        assert now["one"]["state"] in ("RUNNING", "BACKOFF", "STARTING"), now["one"]["exit_reason"]
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert now["one"]["pid"] != one["pid"]
    assert now["two"]["pid"] == two["pid"]
    assert [ask(one), ask(two)] == ["completed", "completed"]

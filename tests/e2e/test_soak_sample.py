"""Half a minute of what `python -m soak` does for ten: many clients, some of them rude, and no wrong answer."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest
from soak.workload import run

pytestmark = pytest.mark.engine


def test_many_clients_get_right_answers_and_leave_nothing_running(rehearsal):
    async def crowd():
        headers = {"Authorization": f"Bearer {rehearsal.key}"}
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=rehearsal.result["base_url"], headers=headers, trust_env=False, timeout=None, limits=limits
        ) as client:
            return await run(client, streams=24, seconds=20, endpoints=("chat", "responses"), seed=1)

    tally = asyncio.run(crowd())
    assert tally.problems == []
    assert len(tally.done) > 5
    deadline = time.monotonic() + 30
    with rehearsal.client() as client:
        while any(load["num_total_reqs"] for load in client.get("/loads").json()["loads"]):
            assert time.monotonic() < deadline, "requests run on after their clients have gone"
            time.sleep(0.1)

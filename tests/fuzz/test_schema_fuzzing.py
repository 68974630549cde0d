"""Whatever clients send, the endpoint answers as the API does, and nothing of it is left.

`SGCX_FUZZ_REQUESTS` says how many requests are sent.
"""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest
from fuzz_steps import HttpStep, sessions
from fuzzed_endpoint import FuzzedEndpoint
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from playing_engine import PLAYS

from sgcx.store.async_store import AsyncStore

REQUESTS = int(os.environ.get("SGCX_FUZZ_REQUESTS", "240"))
STEPS = 4


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.timeout(300 + REQUESTS)
def test_no_request_breaks_the_endpoint(tmp_path):
    storage = AsyncStore(tmp_path / "responses.sqlite3", max_bytes=1 << 20)
    endpoint = FuzzedEndpoint(storage)

    # Making a failing session small can take minutes, and tells little more than the session as it was.
    @settings(max_examples=REQUESTS // STEPS, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(play=st.sampled_from(PLAYS), steps=sessions(STEPS))
    def fuzz(play, steps):
        asyncio.run(endpoint.session(play, steps))

    asyncio.run(storage.get_response("resp_0"))
    threads, files = threading.active_count(), open_files()
    fuzz()
    asyncio.run(storage.close())
    assert threading.active_count() <= threads
    assert open_files() <= files


@pytest.mark.parametrize("kind", ["array", "object", "namespace", "schema"])
@pytest.mark.parametrize("levels", [100, 300, 1000])
@pytest.mark.parametrize("field", ["metadata", "tools", "text", "tool_choice", "input", "reasoning"])
def test_depth_is_refused_and_never_a_failure(field, kind, levels):
    body = {"input": "hi", field: {"a": f"@deep {kind} {levels}"}}
    listed = {"input": [{"type": "tool_search_call", "arguments": f"@deep {kind} {levels}"}]}
    steps = [HttpStep("POST", "/v1/responses", sent) for sent in (body, listed)]
    asyncio.run(FuzzedEndpoint(None).session("text", steps))

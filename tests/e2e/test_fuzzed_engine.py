"""Requests out of the whole schema, some of them spoiled, on the real engine: it answers, and nothing runs on.

`SGCX_FUZZ_ENGINE_REQUESTS` says how many.
"""

from __future__ import annotations

import os
import time

import httpx
import pytest
from fuzz_steps import encoded, spoiled
from hypothesis import HealthCheck, Phase, given, settings
from request_schema import BODY

pytestmark = pytest.mark.engine

REQUESTS = int(os.environ.get("SGCX_FUZZ_ENGINE_REQUESTS", "40"))
DEADLINE_S = 60
UNUSABLE = "The model"
"""How the messages begin that blame the model: it is no fault of the server's when a script does not follow rules."""


def running(client):
    loads = client.get(client.base_url.copy_with(path="/v1/loads")).json()["loads"]
    return sum(load["num_running_reqs"] + load["num_waiting_reqs"] for load in loads)


@pytest.mark.timeout(300 + 5 * REQUESTS)
def test_no_request_breaks_the_engine_or_stays_in_it(rehearsal):
    with rehearsal.client() as client:

        @settings(max_examples=REQUESTS, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
        @given(spoiled(BODY.map(lambda body: {"max_output_tokens": 64, **body})))
        def fuzz(body):
            check(client, encoded(body), streamed=body.get("stream") is True)

        fuzz()
        ends = time.monotonic() + DEADLINE_S
        while running(client):
            assert time.monotonic() < ends, "requests are left in the engine"


def check(client, body, *, streamed):
    try:
        answer = client.post("/responses", content=body, headers={"Content-Type": "application/json"})
    except httpx.TimeoutException:
        pytest.fail(f"no end of an answer to {body[:2000]}")
    if answer.status_code == 200 and streamed:
        assert answer.text.endswith("data: [DONE]\n\n"), body
        return
    error = answer.json().get("error")
    assert answer.status_code in (200, 400, 404) or error["message"].startswith(UNUSABLE), (answer.text, body)

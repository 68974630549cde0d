"""The patches at work in a running server, and what it does without two of them."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import httpx
import psutil
import pytest

pytestmark = pytest.mark.engine

MESSAGE = {"role": "user", "content": "count to 400"}
TOO_LONG = {"role": "user", "content": "word " * 140_000}
_DEADLINE_S = 60


def client_for(result) -> httpx.Client:
    key = Path(result["api_key_file"]).read_text().strip()
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.Client(base_url=result["base_url"], headers=headers, trust_env=False, timeout=_DEADLINE_S)


def chat(message, **fields):
    return {"model": "rehearsal", "messages": [message], **fields}


def events(lines):
    """The events of the stream that are still to come."""
    return [line.removeprefix("data: ") for line in lines if line]


def drain_reports(result) -> list[str]:
    lines = Path(result["log"]).read_text(errors="replace").splitlines()
    return [line.partition("Remaining number of requests ")[2] for line in lines if "Gracefully exiting" in line]


def test_a_drain_forgets_refused_requests_refuses_new_ones_and_ends_at_its_deadline(machine):
    machine.environment["SGLANG_DRAIN_DEADLINE"] = "2"
    result = machine.up()
    server = psutil.Process(result["pid"])
    with client_for(result) as client:
        for stream in (False, True):
            refused = client.post("/chat/completions", json=chat(TOO_LONG, stream=stream))
            assert (refused.status_code, refused.json()["code"]) == (400, 400)
        with client.stream("POST", "/chat/completions", json=chat(MESSAGE, stream=True)) as left:
            next(left.iter_lines())
        with client.stream("POST", "/chat/completions", json=chat(MESSAGE, stream=True)) as running:
            lines = running.iter_lines()
            next(lines)
            os.kill(server.pid, signal.SIGTERM)
            status = 200
            while status == 200:  # the signal is on its way
                status = client.post("/chat/completions", json=chat({"role": "user", "content": "hi"})).status_code
            assert status == 503
            *_, last, done = events(lines)
    assert json.loads(last)["choices"][0]["finish_reason"] == "abort"
    assert done == "[DONE]"
    server.wait(_DEADLINE_S)
    assert drain_reports(result)[-1].startswith("0."), "the refused, the left and the aborted request are forgotten"


def test_without_these_patches_a_refused_request_keeps_the_server_for_ever(machine):
    machine.environment["SGLANG_DRAIN_DEADLINE"] = "0"
    result = machine.up("--without-patch", "request-state", "--without-patch", "drain-deadline")
    with client_for(result) as client:
        assert client.post("/chat/completions", json=chat(TOO_LONG)).status_code == 400
    os.kill(result["pid"], signal.SIGTERM)
    deadline = time.monotonic() + _DEADLINE_S
    while len(drain_reports(result)) < 2:
        assert time.monotonic() < deadline, "it does not drain at all"
        time.sleep(0.1)
    assert all(report.startswith("1.") for report in drain_reports(result)), "nothing runs, and yet one remains"


def test_the_mount_point_cannot_be_left_out(machine):
    refused = machine.sgcx("up", "rehearsal", "--port", "0", "--without-patch", "mount-point")
    assert refused.returncode == 2
    assert "'mount-point' cannot be left out" in refused.stderr
    unknown = machine.sgcx("up", "rehearsal", "--port", "0", "--without-patch", "moustache")
    assert unknown.returncode == 2
    assert "no patch 'moustache'" in unknown.stderr

"""The patches at work in a running server, and what the same SGLang does without them."""

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


def test_a_drain_forgets_refused_requests_refuses_new_ones_and_ends_at_its_deadline(battered):
    result = battered.up()
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


def statuses(servers, body):
    answers = []
    for server in servers:
        with client_for(server) as client:
            answers.append(client.post("/chat/completions", json=body).status_code)
    return answers


def test_a_past_call_with_bad_arguments_ends_no_conversation(rehearsal, published):
    call = {"id": "functions.shell:0", "type": "function", "function": {"name": "shell", "arguments": '{"cmd": "ls'}}
    history = [
        {"role": "user", "content": "list the files"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": "bad arguments"},
        {"role": "user", "content": "hello"},
    ]
    assert statuses((rehearsal.result, published), {"model": "rehearsal", "messages": history}) == [200, 400]


def test_the_efforts_of_todays_clients_are_accepted(rehearsal, published):
    body = chat({"role": "user", "content": "hello"}, reasoning_effort="xhigh")
    assert statuses((rehearsal.result, published), body) == [200, 400]


def test_the_key_is_not_in_what_the_server_tells_of_itself(rehearsal, published):
    shown = []
    for server in (rehearsal.result, published):
        with client_for(server) as client:
            told = client.get(client.base_url.copy_with(path="/server_info")).raise_for_status().text
        shown.append(Path(server["api_key_file"]).read_text().strip() in told)
    assert shown == [False, True]


def test_the_mount_point_cannot_be_left_out(machine):
    refused = machine.sgcx("up", "rehearsal", "--port", "0", "--without-patch", "mount-point")
    assert refused.returncode == 2
    assert "'mount-point' cannot be left out" in refused.stderr
    unknown = machine.sgcx("up", "rehearsal", "--port", "0", "--without-patch", "moustache")
    assert unknown.returncode == 2
    assert "no patch 'moustache'" in unknown.stderr


def test_without_patches_a_refused_request_keeps_the_server_for_ever(published):
    with client_for(published) as client:
        assert client.post("/chat/completions", json=chat(TOO_LONG)).status_code == 400
    os.kill(published["pid"], signal.SIGTERM)
    deadline = time.monotonic() + _DEADLINE_S
    while len(drain_reports(published)) < 2:
        assert time.monotonic() < deadline, "it does not drain at all"
        time.sleep(0.1)
    assert all(report.startswith("1.") for report in drain_reports(published)), "nothing runs, and yet one remains"

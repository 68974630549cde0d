"""What the user of the real Codex reads when the real endpoint refuses or breaks off, and how often it asks again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from itertools import pairwise, takewhile

import pytest
from chat_upstream import DONE, chunk, nobody_there, played, usage
from codex_sessions import CodexRunner, wait_for

pytestmark = [pytest.mark.engine, pytest.mark.codex]

FULL = "Codex ran out of room in the model's context window. Start a new thread or clear earlier history"


@pytest.fixture
def codex(rehearsal, tmp_path):
    return CodexRunner(rehearsal, tmp_path)


def test_a_wrong_key_is_named_after_some_retries(codex):
    session = codex("-c", 'model_providers.sgcx.experimental_bearer_token="wrong"', "hello")
    assert "401 Unauthorized: Missing or wrong API key" in session.failure
    assert "request id: req_" in session.failure
    assert len(session.reconnects) == 5


def test_an_unknown_model_and_a_malformed_request_are_explained_at_once(codex, tmp_path):
    other = codex("-m", "other", "hello")
    assert other.failure == "The model 'other' is not served here; use 'rehearsal'"
    schema = tmp_path / "list.json"
    schema.write_text("[1]")
    malformed = codex("--output-schema", str(schema), "hello")
    assert malformed.failure == "`text.format.schema` must be an object, not an array"
    assert not other.reconnects + malformed.reconnects


def test_a_model_that_says_nothing_is_asked_again_and_then_reported(codex):
    session = codex("-c", "model_providers.sgcx.stream_max_retries=1", "think, but say nothing")
    assert session.failure.startswith("stream disconnected before completion: ")
    assert len(session.reconnects) == 1


def test_a_server_without_room_is_asked_again_and_then_named(codex, rehearsal):
    with nobody_there() as nobody, gateway_before(nobody, rehearsal.machine) as url:
        limits = ("-c", "model_providers.sgcx.request_max_retries=1", "-c", "model_providers.sgcx.stream_max_retries=1")
        session = codex("-c", f'model_providers.sgcx.base_url="{url}"', *limits, "hello")
    assert "503 Service Unavailable: " in session.failure
    assert len(session.reconnects) == 1


def test_an_engine_that_wants_a_pause_is_asked_again_when_it_is_over(codex, rehearsal):
    full = {"error": {"code": 429, "message": "full"}}
    before_the_stream = (429, full, {"Retry-After": "1"})
    in_the_stream = (chunk(reasoning_content="hm"), 0.1, full)
    answered = (chunk(content="Hello"), chunk("stop"), usage(9, 4), DONE)
    with (
        played([before_the_stream, in_the_stream, answered], model="rehearsal") as upstream,
        gateway_before(upstream.url, rehearsal.machine) as url,
    ):
        session = codex("-c", f'model_providers.sgcx.base_url="{url}"', "hello")
    assert session.exit_code == 0
    assert session.answer == "Hello"
    first_pause_s, second_pause_s = (later - earlier for earlier, later in pairwise(upstream.times))
    assert first_pause_s >= 1, "Codex by itself is back after a fifth of a second"
    assert second_pause_s >= 2
    assert len(session.reconnects) == 1, "only a stream that has begun is one that users hear of"


@contextmanager
def gateway_before(upstream, machine):
    """Before an engine that is not up yet, it says what it says of a full one: 503, and when to come back."""
    options = ("--upstream", upstream, "--model", "rehearsal", "--context", "4096", "--port", "0", "--json")
    command = [sys.executable, "-m", "sgcx", "gateway", *options]
    process = subprocess.Popen(command, env=machine.environment, stdout=subprocess.PIPE, text=True)
    try:
        yield json.loads("".join(takewhile(lambda line: line != "}\n", process.stdout)) + "}")["base_url"]
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.mark.thorough
def test_a_full_context_is_reported_as_such_before_and_while_answering(small_rehearsal, tmp_path):
    codex = CodexRunner(small_rehearsal, tmp_path)
    before = codex("read " + "word " * 2000)
    while_answering = codex("write 3000 words")
    for session in (before, while_answering):
        assert session.failure.startswith(FULL)
        assert not session.reconnects
    assert "scripted" in codex.completed("resume", "--last", "hello").answer, "Codex compacts before the next turn"


@pytest.mark.thorough
def test_a_server_that_dies_is_waited_for_and_then_reported(small_rehearsal, tmp_path):
    codex = CodexRunner(small_rehearsal, tmp_path)
    offset = small_rehearsal.log.stat().st_size
    process = codex.popen("count to 900")
    wait_for(lambda: "rule count" in small_rehearsal.log_since(offset))
    os.kill(small_rehearsal.result["pid"], signal.SIGKILL)
    session = codex.finish(process, offset)
    assert session.failure.startswith("Connection failed")
    assert len(session.reconnects) == 5

"""Killed at any stage, by real signals: what is said is true, and the next `up` succeeds."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest
from installed import ENGINE, search_path

pytestmark = pytest.mark.engine

LONG_ANSWER = {"input": "count to 400", "stream": True}


def wait_for(condition, deadline_s=120):
    deadline = time.monotonic() + deadline_s
    while (found := condition()) is None or found is False:
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.05)
    return found


def client_for(result):
    key = Path(result["api_key_file"]).read_text().strip()
    return httpx.Client(
        base_url=result["base_url"], headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=60
    )


def kill_up_when(machine, seen):
    """Starts `sgcx up`, waits until a line of its stderr satisfies `seen`, and SIGKILLs it."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "sgcx", "up", "rehearsal", "--port", "0"],
        env=machine.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if seen(line):
            break
    else:
        raise AssertionError("`up` ended before the stage was reached")
    process.kill()
    process.wait(20)
    process.stderr.close()


def engine_processes(machine):
    """Processes that run in this machine's server directory."""
    marker = str(machine.home)
    found = []
    for process in psutil.process_iter(["pid"]):
        try:
            if process.environ().get("SGCX_SERVER_DIR", "").startswith(marker):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def check_up_after_a_killed_up(machine, stage):
    machine.down_all()
    kill_up_when(machine, lambda line: stage in line)
    result = machine.up()
    with client_for(result) as client:
        assert client.post("/responses", json={"input": "hello"}).json()["status"] == "completed"
    assert [server["state"] for server in machine.status()] == ["RUNNING"]
    second = machine.up()
    assert second["already_running"]
    assert second["pid"] == result["pid"]


def test_up_succeeds_after_one_that_was_killed_while_it_made_the_checkpoint(battered):
    battered.down_all()
    shutil.rmtree(battered.home / "data" / "models", ignore_errors=True)
    check_up_after_a_killed_up(battered, "Making the rehearsal checkpoint")


def test_a_server_that_is_killed_while_streaming_ends_the_stream_and_is_reported(battered):
    result = battered.up()
    with client_for(result) as client:
        with (
            pytest.raises(httpx.TransportError),
            client.stream("POST", "/responses", json=LONG_ANSWER) as response,
        ):
            received = b""
            for chunk in response.iter_bytes():
                received += chunk
                if b"output_text.delta" in received:
                    os.kill(result["pid"], signal.SIGKILL)
        assert b"[DONE]" not in received
        assert b"response.completed" not in received
    [server] = battered.status()
    assert server["state"] == "EXITED"
    assert not server["healthy"]
    assert server["exit_reason"]
    wait_for(lambda: not engine_processes(battered), 30)
    assert battered.up()["pid"] != result["pid"]


def test_a_scheduler_that_dies_takes_the_server_down_and_is_reported(battered):
    result = battered.up()
    scheduler = next(
        child for child in psutil.Process(result["pid"]).children(recursive=True) if "scheduler" in child.name()
    )
    with (
        client_for(result) as client,
        pytest.raises(httpx.TransportError),
        client.stream("POST", "/responses", json=LONG_ANSWER) as response,
    ):
        for chunk in response.iter_bytes():
            if b"delta" in chunk:
                scheduler.kill()
    wait_for(lambda: battered.status()[0]["state"] == "EXITED", 60)
    assert "scheduler_0 was ended by SIGKILL" in battered.status()[0]["exit_reason"]


def test_up_succeeds_after_one_that_was_killed_while_the_engine_starts(battered):
    check_up_after_a_killed_up(battered, "Starting the engine")


@pytest.mark.codex
def test_codex_ends_its_turn_with_an_error_when_the_server_is_killed(battered, codex_binary, tmp_path):
    result = battered.up()
    assert battered.sgcx("codex-config", "--yes").returncode == 0
    path = os.pathsep.join([str(codex_binary.parent), search_path()])
    log = Path(result["log"])
    codex = subprocess.Popen(
        [sys.executable, "-m", "sgcx", "codex", "exec", "--json", "--skip-git-repo-check", "count to 400"],
        env={**battered.environment, "PATH": path},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    wait_for(lambda: "POST /v1/responses" in log.read_text(errors="replace"))
    os.kill(result["pid"], signal.SIGKILL)
    output, _ = codex.communicate(timeout=120)
    events = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    assert codex.returncode == 1
    assert events[-1]["type"] == "turn.failed"


def test_up_succeeds_after_one_that_was_killed_while_the_weights_load(battered):
    check_up_after_a_killed_up(battered, "Loading the weights")


def test_down_while_answering_leaves_no_process_and_no_port(battered):
    result = battered.up()
    port = int(result["base_url"].split(":")[2].split("/")[0])
    with client_for(result) as client:
        with client.stream("POST", "/responses", json=LONG_ANSWER) as response:
            chunks = response.iter_bytes()
            next(chunks)
            done = battered.sgcx("down", "--deadline", "3", "--json")
        assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outcome"] in ("graceful", "killed")
    assert not engine_processes(battered)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False)
    assert [server["state"] for server in battered.status()] == ["STOPPED"]


def test_in_the_foreground_a_script_of_the_users_own_is_followed_until_sigterm_stops_the_server(battered, tmp_path):
    battered.down_all()
    script = tmp_path / "rules.toml"
    script.write_text("[[rule]]\nname = 'any'\nmatch = '.'\n[[rule.step]]\nreasoning = 'r'\ntext = 'my own words'\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "sgcx", "up", "rehearsal", "--port", "0", "--foreground", "--script", str(script)],
        env=battered.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    for line in process.stdout:
        if line.startswith("Next"):
            break
    wait_for(lambda: process.poll() is None and battered.status()[0]["state"] == "RUNNING")
    with client_for(battered.up()) as client:
        answer = client.post("/responses", json={"input": "hello"}).json()
    assert answer["output"][-1]["content"][0]["text"] == "my own words"
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert not engine_processes(battered)
    assert [server["state"] for server in battered.status()] == ["STOPPED"]


def test_up_succeeds_after_one_that_was_killed_while_the_engine_warms_up(battered):
    check_up_after_a_killed_up(battered, "Warming up")


def test_a_malformed_script_is_refused(machine, tmp_path):
    script = tmp_path / "rules.toml"
    script.write_text("[[rule]]\nname = 'any'\n")
    refused = machine.sgcx("up", "rehearsal", "--port", "0", "--script", str(script))
    assert refused.returncode == 2
    assert "rules.toml" in refused.stderr


def test_leaving_a_stream_frees_the_engine(rehearsal):
    with rehearsal.client() as client:
        with client.stream("POST", "/responses", json=LONG_ANSWER) as response:
            next(response.iter_bytes())
        wait_for(lambda: running_requests(rehearsal) == 0, 30)


def running_requests(rehearsal):
    root = rehearsal.result["base_url"].removesuffix("/v1")
    headers = {"Authorization": f"Bearer {rehearsal.key}"}
    loads = httpx.get(f"{root}/v1/loads", headers=headers, trust_env=False, timeout=30).json()
    return sum(load["num_running_reqs"] + load["num_waiting_reqs"] for load in loads["loads"])


def test_too_much_input_is_refused_with_the_code_that_makes_clients_compact(rehearsal):
    huge = "word " * 140_000
    with rehearsal.client() as client:
        for stream in (True, False):
            refused = client.post("/responses", json={"input": huge, "stream": stream})
            assert refused.status_code == 400
            assert refused.json()["error"]["code"] == "context_length_exceeded"


def test_a_schema_is_enforced_while_decoding(rehearsal):
    schema = {"type": "object", "properties": {"title": {"type": "string", "maxLength": 5}}, "required": ["title"]}
    text = {"format": {"type": "json_schema", "name": "t", "schema": {**schema, "additionalProperties": False}}}
    with rehearsal.client() as client:
        body = {"input": "hello", "text": text, "reasoning": {"effort": "none"}, "max_output_tokens": 60}
        answer = client.post("/responses", json=body).json()
    assert answer["output"][0]["content"][0]["text"].lstrip().startswith("{")


def test_a_taken_port_is_named_with_its_owner(machine):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = machine.sgcx("up", "rehearsal", "--port", str(port))
    assert done.returncode == 2
    assert str(os.getpid()) in done.stderr
    assert "--port" in done.stderr


def test_the_key_is_in_no_log_argument_or_status(rehearsal):
    assert len(rehearsal.key) > 30
    assert rehearsal.key not in rehearsal.log.read_text(errors="replace")
    assert rehearsal.key not in json.dumps(rehearsal.machine.status())
    tree = [psutil.Process(rehearsal.result["pid"])]
    tree += tree[0].children(recursive=True)
    for process in tree:
        assert rehearsal.key not in " ".join(process.cmdline())
    key_file = Path(rehearsal.result["api_key_file"])
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert ENGINE in json.dumps(rehearsal.machine.status())

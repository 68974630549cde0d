"""An SGLang that cannot hold the endpoint: `sgcx up` serves all the same, through the gateway."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import psutil
import pytest

pytestmark = pytest.mark.engine


def check_told(machine, reason):
    """What `sgcx up`, `status` and `doctor` say of it to the user."""
    machine.environment["COLUMNS"] = "400"
    assert f"{reason}. The gateway serves it, in front of SGLang" in machine.sgcx("up", "rehearsal").stderr
    assert f"through the gateway: {reason}" in machine.sgcx("status").stdout
    [check] = [
        each for each in json.loads(machine.sgcx("doctor", "--json").stdout)["checks"] if each["title"] == "rehearsal"
    ]
    assert check["status"] == "warn"
    assert f"through the gateway: {reason}" in check["found"]


def test_the_gateway_serves_in_front_of_an_sglang_that_cannot_hold_the_endpoint(machine):
    # It takes Python's server away in releases that have another one; 0.5.10.post1 has none and serves as ever.
    machine.environment["SGLANG_RUST_SERVER"] = "1"
    result = machine.up()
    log = Path(result["log"]).read_text()
    assert "cannot hold the Responses endpoint: it lacks Python's HTTP server" in log
    assert "The gateway serves it, in front of SGLang" in log
    assert "it lacks Python's HTTP server" in result["gateway_reason"]
    check_told(machine, result["gateway_reason"])
    key = Path(result["api_key_file"]).read_text().strip()
    body = {"model": "rehearsal", "input": "Write 50 words", "store": False}
    with httpx.Client(base_url=result["base_url"], trust_env=False, timeout=60) as client:
        assert client.post("/responses", json=body).status_code == 401
        answer = client.post("/responses", json=body, headers={"Authorization": f"Bearer {key}"}).json()
    assert answer["output"][-1]["content"][0]["text"].split() == ["word"] * 50
    assert answer["usage"]["output_tokens"] > 50

    server = psutil.Process(result["pid"])
    processes = [server, *server.children(recursive=True)]
    assert len(processes) > 2
    server.terminate()
    _, alive = psutil.wait_procs(processes, timeout=60)
    assert not alive, "whoever stops the gateway stops SGLang"

"""A running rehearsal server and a configured Codex, both real, both through the product's own commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import takewhile
from pathlib import Path

import pytest
from installed import ENDPOINT, search_path
from rehearsals import Machine, Rehearsal, make_machine
from unpatched import WITHOUT_PATCHES


@pytest.fixture
def machine(tmp_path, engine_data):
    made = make_machine(tmp_path / "machine", engine_data)
    yield made
    made.down_all()


@pytest.fixture(scope="session")
def battered(tmp_path_factory, engine_data):
    """The machine of the tests that stop and kill its server: `up` starts it where it does not run.

    A start takes half a minute, so a test uses what the last one left, and none expects anything of it.
    """
    made = make_machine(tmp_path_factory.mktemp("battered") / "machine", None, SGLANG_DRAIN_DEADLINE="2")
    (made.home / "data").mkdir()
    (made.home / "data" / "engines").symlink_to(engine_data / "engines")
    yield made
    made.down_all()


@pytest.fixture(scope="session")
def unpatched(tmp_path_factory, engine_data):
    made = make_machine(tmp_path_factory.mktemp("unpatched") / "machine", engine_data, SGLANG_DRAIN_DEADLINE="0")
    yield made
    made.down_all()


@pytest.fixture
def published(unpatched):
    """A running server without the patches."""
    return unpatched.up(*WITHOUT_PATCHES)


@contextmanager
def gateway_before(machine: Machine, server: dict) -> Iterator[dict]:
    """`sgcx gateway` in front of the server's `/v1/chat/completions`: what `up` printed, with the gateway's address."""
    log = machine.home / "gateway.log"
    upstream = ("--upstream", server["base_url"], "--upstream-key-file", server["api_key_file"])
    command = [sys.executable, "-m", "sgcx", "gateway", *upstream, "--port", "0", "--json"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=machine.environment, stdout=subprocess.PIPE, stderr=out, text=True)
    try:
        document = "".join(takewhile(lambda line: line != "}\n", process.stdout)) + "}"
        yield {**server, **json.loads(document), "log": str(log)}
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture(scope="session")
def rehearsal(tmp_path_factory, engine_data, codex_binary):
    path = os.pathsep.join([str(codex_binary.parent), search_path()])
    machine = make_machine(tmp_path_factory.mktemp("rehearsal") / "machine", engine_data, PATH=path)
    server = machine.up()
    through = gateway_before(machine, server) if ENDPOINT == "gateway" else nullcontext(server)
    with through as result:
        url = ("--url", result["base_url"]) if ENDPOINT == "gateway" else ()
        configured = machine.sgcx("codex-config", "--yes", *url)
        assert configured.returncode == 0, configured.stderr
        yield Rehearsal(machine, result, Path(result["api_key_file"]).read_text().strip())
    machine.down_all()


@pytest.fixture
def small_rehearsal(tmp_path, engine_data, codex_binary):
    """A server of its own, with little context."""
    path = os.pathsep.join([str(codex_binary.parent), search_path()])
    machine = make_machine(tmp_path / "machine", engine_data, PATH=path)
    result = machine.up("--context", "4096")
    configured = machine.sgcx("codex-config", "--yes")
    assert configured.returncode == 0, configured.stderr
    yield Rehearsal(machine, result, Path(result["api_key_file"]).read_text().strip())
    machine.down_all()

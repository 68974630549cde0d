"""What `status` finds is written down only where nobody knew better meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sgcx.environments.engine_specs import list_specs
from sgcx.errors import LaunchFailed
from sgcx.paths import Paths
from sgcx.server.records import (
    ServerRecord,
    ServerState,
    announce_gateway,
    load_record,
    save_record,
    server_names,
)
from sgcx.server.supervisor import spawn, stop
from sgcx.workflows import provision, servers
from sgcx.workflows.servers import Answer, find_view


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(data=tmp_path / "data", state=tmp_path / "state", config=tmp_path / "config")


@pytest.fixture
def starting(paths: Paths) -> Iterator[ServerRecord]:
    child = spawn(
        [sys.executable, "-c", "import signal; signal.pause()"],
        server_dir=paths.servers / "one",
        environment=dict(os.environ),
        cwd=paths.servers.parent.parent,
    )
    record = ServerRecord(
        name="one",
        profile="rehearsal",
        served_model_name="rehearsal",
        state=ServerState.STARTING,
        pid=child.identity.pid,
        pid_create_time=child.identity.create_time,
        boot_id=child.identity.boot_id,
        host="127.0.0.1",
        port=1,
        base_url="http://127.0.0.1:1/v1",
        engine="sglang-0.5.10.post1-cpu",
        sglang_version="0.5.10.post1",
        started_at=0.0,
        log_path=str(child.log_path),
    )
    save_record(paths.servers, record)
    yield record
    stop(child, deadline_s=0)
    assert child.process is not None
    child.process.wait(timeout=10)


def test_a_server_that_became_ready_unwatched_is_recorded_with_the_time(
    paths: Paths, starting: ServerRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "ask_health", lambda _: Answer.READY)
    announce_gateway(paths.servers / "one", "SGLang lacks something")
    found = find_view(paths, "one")
    assert found is not None
    assert (found.record.state, found.healthy) == (ServerState.RUNNING, True)
    assert found.record.gateway_reason == "SGLang lacks something"
    assert found.record.ready_at is not None
    assert load_record(paths.servers, "one").record == found.record


def test_what_up_or_down_wrote_during_the_look_stays(
    paths: Paths, starting: ServerRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping = replace(starting, state=ServerState.STOPPING)

    def answer_while_down_begins(_: str) -> Answer:
        save_record(paths.servers, stopping)
        return Answer.READY

    monkeypatch.setattr(servers, "ask_health", answer_while_down_begins)
    found = find_view(paths, "one")
    assert found is not None and found.record == stopping
    assert load_record(paths.servers, "one").record == stopping


def test_a_server_that_ended_while_stopping_was_stopped(paths: Paths, starting: ServerRecord) -> None:
    save_record(paths.servers, replace(starting, state=ServerState.STOPPING, boot_id="another boot", pid=2**22 + 1))
    os.kill(starting.pid, 9)
    os.waitid(os.P_PID, starting.pid, os.WEXITED | os.WNOWAIT)
    found = find_view(paths, "one")
    assert found is not None and found.record.state is ServerState.STOPPED


def test_only_directories_with_a_servers_name_are_servers(tmp_path: Path) -> None:
    for name in ("one", ".hidden", "with space", "two.2"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").touch()
    assert server_names(tmp_path) == ("one", "two.2")


def test_a_checkpoint_that_takes_too_long_is_a_failed_launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_slow(command: list[str], *, timeout: float, **_: object) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", too_slow)
    runtime = provision.EngineRuntime(list_specs()[0], Path(sys.executable), {})
    with pytest.raises(LaunchFailed, match="was not made within 600 s"):
        provision.provision_rehearsal(runtime, tmp_path)

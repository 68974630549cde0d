"""`sgcx up --restart`, `restart`, `ps`: real processes, really killed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sgcx.server.locks import supervisor_of

Until = Callable[[Callable[[], bool]], None]


def record_of(box, name: str = "rehearsal") -> dict[str, Any]:
    return dict(json.loads((box.servers / name / "record.json").read_text()))


def test_a_killed_server_is_started_again_and_down_ends_it_and_its_supervisor(box, until: Until) -> None:
    first = box.up("--restart")
    supervisor = supervisor_of(box.servers / "rehearsal")
    assert supervisor is not None
    os.kill(int(str(first["pid"])), signal.SIGKILL)
    until(lambda: record_of(box)["restarts"] == 1 and record_of(box)["state"] == "RUNNING")
    [now] = box.status()
    assert now["healthy"]
    assert now["supervised"]
    assert now["pid"] != first["pid"]
    assert now["base_url"] == first["base_url"]
    assert "restarted 1 time" in box.sgcx("ps")[1]

    assert box.sgcx("down")[0] == 0
    until(lambda: not supervisor.is_alive())
    assert box.pids() == ()
    assert record_of(box)["state"] == "STOPPED"
    assert box.sgcx("ps") == (0, "No server runs\n")


def test_a_server_that_ends_again_and_again_is_given_up_with_the_reason(box, until: Until) -> None:
    pid = int(str(box.up("--restart")["pid"]))
    supervisor = supervisor_of(box.servers / "rehearsal")
    (box.servers / "rehearsal" / "crash").write_text("OSError: [Errno 28] No space left on device")
    os.kill(pid, signal.SIGKILL)
    until(lambda: record_of(box)["state"] == "FATAL" and not supervisor.is_alive())
    [now] = box.status()
    assert now["state"] == "FATAL"
    assert now["exit_reason"] == "given up after 3 restarts; the last time the disk is full"
    assert box.pids() == ()
    log = (box.servers / "rehearsal" / "supervisor.log").read_text()
    assert "restart 3 in" in log


def test_down_while_it_waits_for_its_restart_ends_it(box, until: Until) -> None:
    box.environment["BACKOFF_S"] = "3600"
    pid = int(str(box.up("--restart")["pid"]))
    supervisor = supervisor_of(box.servers / "rehearsal")
    os.kill(pid, signal.SIGKILL)
    until(lambda: record_of(box)["state"] == "BACKOFF")
    [now] = box.status()
    assert now["state"] == "BACKOFF"
    assert now["restart_at"] > now["started_at"] + 3000
    assert "starts again in" in box.sgcx("ps")[1]
    assert box.sgcx("down")[0] == 0
    until(lambda: not supervisor.is_alive())
    assert [server["state"] for server in box.status()] == ["STOPPED"]


def test_a_supervisor_that_was_killed_leaves_no_promise_of_a_restart(box, until: Until) -> None:
    box.environment["BACKOFF_S"] = "3600"
    pid = int(str(box.up("--restart")["pid"]))
    supervisor = supervisor_of(box.servers / "rehearsal")
    os.kill(pid, signal.SIGKILL)
    until(lambda: record_of(box)["state"] == "BACKOFF")
    supervisor.send(signal.SIGKILL)
    until(lambda: not supervisor.is_alive())
    assert [(server["state"], server["supervised"]) for server in box.status()] == [("EXITED", False)]


def test_up_does_not_wait_for_the_restart(box, until: Until) -> None:
    box.environment["BACKOFF_S"] = "3600"
    pid = int(str(box.up("--restart")["pid"]))
    os.kill(pid, signal.SIGKILL)
    until(lambda: record_of(box)["state"] == "BACKOFF")
    assert box.up()["pid"] != pid
    assert [(server["state"], server["supervised"]) for server in box.status()] == [("RUNNING", False)]


def test_restart_keeps_port_and_supervisor_and_takes_a_new_process(box) -> None:
    first = box.up("--restart", "--no-auth")
    code, said = box.sgcx("restart", "--json")
    assert code == 0, said
    [now] = box.status()
    assert now["pid"] != first["pid"]
    assert (now["base_url"], now["healthy"], now["supervised"]) == (first["base_url"], True, True)
    assert box.up()["api_key_file"] is None


def test_a_server_whose_start_is_not_known_is_not_stopped_by_restart(box) -> None:
    pid = box.up()["pid"]
    (box.servers / "rehearsal" / "launch.json").write_text("{}")
    code, said = box.sgcx("restart")
    assert code == 2
    assert "launch.json cannot be used" in said
    assert pid in box.pids()


def test_in_the_foreground_it_is_restarted_and_sigterm_ends_everything(box, until: Until) -> None:
    process = box.start("up", "rehearsal", "--port", "0", "--foreground", "--restart")
    record = Path(box.record)
    until(lambda: record.exists() and record_of(box)["state"] == "RUNNING")
    until(lambda: supervisor_of(box.servers / "rehearsal") is not None)
    os.kill(record_of(box)["pid"], signal.SIGKILL)
    until(lambda: record_of(box)["restarts"] == 1 and record_of(box)["state"] == "RUNNING")
    process.terminate()
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert box.pids() == ()
    assert record_of(box)["state"] == "STOPPED"

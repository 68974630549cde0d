"""On a disk that takes no more, servers are still shown, stopped and started again; what cannot be done is said."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from sgcx.errors import machine_error
from sgcx.server.locks import supervisor_of

Until = Callable[[Callable[[], bool]], None]

_FULL_DISK = """
from sgcx.server import launch_recipe, records
write = records.write_atomically
def write_unless_full(path, data, **options):
    if (engine.parent / "full").exists():
        raise OSError(28, "No space left on device", str(path))
    write(path, data, **options)
records.write_atomically = launch_recipe.write_atomically = write_unless_full
"""


@pytest.fixture
def full(box) -> Path:
    """Make this file, and the disk is full."""
    return Path(box.home) / "full"


def test_down_stops_a_server(box, full: Path) -> None:
    box.up()
    full.touch()
    code, said = box.sgcx("down", change=_FULL_DISK)
    assert code == 0, said
    assert box.pids() == ()


def test_a_server_that_was_killed_is_shown_as_that(box, full: Path) -> None:
    pid = int(str(box.up()["pid"]))
    os.kill(pid, signal.SIGKILL)
    full.touch()
    code, said = box.sgcx("status", "--json", change=_FULL_DISK)
    assert code == 0, said
    assert [server["state"] for server in json.loads(said)] == ["EXITED"]


def test_a_server_that_ends_is_started_again_once_there_is_space(box, full: Path, until: Until) -> None:
    box.environment["BACKOFF_S"] = "0.5"
    _, said = box.sgcx("up", "rehearsal", "--port", "0", "--restart", "--json", change=_FULL_DISK)
    pid = int(json.loads(said[: said.rindex("}") + 1])["pid"])
    log = box.servers / "rehearsal" / "supervisor.log"
    full.touch()
    os.kill(pid, signal.SIGKILL)
    until(lambda: "restart 2 in" in log.read_text())
    assert "No space left on device" in log.read_text()
    full.unlink()
    until(lambda: (now := json.loads(box.record.read_text()))["state"] == "RUNNING" and now["restarts"] == 2)
    assert supervisor_of(box.servers / "rehearsal") is not None


def test_a_restart_that_could_not_start_it_stops_nothing(box, full: Path) -> None:
    pid = box.up()["pid"]
    full.touch()
    code, said = box.sgcx("restart", change=_FULL_DISK)
    assert code == 2, said
    assert "launch.json: No space left on device" in said
    assert pid in box.pids()


def test_an_error_that_is_not_the_machines_is_none_of_its() -> None:
    assert machine_error(FileNotFoundError(2, "No such file or directory", "record.json")) is None


@pytest.mark.parametrize("home", ["~nobody-of-that-name/sgcx", "{file}", "{file}" + "/long" * 1000])
def test_a_home_that_cannot_be_is_said(box, home: str) -> None:
    file = box.home / "engine"
    box.environment["SGCX_HOME"] = home.format(file=file)
    code, said = box.sgcx("up", "rehearsal", "--port", "0")
    assert code == 2, said
    assert said.startswith("error: ")

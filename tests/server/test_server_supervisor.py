from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from sgcx.errors import LaunchFailed, UserError
from sgcx.server import supervisor
from sgcx.server.locks import hold_up_lock, is_server_locked
from sgcx.server.process_identity import ProcessIdentity
from sgcx.server.supervisor import (
    Alive,
    ChildHandle,
    Dead,
    StopOutcome,
    liveness,
    spawn,
    stop,
    survey,
)

Until = Callable[[Callable[[], bool]], None]
SpawnChild = Callable[[str], ChildHandle]

OBEYS = "import signal; print('up'); signal.pause()"
IGNORES = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up')\nwhile True: time.sleep(60)"
LEAVES_A_GRANDCHILD_IN_ITS_OWN_SESSION = """
import os, signal, subprocess, sys
quiet = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
grandchild = subprocess.Popen([sys.executable, "-c", quiet], start_new_session=True)
print("grandchild", grandchild.pid)
signal.pause()
"""
DRAINS_THEN_KILLS_ITSELF = """
import os, signal, time
def drain(*_): os.kill(os.getpid(), signal.SIGKILL)
signal.signal(signal.SIGTERM, drain); print("up"); signal.pause()
"""


def said(handle: ChildHandle, words: str) -> bool:
    return words in handle.log_path.read_text()


def test_a_child_lives_in_its_own_session_and_writes_to_the_log(spawn_child: SpawnChild, until: Until) -> None:
    handle = spawn_child("import sys; print('out'); print('err', file=sys.stderr); print(repr(sys.stdin.read()))")
    until(lambda: isinstance(liveness(handle), Dead))
    assert sorted(handle.log_path.read_text().split()) == ["''", "err", "out"]
    assert liveness(handle) == Dead(0)
    living = spawn_child(OBEYS)
    assert os.getsid(living.identity.pid) == living.identity.pid
    assert liveness(living) == Alive(living.identity)


def test_each_launch_has_a_fresh_log_and_the_old_ones_are_kept(spawn_child: SpawnChild, until: Until) -> None:
    for number in range(7):
        handle = spawn_child(f"print('launch {number}')")
        until(lambda handle=handle: isinstance(liveness(handle), Dead))  # type: ignore[misc]
    log = handle.log_path
    assert log.read_text() == "launch 6\n"
    assert [log.with_name(f"server.log.{n}").read_text() for n in (1, 5)] == ["launch 5\n", "launch 1\n"]
    assert not log.with_name("server.log.6").exists()


def test_a_second_child_is_refused_while_the_first_lives(spawn_child: SpawnChild) -> None:
    handle = spawn_child(OBEYS)
    with pytest.raises(UserError, match="already running"):
        spawn_child(OBEYS)
    assert stop(handle).outcome is StopOutcome.GRACEFUL
    spawn_child(OBEYS)


def test_a_command_that_is_not_there_fails_and_frees_the_lock(server_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(LaunchFailed, match="could not be started"):
        spawn([str(tmp_path / "absent")], server_dir=server_dir, environment={}, cwd=tmp_path)
    assert not is_server_locked(server_dir)


def test_an_obedient_child_stops_gracefully(spawn_child: SpawnChild, until: Until, server_dir: Path) -> None:
    handle = spawn_child(OBEYS)
    until(lambda: said(handle, "up"))
    assert is_server_locked(server_dir)
    result = stop(handle)
    assert (result.outcome, result.leftover_pids) == (StopOutcome.GRACEFUL, ())
    assert liveness(handle) == Dead(-signal.SIGTERM)
    assert not is_server_locked(server_dir)


def test_a_child_that_ends_itself_by_sigkill_on_sigterm_counts_as_graceful(
    spawn_child: SpawnChild, until: Until
) -> None:
    handle = spawn_child(DRAINS_THEN_KILLS_ITSELF)
    until(lambda: said(handle, "up"))
    assert stop(handle).outcome is StopOutcome.GRACEFUL


def test_a_child_that_ignores_sigterm_is_killed_at_the_deadline(spawn_child: SpawnChild, until: Until) -> None:
    handle = spawn_child(IGNORES)
    until(lambda: said(handle, "up"))
    result = stop(handle, deadline_s=0.2)
    assert (result.outcome, result.leftover_pids) == (StopOutcome.KILLED, ())
    assert result.seconds >= 0.2
    assert liveness(handle) == Dead(-signal.SIGKILL)


def test_a_grandchild_in_another_session_goes_too(spawn_child: SpawnChild, until: Until) -> None:
    handle = spawn_child(LEAVES_A_GRANDCHILD_IN_ITS_OWN_SESSION)
    until(lambda: said(handle, "grandchild") and said(handle, "up"))
    pid = int(handle.log_path.read_text().split("grandchild ")[1].split()[0])
    assert os.getsid(pid) == pid
    assert stop(handle, deadline_s=0.3).leftover_pids == ()
    assert ProcessIdentity.of(pid) is None


def test_an_orphan_in_another_session_is_found_after_its_parent_is_gone(
    spawn_child: SpawnChild, until: Until, server_dir: Path
) -> None:
    handle = spawn_child(LEAVES_A_GRANDCHILD_IN_ITS_OWN_SESSION)
    until(lambda: said(handle, "grandchild") and said(handle, "up"))
    handle.identity.send(signal.SIGKILL)
    until(lambda: isinstance(liveness(handle), Dead))
    assert survey(server_dir.parent, "one").alive
    assert stop(handle, deadline_s=0).outcome is StopOutcome.KILLED
    assert not survey(server_dir.parent, "one").alive


def test_stopping_twice_says_already_gone(spawn_child: SpawnChild) -> None:
    handle = spawn_child(OBEYS)
    stop(handle)
    assert stop(handle).outcome is StopOutcome.ALREADY_GONE


def test_a_stranger_with_a_reused_pid_is_never_signalled(server_dir: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", OBEYS], stdout=subprocess.DEVNULL, start_new_session=True) as stranger:
        true_identity = ProcessIdentity.of(stranger.pid)
        assert true_identity is not None
        stale = dataclasses.replace(true_identity, create_time=true_identity.create_time - 100)
        handle = ChildHandle(stale, server_dir, server_dir / "server.log")
        assert liveness(handle) == Dead(None)
        assert stop(handle, deadline_s=0).outcome is StopOutcome.ALREADY_GONE
        assert not stale.send(signal.SIGKILL)
        assert stranger.poll() is None
        stranger.kill()


UP_THAT_IS_KILLED = """
import os, signal, sys
from pathlib import Path
from sgcx.server.supervisor import spawn
child = "from pathlib import Path; from sgcx.server.records import announce_child; import signal;" \\
    + {announce} + "print('up', flush=True); signal.pause()"
server_dir = Path({directory!r})
spawn([sys.executable, "-c", child], server_dir=server_dir, environment=dict(os.environ), cwd=server_dir)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("announces", [True, False])
def test_a_child_is_found_although_up_was_killed_before_it_wrote_a_record(
    server_dir: Path, until: Until, announces: bool
) -> None:
    announce = f"announce_child(Path({str(server_dir)!r}));" if announces else ""
    program = UP_THAT_IS_KILLED.format(announce=repr(announce), directory=str(server_dir))
    up = subprocess.run([sys.executable, "-c", program], check=False)
    assert up.returncode == -signal.SIGKILL
    log = server_dir / "server.log"
    until(lambda: "up" in log.read_text())

    found = survey(server_dir.parent, "one")
    assert found.alive and found.locked and found.loaded.record is None
    assert found.child is not None
    assert found.pids == (found.child.identity.pid,)
    assert (server_dir / "child.pid").exists() is announces
    assert stop(found.child).leftover_pids == ()
    assert not survey(server_dir.parent, "one").alive


ENDS_ITS_MAIN_THREAD = """
import ctypes, os, threading, time
threading.Thread(target=lambda: time.sleep(600)).start()
print("up", flush=True)
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[os.uname().machine], 0)
"""


def test_a_process_lives_until_its_last_thread_has_ended(
    spawn_child: SpawnChild, until: Until, server_dir: Path
) -> None:
    handle = spawn_child(ENDS_ITS_MAIN_THREAD)
    until(lambda: said(handle, "up"))
    until(lambda: psutil.Process(handle.identity.pid).status() == psutil.STATUS_ZOMBIE)
    assert handle.identity.is_alive()
    assert is_server_locked(server_dir)
    assert stop(handle).outcome is StopOutcome.GRACEFUL
    assert not is_server_locked(server_dir)


RENAMES_ITSELF = """
import ctypes, os, signal, sys
with open("/proc/self/stat") as stat:
    fields = stat.read().rpartition(")")[2].split()
start, end = int(fields[47]), int(fields[48])
ctypes.memset(start, 0, end - start)
print("up", flush=True)
signal.pause()
"""
STARTS_A_WORKER_THAT_RENAMES_ITSELF = f"""
import signal, subprocess, sys
subprocess.Popen([sys.executable, "-c", {RENAMES_ITSELF!r}])
signal.pause()
"""


def test_a_worker_that_overwrote_its_environment_is_found_without_record_or_announcement(
    spawn_child: SpawnChild, until: Until, server_dir: Path
) -> None:
    handle = spawn_child(STARTS_A_WORKER_THAT_RENAMES_ITSELF)
    until(lambda: said(handle, "up"))
    assert len(survey(server_dir.parent, "one").pids) == 2


def test_a_member_that_ends_while_it_is_looked_at_is_no_leader(
    server_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = ProcessIdentity(2**22 + 1, 1.0)  # above the largest pid that there can be
    monkeypatch.setattr(supervisor, "members", lambda *_: (gone,))
    found = survey(server_dir.parent, "one")
    assert (found.child, found.pids) == (None, (gone.pid,))


def test_a_server_that_never_was_is_not_alive(tmp_path: Path) -> None:
    found = survey(tmp_path, "one")
    assert not found.alive and found.child is None


def test_a_second_up_is_told_the_pid_of_the_first(server_dir: Path) -> None:
    program = (
        "import signal, sys\nfrom pathlib import Path\nfrom sgcx.server.locks import hold_up_lock\n"
        f"with hold_up_lock(Path({str(server_dir)!r})):\n    print('held', flush=True)\n    signal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as first:
        assert first.stdout is not None and first.stdout.readline() == b"held\n"
        with pytest.raises(UserError, match=rf"\(pid {first.pid}\)"), hold_up_lock(server_dir):
            pass
        first.kill()
    with hold_up_lock(server_dir):
        pass


def test_the_child_does_not_hold_the_lock_of_up(server_dir: Path, spawn_child: SpawnChild) -> None:
    with hold_up_lock(server_dir):
        handle = spawn_child(OBEYS)
    with hold_up_lock(server_dir):
        assert psutil.pid_exists(handle.identity.pid)

"""The real command line in a process of its own, on a machine without a GPU where nothing of sgcx has ever been."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_runner import Said, Sgcx

from sgcx.profiles import built_in_directory
from sgcx.server.ports import free_port
from sgcx.server.process_identity import ProcessIdentity
from sgcx.server.records import ServerRecord, ServerState, save_record
from sgcx.server.supervisor import ChildHandle, spawn, stop


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Everything that a command may find or write: SGCX_HOME, HOME, CODEX_HOME, a PATH without programs."""
    (tmp_path / "bin").mkdir()
    # No library: where the linker finds this first, a GPU cannot be asked.
    (tmp_path / "bin" / "libnvidia-ml.so.1").touch()
    return tmp_path


@pytest.fixture
def sgcx(home: Path) -> Sgcx:
    def run(*arguments: str, **environment: str) -> Said:
        ended = subprocess.run(
            [sys.executable, "-m", "sgcx", *arguments],
            env={
                "HOME": str(home),
                "SGCX_HOME": str(home / "sgcx"),
                "CODEX_HOME": str(home / "codex"),
                "PATH": str(home / "bin"),
                "LD_LIBRARY_PATH": os.pathsep.join([str(home / "bin"), os.environ.get("LD_LIBRARY_PATH", "")]),
                "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]),
                "COLUMNS": "80",
                "LC_ALL": "C.UTF-8",
                **environment,
            },
            cwd=home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
        )
        return Said(ended.returncode, _filter(ended.stdout, home), _filter(ended.stderr, home))

    return run


def _filter(text: str, home: Path) -> str:
    return text.replace(str(home), "[HOME]").replace(str(built_in_directory()), "[PROFILES]")


@pytest.fixture
def live_server(home: Path) -> Iterator[ServerRecord]:
    """A server that has been ready and then went deaf: its process lives, its port is closed."""
    servers = home / "sgcx" / "state" / "servers"
    child = spawn(
        [sys.executable, "-c", "import signal; signal.pause()"],
        server_dir=servers / "one",
        environment=dict(os.environ),
        cwd=home,
    )
    record = _record("one", child, port=free_port("127.0.0.1"))
    save_record(servers, record)
    yield record
    stop(child, deadline_s=0)
    assert child.process is not None
    child.process.wait(timeout=10)


def _record(name: str, child: ChildHandle, *, port: int) -> ServerRecord:
    return ServerRecord(
        name=name,
        profile="rehearsal",
        served_model_name="rehearsal",
        state=ServerState.RUNNING,
        pid=child.identity.pid,
        pid_create_time=child.identity.create_time,
        boot_id=child.identity.boot_id,
        host="127.0.0.1",
        port=port,
        base_url=f"http://127.0.0.1:{port}/v1",
        engine="sglang-0.5.10.post1-cpu",
        sglang_version="0.5.10.post1",
        started_at=0.0,
        ready_at=1.0,
        log_path=str(child.log_path),
    )


@pytest.fixture
def leftover(home: Path) -> Iterator[ProcessIdentity]:
    """What is left of a server `gone`: its own process has ended, one that it had started lives on."""
    servers = home / "sgcx" / "state" / "servers"
    orphan = "import signal, sys; print('ready', flush=True); signal.pause()"
    leader = (
        "import subprocess, sys;"
        f"child = subprocess.Popen([sys.executable, '-c', {orphan!r}], stdout=subprocess.PIPE);"
        "child.stdout.readline(); print(child.pid, flush=True)"
    )
    child = spawn([sys.executable, "-c", leader], server_dir=servers / "gone", environment=dict(os.environ), cwd=home)
    assert child.process is not None
    child.process.wait(timeout=30)
    save_record(servers, _record("gone", child, port=1))
    left = ProcessIdentity.of(int(child.log_path.read_text()))
    assert left is not None
    yield left
    left.send(signal.SIGKILL)

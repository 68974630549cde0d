"""`sgcx up` and its siblings in processes of their own, with a small HTTP server in the engine's place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from signals import as_from_a_terminal

from sgcx.server.locks import end_supervisor
from sgcx.server.records import server_names
from sgcx.server.supervisor import stop, survey

_PATIENCE_S = 120
"""Of a machine that does much else: nothing waits as long unless it is wrong."""
_ENGINE = f"""#!{sys.executable}
import json, os, signal, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from sgcx.server.records import announce_child

config_path = Path(sys.argv[-1])
announce_child(config_path.parent)
config = json.loads(config_path.read_text())
argv = config["sglang_argv"]
mode = os.environ.get("ENGINE_MODE", "serves")
crash_file = config_path.parent / "crash"
if crash_file.exists():
    print(crash_file.read_text(), flush=True)
    sys.exit(1)
draining = threading.Event()
print("engine is up", flush=True)
def refuse_to_end(*_):
    print("told to end", flush=True)

if "stubborn" in mode:
    signal.signal(signal.SIGTERM, refuse_to_end)
while "loads for ever" in mode:
    signal.pause()

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({{"data": [{{"id": config["served_model_name"]}}]}}).encode()
        self.send_response(503 if draining.is_set() else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_): pass

class Server(ThreadingHTTPServer):
    address_family = 10 if ":" in argv[argv.index("--host") + 1] else 2

def drain(*_):
    draining.set()
    threading.Timer(1.5, os._exit, [0]).start()

if "stubborn" not in mode:
    signal.signal(signal.SIGTERM, drain)
server = Server((argv[argv.index("--host") + 1], int(argv[argv.index("--port") + 1])), Handler)
print("Uvicorn running on the port", flush=True)
server.serve_forever(0.01)
"""

_SGCX = """
import os, sys
from pathlib import Path
from sgcx.server.restarting import RestartPolicy
from sgcx.workflows import launch, supervision
from sgcx.workflows.provision import EngineRuntime

engine = Path(os.environ["SGCX_HOME"]) / "engine"
launch.provision_engine = lambda spec, *_, **__: EngineRuntime(spec, engine, dict(os.environ))
launch.provision_rehearsal = lambda *_: None
supervision.COMMAND = (sys.executable, __file__)
supervision.RestartPolicy = lambda: RestartPolicy(3, float(os.environ["BACKOFF_S"]), 3600.0)
{change}
sys.argv[0] = "sgcx"
from sgcx.__main__ import main
main()
"""


@dataclass(frozen=True)
class Box:
    """A machine whose engine is ready. `change` is a line of Python that spoils something first."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def servers(self) -> Path:
        return self.home / "state" / "servers"

    @property
    def record(self) -> Path:
        return self.servers / "rehearsal" / "record.json"

    def start(self, *arguments: str, change: str = "", mode: str = "serves") -> subprocess.Popen[str]:
        program = self.home / "program.py"
        program.write_text(_SGCX.format(change=change))
        return subprocess.Popen(
            [sys.executable, str(program), *arguments],
            env={
                **os.environ,
                "SGCX_HOME": str(self.home),
                "ENGINE_MODE": mode,
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONPATH": str(Path(__file__).parents[2]),
                "COLUMNS": "200",
                "BACKOFF_S": "0.2",
                "HF_HOME": str(self.home / "hub"),
                **self.environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=as_from_a_terminal,
        )

    def sgcx(self, *arguments: str, change: str = "", mode: str = "serves") -> tuple[int, str]:
        """Exit code and what was said: stdout and stderr."""
        with self.start(*arguments, change=change, mode=mode) as process:
            out, error = process.communicate(timeout=_PATIENCE_S)
        return process.returncode, out + error

    def up(self, *arguments: str) -> dict[str, object]:
        port = [] if "--port" in arguments else ["--port", "0"]
        code, said = self.sgcx("up", "rehearsal", "--json", *port, *arguments)
        assert code == 0, said
        return dict(_first_json(said, "{"))

    def status(self) -> list[dict[str, object]]:
        code, said = self.sgcx("status", "--json")
        assert code == 0
        return list(_first_json(said, "["))

    def pids(self) -> tuple[int, ...]:
        return survey(self.servers, "rehearsal").pids


def _first_json(said: str, opening: str) -> Any:
    return json.JSONDecoder().raw_decode(said[said.index(opening) :])[0]


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    engine = tmp_path / "engine"
    engine.write_text(_ENGINE)
    engine.chmod(0o755)
    made = Box(tmp_path)
    yield made
    for name in server_names(made.servers):
        end_supervisor(made.servers / name)
        left = survey(made.servers, name)
        if left.child is not None:
            stop(left.child, deadline_s=0)


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come true"
            time.sleep(0.02)

    return wait

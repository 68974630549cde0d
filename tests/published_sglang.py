"""SGLang as it was published, with the rehearsal model on a CPU: no patches, and no endpoint but its own.

    python tests/published_sglang.py 0.5.23 --port 31023

What a gateway stands in front of, and what our endpoint is compared with. It takes the engine of that release from
SGCX_HOME (`sgcx engine install sglang-0.5.23-cpu`), with the arguments that `sgcx up rehearsal` would give it, prints
its address when it answers, and serves until it is told to stop.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from sgcx.environments.engine_specs import EngineDirectory, find_spec
from sgcx.environments.overlay import RUNNING_SGCX, engine_environment, write_overlay
from sgcx.paths import Paths

_READY_S = 400
_STOP_S = 60


@contextmanager
def published_sglang(version: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The process that answers HTTP on that port of this machine."""
    spec = find_spec(f"sglang-{version}-cpu")
    engine = EngineDirectory.of(spec, Paths.from_environment().engines)
    dry_run = ["up", "rehearsal", "--sglang", version, "--port", str(port), "--dry-run", "--json"]
    planned = json.loads(subprocess.check_output([sys.executable, "-m", "sgcx", *dry_run]))
    # The overlay has the model and what stands in for CUDA's packages. Its plugin keeps still where `sgcx up` is not.
    environment = engine_environment("cpu", write_overlay(engine.path, RUNNING_SGCX, "cpu")) | planned["environment"]
    command = [str(engine.python), "-m", "sglang.launch_server", *planned["argv"]]
    with tempfile.NamedTemporaryFile("w+") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            _await_answer(port, process, Path(log.name))
            yield process
        finally:
            _end(process)


def _await_answer(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _READY_S
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if client.get("/health_generate").is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.5)
    raise SystemExit(f"SGLang did not start:\n{log.read_text(errors='replace')[-4000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Some releases wait for ever for requests that are gone."""
    if process.poll() is not None:
        return
    main = psutil.Process(process.pid)
    tree = [main, *main.children(recursive=True)]
    process.terminate()
    for member in psutil.wait_procs(tree, timeout=_STOP_S)[1]:
        member.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with published_sglang(options.version, options.port) as process:
        print(f"SGLang {options.version} answers on port {options.port}", flush=True)
        process.wait()


if __name__ == "__main__":
    main()

"""The real Codex at work on a GPU: the workflows of `tests/e2e`, with the checks they have there.

`CODEX_BINARY` names the native program of the npm package, for Linux on x86-64; it needs no Node. Codex runs its
commands without a sandbox, in a folder of their own for each workflow.
"""

from __future__ import annotations

import os
import subprocess
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from inspect import signature
from pathlib import Path

import test_codex_workflows
from codex_sessions import CodexRunner, Session
from rehearsals import Rehearsal, make_machine
from scripted import CONTEXT_LENGTH, serving_script
from serving import MODEL, Server

from sgcx.codex.catalog import CatalogModel
from sgcx.codex.config import PROFILE
from sgcx.codex.runner import parse_version
from sgcx.profiles import load_profile
from sgcx.workflows.catalog import catalog_model

WORKFLOWS = [each for name, each in vars(test_codex_workflows).items() if name.startswith("test_")]
_TIMEOUT_S = 60
_OF_CODEX = {"NO_PROXY": "*", "PYTHONPATH": ""}
"""The Python that Codex starts is the machine's, without what this stage needs of it."""


def measure(scratch: Path, checkpoint: Path, *, port: int) -> list[dict[str, object]]:
    binary = os.environ["CODEX_BINARY"]
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True, timeout=60).stdout
    version = str(parse_version(said))
    rows: list[dict[str, object]] = []
    with serving_script(scratch / "engine", checkpoint, port=port, tp_size=1, catalog=[_model(scratch)]) as server:
        rehearsal = _configured(scratch / "machine", server)
        for workflow in WORKFLOWS:
            folder = scratch / workflow.__name__
            folder.mkdir()
            runner = CodexRunner(rehearsal, folder, (binary, "-p", PROFILE), _OF_CODEX, timeout_s=_TIMEOUT_S)
            rows.append({"codex": version, **_tried(workflow, runner)})
            print(rows[-1], flush=True)
    return rows


def _model(scratch: Path) -> CatalogModel:
    profile = replace(load_profile("rehearsal", scratch), served_model_name=MODEL)
    return catalog_model(profile, CONTEXT_LENGTH)


def _configured(home: Path, server: Server) -> Rehearsal:
    """Codex pointed at the server as a user points it there."""
    machine = make_machine(home, None)
    url = f"{server.base_url}/v1"
    done = machine.sgcx("codex-config", "--yes", "--url", url)
    assert done.returncode == 0, done.stdout + done.stderr
    return Rehearsal(machine, {"base_url": url, "log": str(server.log)}, key="")


def _tried(workflow: Callable[..., None], runner: CodexRunner) -> dict[str, object]:
    sessions: list[Session] = []

    def codex(prompt: str) -> Session:
        sessions.append(runner(prompt))
        sessions[-1].check_completed()
        test_codex_workflows.check_common(sessions[-1])
        return sessions[-1]

    offered = {"codex": codex, "tmp_path": runner.directory}
    offset = runner.rehearsal.log.stat().st_size
    begun = time.monotonic()
    why = None
    try:
        workflow(**{name: offered[name] for name in signature(workflow).parameters})
    except Exception:
        why = traceback.format_exc()[-4000:] + runner.rehearsal.log_since(offset)[-4000:]
    return {
        "workflow": workflow.__name__.removeprefix("test_"),
        "passed": why is None,
        "why": why,
        "seconds": round(time.monotonic() - begun, 1),
        "exit_codes": [session.exit_code for session in sessions],
        "events": Counter(_kind(event) for session in sessions for event in session.events),
        "command_exit_codes": [code for session in sessions for code, _ in session.commands],
        "requests": [asdict(usage) for session in sessions for usage in session.usages],
    }


def _kind(event: dict) -> str:
    """Such as `item.completed command_execution`."""
    return " ".join([event["type"], *([event["item"]["type"]] if "item" in event else [])])

"""Installs what the tests need, one thing after the other, while the tests that need none of it run.

`python installing.py HOME NAME…` is a process of its own: it says of each thing, as soon as it is there or has failed,
one line of JSON. What is already in HOME takes a second.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from installed import search_path

_DEADLINE_S = 1500


class Installation:
    """The process, seen from the tests."""

    def __init__(self, home: Path, names: Iterable[str]) -> None:
        command = [sys.executable, __file__, str(home), *names]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self._problems: dict[str, str | None] = {}

    def wait_for(self, name: str) -> None:
        """Returns when it is there; an AssertionError has what pip or npm said instead."""
        assert self._process.stdout is not None
        while name not in self._problems:
            line = self._process.stdout.readline()
            assert line, f"the installation ended before {name}"
            self._problems.update(json.loads(line))
        assert self._problems[name] is None, self._problems[name]

    def end(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
        self._process.communicate(timeout=60)


def main(home: Path, names: Iterable[str]) -> None:
    for name in names:
        print(json.dumps({name: _problem(home, name)}), flush=True)


def _problem(home: Path, name: str) -> str | None:
    with (home / f"{name}.lock").open("w") as lock:  # another run, or another worker of this one, may be at it
        fcntl.flock(lock, fcntl.LOCK_EX)
        if name.startswith("codex-"):
            return _install_codex(home / name, name.removeprefix("codex-"))
        return _run([sys.executable, "-m", "sgcx", "engine", "install", name], SGCX_HOME=str(home))


def _install_codex(prefix: Path, version: str) -> str | None:
    """Node comes with the test extra where the machine has none."""
    if codex_program(prefix).exists():
        return None
    npm = shutil.which("npm", path=search_path())
    if npm is None:
        return "npm is missing: install the test extra, which brings Node"
    prefix.mkdir(parents=True, exist_ok=True)
    package = f"@openai/codex@{version}"
    return _run([npm, "install", "--no-audit", "--no-fund", "--prefix", str(prefix), package], PATH=search_path())


def codex_program(prefix: Path) -> Path:
    return prefix / "node_modules" / ".bin" / "codex"


def _run(command: list[str], **variables: str) -> str | None:
    """What it said, if it failed."""
    environment = {**os.environ, **variables}
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_DEADLINE_S
        )
    except subprocess.TimeoutExpired as error:
        return str(error)
    return None if done.returncode == 0 else done.stdout + done.stderr


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])

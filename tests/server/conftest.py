"""Real children: small Python programs, started by the supervisor and ended after each test."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sgcx.server.supervisor import ChildHandle, spawn, stop

Until = Callable[[Callable[[], bool]], None]
SpawnChild = Callable[[str], ChildHandle]


@pytest.fixture
def until() -> Until:
    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come true"
            time.sleep(0.01)

    return wait


@pytest.fixture
def server_dir(tmp_path: Path) -> Path:
    return tmp_path / "servers" / "one"


@pytest.fixture
def spawn_child(server_dir: Path, tmp_path: Path) -> Iterator[SpawnChild]:
    handles: list[ChildHandle] = []

    def start(program: str) -> ChildHandle:
        handle = spawn(
            [sys.executable, "-u", "-c", program],
            server_dir=server_dir,
            environment={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=tmp_path,
        )
        handles.append(handle)
        return handle

    yield start
    for handle in handles:
        stop(handle, deadline_s=0)
        assert handle.process is not None
        handle.process.wait(timeout=10)

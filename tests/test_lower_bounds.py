"""The oldest versions that pyproject.toml allows really work: they are installed, and what uses them is tested."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PULL = "test_a_model_is_pulled_once_and_without_other_copies_of_its_weights"
USERS = [
    *(f"tests/http/test_{name}.py" for name in ("bodies", "gateway", "images", "metrics", "websocket")),
    f"tests/weights/test_pull.py::{PULL}",
    "tests/hardware",
    "tests/engines/test_chat_engine.py",
    "tests/store/test_sealing.py",
    "tests/codex/test_codex_config.py",
    *(f"tests/cli/test_cli_{name}.py" for name in ("docs", "plan_views", "top")),
    "tests/server/test_server_ports.py",
]
"""A test or two for every dependency; what repeats them in many processes costs minutes and shows nothing more."""


def oldest_allowed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [dependency.replace(">=", "==") for dependency in project["dependencies"]]


def test_the_oldest_allowed_dependencies_work(tmp_path):
    oldest = oldest_allowed()
    assert all("==" in pin for pin in oldest)
    run([sys.executable, "-m", "pip", "install", "--quiet", "--target", str(tmp_path), *oldest])
    shown = run([sys.executable, "-c", VERSIONS], PYTHONPATH=str(tmp_path))
    assert set(shown.split()) >= {pin.lower() for pin in oldest}
    pytest_run = [sys.executable, "-m", "pytest", "-p", "no:platformdirs", *USERS, "-m", "not codex and not engine"]
    run(pytest_run, PYTHONPATH=str(tmp_path))  # the newest platformdirs brings a plugin that the oldest lacks


VERSIONS = """
from importlib.metadata import distributions
seen = {}
for found in distributions():
    seen.setdefault(found.name.lower().replace("_", "-"), found.version)
print(*(f"{name}=={version}" for name, version in seen.items()))
"""


def run(command, **environment):
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout

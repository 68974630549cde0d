"""Shared by all tests: the real engine, the real Codex, and hypothesis without clocks.

What takes minutes to install is installed once, by the product itself, into SGCX_TEST_HOME (by default a folder
in the user's cache), and found there again by the next run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from installed import CODEX_VERSION, ENGINE, OLDER_CODEX_VERSION, search_path

settings.register_profile(
    "ci", deadline=None, max_examples=60, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", parent=settings.get_profile("ci"), max_examples=1000)
settings.load_profile(os.environ.get("SGCX_HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def test_home() -> Path:
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "sgcx-tests"
    home = Path(os.environ.get("SGCX_TEST_HOME", default)).absolute()
    home.mkdir(parents=True, exist_ok=True)
    return home


@pytest.fixture(scope="session")
def engine_data(test_home: Path) -> Path:
    """An SGCX_HOME/data with the CPU engine in it, installed as a user would."""
    command = [sys.executable, "-m", "sgcx", "engine", "install", ENGINE]
    made = subprocess.run(
        command, env={**os.environ, "SGCX_HOME": str(test_home)}, capture_output=True, text=True, timeout=1500
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return test_home / "data"


@pytest.fixture(scope="session")
def engine_python(engine_data: Path) -> Path:
    return engine_data / "engines" / ENGINE / "venv" / "bin" / "python"


@pytest.fixture(scope="session")
def sglang_site_packages(engine_data: Path) -> Path:
    [found] = (engine_data / "engines" / ENGINE).glob("venv/lib/python3.*/site-packages")
    return found


@pytest.fixture(scope="session")
def codex_binary(test_home: Path) -> Path:
    return install_codex(test_home, CODEX_VERSION)


@pytest.fixture(scope="session")
def older_codex_binary(test_home: Path) -> Path:
    """From before profile files, and with the system prompt in `instructions`."""
    return install_codex(test_home, OLDER_CODEX_VERSION)


def install_codex(test_home: Path, version: str) -> Path:
    """Codex from npm. Node comes with the test extra where the machine has none."""
    prefix = test_home / f"codex-{version}"
    binary = prefix / "node_modules" / ".bin" / "codex"
    if not binary.exists():
        npm = shutil.which("npm", path=search_path())
        assert npm is not None, "npm is missing: install the test extra, which brings Node"
        prefix.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(prefix), f"@openai/codex@{version}"]
        made = subprocess.run(
            command, cwd=prefix, env={**os.environ, "PATH": search_path()}, capture_output=True, text=True, timeout=600
        )
        assert made.returncode == 0, made.stdout + made.stderr
    return binary

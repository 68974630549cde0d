"""Shared by all tests: the real engine, the real Codex, and hypothesis without clocks.

What takes minutes to install is installed once, by the product itself, into SGCX_TEST_HOME (by default a folder
in the user's cache), and found there again by the next run. Meanwhile run the tests that need none of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from installed import ENGINE, INSTALLED_FOR, NEWEST_SGLANG_VERSION
from installing import Installation, codex_program

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


@pytest.fixture(scope="session", autouse=True)
def installation(test_home: Path, request: pytest.FixtureRequest) -> Iterator[Installation]:
    """Begins before the first test, with what any test of this run needs."""
    needed = {fixture for item in request.session.items for fixture in _installed_fixtures(item)}
    begun = Installation(test_home, [name for fixture, name in INSTALLED_FOR.items() if fixture in needed])
    yield begun
    begun.end()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs nothing installed runs first, while the rest is being installed; what comes last is used last."""
    items.sort(key=lambda item: ("newest_engine" in _installed_fixtures(item), bool(_installed_fixtures(item))))


def _installed_fixtures(item: pytest.Item) -> list[str]:
    return [name for name in getattr(item, "fixturenames", ()) if name in INSTALLED_FOR]


@pytest.fixture(scope="session")
def engine_data(test_home: Path, installation: Installation) -> Path:
    """An SGCX_HOME/data with the CPU engine in it, installed as a user would."""
    installation.wait_for(INSTALLED_FOR["engine_data"])
    return test_home / "data"


@pytest.fixture(scope="session")
def newest_engine(test_home: Path, installation: Installation) -> str:
    """The newest SGLang release that there is an engine for, and that engine beside the other one."""
    installation.wait_for(INSTALLED_FOR["newest_engine"])
    return NEWEST_SGLANG_VERSION


@pytest.fixture(scope="session")
def engine_python(engine_data: Path) -> Path:
    return engine_data / "engines" / ENGINE / "venv" / "bin" / "python"


@pytest.fixture(scope="session")
def sglang_site_packages(engine_data: Path) -> Path:
    [found] = (engine_data / "engines" / ENGINE).glob("venv/lib/python3.*/site-packages")
    return found


@pytest.fixture(scope="session")
def codex_binary(test_home: Path, installation: Installation) -> Path:
    """Codex from npm."""
    return _installed_codex(test_home, installation, INSTALLED_FOR["codex_binary"])


@pytest.fixture(scope="session")
def older_codex_binary(test_home: Path, installation: Installation) -> Path:
    """From before profile files, and with the system prompt in `instructions`."""
    return _installed_codex(test_home, installation, INSTALLED_FOR["older_codex_binary"])


def _installed_codex(test_home: Path, installation: Installation, name: str) -> Path:
    installation.wait_for(name)
    return codex_program(test_home / name)

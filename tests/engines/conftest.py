"""A real SGLang 0.5.10.post1 to read from: SGCX_TEST_SGLANG (its site-packages), else the managed CPU engine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from sgcx.engines import patches
from sgcx.paths import Paths

_VERSION = "0.5.10.post1"


@pytest.fixture(scope="session")
def sglang_site_packages() -> Path:
    given = os.environ.get("SGCX_TEST_SGLANG")
    if given:
        return Path(given)
    engine = Paths.from_environment().engines / f"sglang-{_VERSION}-cpu"
    found = list(engine.glob("venv/lib/python3.*/site-packages"))
    if not found:
        pytest.skip(f"no SGLang {_VERSION}: install the CPU engine, or set SGCX_TEST_SGLANG to its site-packages")
    return found[0]


@pytest.fixture
def published(sglang_site_packages: Path, tmp_path: Path) -> patches.SglangInstallation:
    """The files that patches change, as SGLang published them, laid out as in site-packages."""
    root = tmp_path / "site-packages"
    (root / f"sglang-{_VERSION}.dist-info").mkdir(parents=True)
    for patch in patches.patches_for(_VERSION):
        target = root / patch.file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sglang_site_packages / patch.file, target)
    installation = patches.SglangInstallation.find(root)
    patches.revert(installation)
    return installation

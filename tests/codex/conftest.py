"""The real Codex, named by SGCX_TEST_CODEX."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def codex_binary() -> Path:
    named = os.environ.get("SGCX_TEST_CODEX")
    if not named or not Path(named).exists():
        pytest.fail("SGCX_TEST_CODEX does not name a Codex executable")
    return Path(named)

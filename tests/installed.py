"""What the tests install, and where programs are found that came with the test extra."""

from __future__ import annotations

import os
import sys
from pathlib import Path

SGLANG_VERSION = os.environ.get("SGCX_TEST_SGLANG", "0.5.10.post1")
CODEX_VERSION = os.environ.get("SGCX_TEST_CODEX", "0.169.0")
OLDER_CODEX_VERSION = "0.130.0"
ENDPOINT = os.environ.get("SGCX_TEST_ENDPOINT", "in process")
"""Or "gateway". Other values than these are what `python tests/compatibility` runs the end-to-end tests with."""
ENGINE = f"sglang-{SGLANG_VERSION}-cpu"


def search_path() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])

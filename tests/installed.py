"""What the tests install, and where programs are found that came with the test extra."""

from __future__ import annotations

import os
import sys
from pathlib import Path

SGLANG_VERSION = os.environ.get("SGCX_TEST_SGLANG", "0.5.10.post1")
NEWEST_SGLANG_VERSION = "0.5.23"
CODEX_VERSION = os.environ.get("SGCX_TEST_CODEX", "0.169.0")
OLDER_CODEX_VERSION = "0.130.0"
ENDPOINT = os.environ.get("SGCX_TEST_ENDPOINT", "in process")
"""Or "gateway". Other values than these are what `python -m compatibility` runs the end-to-end tests with."""


def engine_name(sglang_version: str) -> str:
    return f"sglang-{sglang_version}-cpu"


ENGINE = engine_name(SGLANG_VERSION)

INSTALLED_FOR = {
    "engine_data": ENGINE,
    "codex_binary": f"codex-{CODEX_VERSION}",
    "older_codex_binary": f"codex-{OLDER_CODEX_VERSION}",
    "newest_engine": engine_name(NEWEST_SGLANG_VERSION),
}
"""By fixture, in the order in which it is installed."""


def search_path() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])

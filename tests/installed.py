"""What the tests install, and where programs are found that came with the test extra."""

from __future__ import annotations

import os
import sys
from pathlib import Path

CODEX_VERSION = "0.169.0"
OLDER_CODEX_VERSION = "0.130.0"
ENGINE = "sglang-0.5.10.post1-cpu"


def search_path() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])

"""The command line starts fast: what a command does not need is not imported."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "sglang",
    "fastapi",
    "starlette",
    "uvicorn",
    "httpx",
    "aiohttp",
    "openai",
    "pynvml",
    "psutil",
    "tomlkit",
)
_PROGRAM = """
import json, sys
sys.argv[0] = "sgcx"
from sgcx.__main__ import main
try:
    main()
except SystemExit:
    pass
sys.stderr.write(json.dumps(sorted(sys.modules)))
"""


@pytest.mark.parametrize("arguments", [["--help"], ["up", "--help"], ["engine", "--help"], ["doctor", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    assert "Usage: sgcx" in ended.stdout
    assert [name for name in HEAVY if name in json.loads(ended.stderr)] == []

"""What must hold before an installation begins, asked before anything is written."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from sgcx.byte_sizes import gib
from sgcx.errors import UserError

_OLDEST_PYTHON = (3, 11)
_PROBE = """
import importlib.util, json, sys
print(json.dumps([list(sys.version_info[:2]), importlib.util.find_spec("ensurepip") is not None]))
"""
_PROBE_TIMEOUT_S = 60


def check_free_space(path: Path, needed_bytes: int) -> None:
    """`path` need not exist yet."""
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    free_bytes = shutil.disk_usage(existing).free
    if free_bytes < needed_bytes:
        raise UserError(
            f"The disk that holds {existing} is {gib(needed_bytes - free_bytes)} short:"
            f" the engine needs {gib(needed_bytes)}, {gib(free_bytes)} are free",
            hint="Make room, or set SGCX_HOME to a folder on a larger disk",
        )


def check_python(python: Path, newest: tuple[int, int]) -> None:
    """Can this Python make an environment that the lock's packages install into?"""
    try:
        probe = subprocess.run(
            [str(python), "-I", "-c", _PROBE], capture_output=True, text=True, timeout=_PROBE_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise UserError(f"{python} does not run as a Python interpreter: {error}") from error
    (major, minor), has_ensurepip = json.loads(probe.stdout)
    if not _OLDEST_PYTHON <= (major, minor) <= newest:
        raise UserError(
            f"{python} is Python {major}.{minor}; this engine's packages are made for"
            f" Python {_version(_OLDEST_PYTHON)} to {_version(newest)}",
            hint="Run sgcx with one of them",
        )
    if not has_ensurepip:
        raise UserError(
            f"{python} cannot make virtual environments: its module ensurepip is missing",
            hint=f"On Debian and Ubuntu: apt install python{major}.{minor}-venv",
        )


def _version(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))

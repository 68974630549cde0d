"""Finds an installed SGLang without importing it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sgcx.errors import UserError

_PROBE = """
import importlib.metadata, importlib.util, json, pathlib
spec = importlib.util.find_spec("sglang")
locations = list(spec.submodule_search_locations or []) if spec else []
root = str(pathlib.Path(locations[0]).parent) if locations else None
print(json.dumps([root, importlib.metadata.version("sglang") if root else None]))
"""
_PROBE_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class SglangInstallation:
    root: Path
    """The folder that holds the `sglang` package: site-packages, or `python/` of a source checkout."""
    version: str

    @classmethod
    def find(cls, location: Path) -> SglangInstallation:
        """`location` is a Python interpreter that has SGLang, or the folder that holds the package."""
        if location.is_dir():
            return cls._in_directory(location)
        if location.is_file():
            return cls._of_interpreter(location)
        raise UserError(f"{location} does not exist", hint="Give a Python interpreter or its site-packages folder")

    @classmethod
    def _in_directory(cls, directory: Path) -> SglangInstallation:
        metadata = list(directory.glob("sglang-*.dist-info"))
        if len(metadata) != 1 or not (directory / "sglang").is_dir():
            raise UserError(f"{directory} does not hold one installed SGLang")
        return cls(root=directory, version=metadata[0].name.removeprefix("sglang-").removesuffix(".dist-info"))

    @classmethod
    def _of_interpreter(cls, python: Path) -> SglangInstallation:
        try:
            probe = subprocess.run(
                [str(python), "-I", "-c", _PROBE],
                capture_output=True,
                text=True,
                timeout=_PROBE_TIMEOUT_S,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise UserError(f"{python} does not run as a Python interpreter: {error}") from error
        root, version = json.loads(probe.stdout)
        if not isinstance(root, str) or not isinstance(version, str):
            raise UserError(f"{python} has no SGLang installed")
        return cls(root=Path(root), version=version)

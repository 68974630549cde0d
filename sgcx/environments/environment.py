"""The engines that sgcx keeps: which there are, what state one is in, and how to make, check, mend or remove it.

An engine is a virtual environment with one SGLang in it, in `<engines_dir>/<name>/`. Reading functions change
nothing; the others hold the engine's lock while they work.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from sgcx.environments.engine_marker import lock_sha256, measure_bytes, read_marker
from sgcx.environments.engine_specs import EngineDirectory, EngineSpec
from sgcx.environments.install_lock import hold_install_lock, installer_at_work
from sgcx.environments.install_progress import OnProgress
from sgcx.environments.installer import Installer
from sgcx.environments.package_lock import read_lock
from sgcx.environments.verification import Problem, verify_packages
from sgcx.errors import LaunchFailed, UserError

_PROBE_TIMEOUT_S = 30


class Patcher(Protocol):
    """sgcx's source patches, which a user may have put into an engine's files, too."""

    def is_patched_file(self, site_packages: Path, relative_path: str) -> bool: ...


class EngineStatus(StrEnum):
    ABSENT = "absent"
    INCOMPLETE = "incomplete"
    BROKEN = "broken"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class EngineState:
    spec: EngineSpec
    status: EngineStatus
    reason: str | None
    """Why it is not READY."""
    path: Path
    size_bytes: int


def inspect(spec: EngineSpec, engines_dir: Path) -> EngineState:
    """Looks at the marker and starts the Python; does not read the packages, which `verify` does."""
    engine = EngineDirectory.of(spec, engines_dir)
    status, reason = _judge(spec, engine)
    marker = read_marker(engine)
    size_bytes = marker.size_bytes if marker is not None else measure_bytes(engine.path)
    return EngineState(spec, status, reason, engine.path, size_bytes)


def _judge(spec: EngineSpec, engine: EngineDirectory) -> tuple[EngineStatus, str | None]:
    owner = installer_at_work(engine)
    if owner is not None:
        return EngineStatus.INCOMPLETE, f"it is being installed or changed ({owner})"
    return _judge_files(spec, engine)


def _judge_files(spec: EngineSpec, engine: EngineDirectory) -> tuple[EngineStatus, str | None]:
    """For one who holds the lock, and so is the installer at work."""
    if not engine.path.exists():
        return EngineStatus.ABSENT, "it is not installed"
    marker = read_marker(engine)
    if marker is None:
        return EngineStatus.INCOMPLETE, "its installation was interrupted"
    if marker.lock_sha256 != lock_sha256(spec):
        return EngineStatus.BROKEN, "it was made from another lock than this sgcx has"
    python = _python_version(engine)
    if python is None:
        return EngineStatus.BROKEN, f"its Python does not start: {engine.python}"
    if python != marker.python:
        return EngineStatus.BROKEN, f"it was made with {marker.python}, and its Python is {python} now"
    return EngineStatus.READY, None


def _python_version(engine: EngineDirectory) -> str | None:
    program = "import sys; print('python%d.%d' % sys.version_info[:2])"
    command = [str(engine.python), "-I", "-S", "-c", program]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def install(
    spec: EngineSpec,
    engines_dir: Path,
    *,
    base_python: Path = Path(sys.executable),
    on_progress: OnProgress = lambda _progress: None,
) -> EngineState:
    """Makes the engine, or returns at once if it is READY. A half-made or broken one is made again."""
    engine = EngineDirectory.of(spec, engines_dir)
    if inspect(spec, engines_dir).status is not EngineStatus.READY:
        with hold_install_lock(engine) as lock_descriptor:
            # Another process may have finished it between the look and the lock.
            if _judge_files(spec, engine)[0] is not EngineStatus.READY:
                Installer(spec, engine, lock_descriptor, on_progress).install(base_python)
    return inspect(spec, engines_dir)


def verify(spec: EngineSpec, engines_dir: Path, *, patcher: Patcher) -> list[Problem]:
    """Compares every installed file with its recorded hash, and every version with the lock."""
    engine = EngineDirectory.of(spec, engines_dir)
    site_packages = engine.site_packages()
    if site_packages is None:
        raise UserError(f"{spec.name} is not installed in {engines_dir}", hint=f"sgcx engine install {spec.name}")
    return verify_packages(site_packages, read_lock(spec.lock), patcher.is_patched_file)


def repair(
    spec: EngineSpec,
    engines_dir: Path,
    *,
    patcher: Patcher,
    base_python: Path = Path(sys.executable),
    on_progress: OnProgress = lambda _progress: None,
) -> list[Problem]:
    """Reinstalls what `verify` finds wrong; makes the engine anew if it is not READY. Returns what it mended."""
    if inspect(spec, engines_dir).status is not EngineStatus.READY:
        install(spec, engines_dir, base_python=base_python, on_progress=on_progress)
        return []
    engine = EngineDirectory.of(spec, engines_dir)
    with hold_install_lock(engine) as lock_descriptor:
        problems = verify(spec, engines_dir, patcher=patcher)
        if problems:
            installer = Installer(spec, engine, lock_descriptor, on_progress)
            installer.reinstall(problem.package for problem in problems)
            remaining = verify(spec, engines_dir, patcher=patcher)
            if remaining:
                raise LaunchFailed(
                    f"{spec.name} could not be mended: {remaining[0].message}",
                    hint=f"sgcx engine remove {spec.name}, then install it again",
                )
    return problems


def remove(spec: EngineSpec, engines_dir: Path) -> int:
    """Deletes the engine and returns the bytes that became free."""
    engine = EngineDirectory.of(spec, engines_dir)
    if not engine.path.exists():
        return 0
    with hold_install_lock(engine):
        size_bytes = measure_bytes(engine.path)
        engine.marker.unlink(missing_ok=True)  # first, so that an interrupted removal is seen as one
        shutil.rmtree(engine.path)
    return size_bytes

"""Makes an engine environment: a virtual environment, pip, torch, everything else, and a proof.

The steps write into one directory whose marker comes last. An installation that ended before it is thrown away and
made again, because a package that pip had half unpacked looks to pip as if it were there; pip's cache makes the
second time cheap.
"""

from __future__ import annotations

import errno
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from sgcx.byte_sizes import GIB
from sgcx.environments.engine_marker import EngineMarker, lock_sha256, measure_bytes, write_marker
from sgcx.environments.engine_specs import EngineDirectory, EngineSpec
from sgcx.environments.install_preflight import check_free_space, check_python
from sgcx.environments.install_progress import InstallProgress, OnProgress, PipOutputReader, Stage
from sgcx.environments.overlay import RUNNING_SGCX, engine_environment, write_overlay
from sgcx.environments.package_lock import LockedPackage, read_lock, render_requirements
from sgcx.environments.pip_runner import PipRun, disk_full, names_full_disk, run_pip
from sgcx.errors import LaunchFailed

_PIP = canonicalize_name("pip")
_TORCH = canonicalize_name("torch")
# torch's CUDA build names its own triton; the lock's is put back after it.
_NOT_CONSTRAINED = frozenset({canonicalize_name("triton")})
_TORCH_WITH_CUDA_BYTES = 8 * GIB
_PROOF_TIMEOUT_S = 600


@dataclass(frozen=True, slots=True)
class Installer:
    spec: EngineSpec
    engine: EngineDirectory
    lock_descriptor: int
    on_progress: OnProgress

    def install(self, base_python: Path) -> None:
        check_python(base_python, self.spec.newest_python)
        self.engine.marker.unlink(missing_ok=True)  # first, so that an interrupted removal is seen as one
        shutil.rmtree(self.engine.path, ignore_errors=True)
        check_free_space(self.engine.path, self.spec.minimum_free_bytes)
        with _full_disk_said(self.engine.path):
            self.engine.path.mkdir(parents=True)
            self._create(base_python)
            self._install_packages(read_lock(self.spec.lock))
            self._finish()

    def reinstall(self, names: Iterable[str]) -> None:
        """Puts the published files of some packages back."""
        wanted = set(names)
        self.engine.marker.unlink(missing_ok=True)
        packages = [package for package in read_lock(self.spec.lock) if package.name in wanted]
        with _full_disk_said(self.engine.path):
            for hashed in (False, True):
                group = [package for package in packages if bool(package.hashes) is hashed]
                self._pip(group, "--force-reinstall", "--no-deps")
            self._finish()

    def _finish(self) -> None:
        site_packages = self.engine.site_packages()
        assert site_packages is not None
        self._report("prove", 0, 1, self.spec.proof_module)
        failure = self._import_failure(self.spec.proof_module)
        if failure is not None:
            raise LaunchFailed(
                f"{self.spec.name} is installed, but its Python cannot import {self.spec.proof_module}",
                hint="The last lines say why",
                log_tail=failure,
            )
        shutil.rmtree(self.engine.temporary, ignore_errors=True)
        marker = EngineMarker(lock_sha256(self.spec), site_packages.parent.name, measure_bytes(self.engine.path))
        write_marker(self.engine, marker)
        self._report("prove", 1, 1)

    def _create(self, base_python: Path) -> None:
        self._report("create", 0, 1)
        result = subprocess.run(
            [str(base_python), "-I", "-m", "venv", str(self.engine.venv)], capture_output=True, text=True
        )
        if names_full_disk(result.stdout + result.stderr):
            raise disk_full(self.engine.path)
        if result.returncode != 0:
            raise LaunchFailed(
                f"{base_python} could not make a virtual environment",
                hint="On Debian and Ubuntu: apt install python3-venv",
                log_tail=tuple((result.stdout + result.stderr).splitlines()[-10:]),
            )
        self._report("create", 1, 1)

    def _install_packages(self, lock: tuple[LockedPackage, ...]) -> None:
        pip = [package for package in lock if package.name == _PIP]
        unhashed = [package for package in lock if package.name != _PIP and not package.hashes]
        hashed = [package for package in lock if package.name != _PIP and package.hashes]
        total = len(lock)
        self._pip(pip, "--no-deps", total=total)
        self._pip(unhashed, "--no-deps", before=len(pip), total=total)
        self._pip(hashed, "--no-deps", before=len(pip) + len(unhashed), total=total)
        torch = [package for package in unhashed if package.name == _TORCH]
        if torch:
            self._make_importable(torch, lock, hashed)

    def _make_importable(
        self, torch: list[LockedPackage], lock: tuple[LockedPackage, ...], hashed: list[LockedPackage]
    ) -> None:
        """A package index without a CPU build gave the CUDA build, which needs libraries that come as packages."""
        self._report("prove", 0, 2, _TORCH)
        if self._import_failure(_TORCH) is None:
            return
        check_free_space(self.engine.path, _TORCH_WITH_CUDA_BYTES)
        constraints = self.engine.path / "constraints.txt"
        constrained = [package for package in lock if package.name not in _NOT_CONSTRAINED]
        constraints.write_text(render_requirements(constrained, hashes=False), encoding="utf-8")
        self._pip(torch, "--constraint", str(constraints))
        self._pip(hashed, "--no-deps")
        failure = self._import_failure(_TORCH)
        if failure is not None:
            raise LaunchFailed(
                "torch is installed, but cannot be imported", hint="The last lines say why", log_tail=failure
            )

    def _pip(self, packages: list[LockedPackage], *options: str, before: int = 0, total: int = 0) -> None:
        if not packages:
            return
        requirements = self.engine.path / "requirements.txt"
        requirements.write_text(render_requirements(packages), encoding="utf-8")
        run = PipRun(self.engine, (*options, "-r", str(requirements)), self.lock_descriptor)
        reader = PipOutputReader(packages_before=before, packages_total=total or len(packages))
        self.on_progress(reader.progress)
        run_pip(run, reader, self.on_progress)

    def _import_failure(self, module: str) -> tuple[str, ...] | None:
        """The last lines of what Python says when it cannot import `module`."""
        overlay = write_overlay(self.engine.path, RUNNING_SGCX, self.spec.accelerator)
        environment = engine_environment(self.spec.accelerator, overlay)
        command = [str(self.engine.python), "-c", f"import {module}"]
        try:
            result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_PROOF_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return (f"`import {module}` did not end within {_PROOF_TIMEOUT_S} seconds",)
        return None if result.returncode == 0 else tuple(result.stderr.splitlines()[-10:])

    def _report(self, stage: Stage, done: int, total: int, detail: str = "") -> None:
        self.on_progress(InstallProgress(stage, done, total, detail))


@contextmanager
def _full_disk_said(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(path) from error
        raise

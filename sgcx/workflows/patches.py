"""`sgcx patch`: sgcx's changes to SGLang, on the managed engines or on any SGLang that the user names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sgcx.engines.patches.installation import SglangInstallation
from sgcx.engines.patches.patching import PatchStatus, apply, export, revert, status
from sgcx.engines.patches.registry import PATCHES, Patch, patches_for
from sgcx.errors import UserError
from sgcx.paths import Paths
from sgcx.planning.driver import SGLANG_VERSION
from sgcx.server.environment import EngineDirectory
from sgcx.server.install_lock import hold_install_lock
from sgcx.workflows.engines import installed_specs


@dataclass(frozen=True, slots=True)
class Target:
    """`engine` is None for an SGLang that sgcx does not manage."""

    label: str
    installation: SglangInstallation
    engine: EngineDirectory | None


@dataclass(frozen=True, slots=True)
class Changed:
    """Names of the patches that were put in or taken out; the others were so already."""

    target: Target
    names: tuple[str, ...]


def list_patches() -> tuple[Patch, ...]:
    return PATCHES


def find_targets(paths: Paths, *, engine: str | None, location: Path | None) -> tuple[Target, ...]:
    """`location`: a Python interpreter, a virtual environment, or the folder that holds the package."""
    if engine is not None and location is not None:
        raise UserError("--engine and --target exclude each other", hint="Give one of them")
    if location is not None:
        return (Target(str(location), SglangInstallation.find(_interpreter_of(location)), None),)
    return tuple(
        Target(spec.name, _installation(directory), directory)
        for spec in installed_specs(engine, paths)
        for directory in (EngineDirectory.of(spec, paths.engines),)
    )


def status_of(target: Target) -> tuple[PatchStatus, ...]:
    with _readable_errors(target):
        return status(target.installation)


def apply_patches(target: Target, names: Sequence[str]) -> Changed:
    with _changing(target):
        return Changed(target, apply(target.installation, names or None))


def revert_patches(target: Target, names: Sequence[str]) -> Changed:
    with _changing(target):
        return Changed(target, revert(target.installation, names or None))


def export_patches(directory: Path, sglang_version: str | None) -> tuple[Path, ...]:
    version = sglang_version or SGLANG_VERSION
    if not patches_for(version):
        known = ", ".join(sorted({patch.sglang_version for patch in PATCHES}))
        raise UserError(f"There are no patches for SGLang {version}", hint=f"Versions with patches: {known}")
    try:
        return tuple(export(directory, version))
    except OSError as error:
        raise UserError(
            f"The patches cannot be written to {directory}: {error.strerror}", hint="Choose another folder"
        ) from error


def _interpreter_of(location: Path) -> Path:
    return location / "bin" / "python" if (location / "pyvenv.cfg").is_file() else location


def _installation(engine: EngineDirectory) -> SglangInstallation:
    site_packages = engine.site_packages()
    if site_packages is None:
        raise UserError(f"The engine {engine.path.name} is incomplete", hint=f"sgcx engine repair {engine.path.name}")
    return SglangInstallation.find(site_packages)


@contextmanager
def _changing(target: Target) -> Iterator[None]:
    with _readable_errors(target):
        if target.engine is None:
            yield
        else:
            with hold_install_lock(target.engine):
                yield


@contextmanager
def _readable_errors(target: Target) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{error.filename or target.installation.root} cannot be read or written: {error.strerror}",
            hint="Its owner can run this command",
        ) from error

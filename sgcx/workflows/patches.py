"""`sgcx patch`: sgcx's changes to SGLang, explained, exported, and put into an SGLang that the user manages.

The engines that sgcx manages are never changed: `sgcx up` starts them with a patched view of their SGLang.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sgcx.engines.patches.document import markdown
from sgcx.engines.patches.installation import SglangInstallation
from sgcx.engines.patches.patching import PatchStatus, apply, export, revert, status
from sgcx.engines.patches.registry import PATCHES, Patch, patches_for
from sgcx.environments.engine_specs import EngineDirectory, find_spec
from sgcx.errors import UserError
from sgcx.paths import Paths
from sgcx.planning.driver import SGLANG_VERSION


def list_patches() -> tuple[Patch, ...]:
    return PATCHES


def patches_page() -> str:
    """docs/patches.md."""
    return markdown(PATCHES)


def find_installation(location: Path) -> SglangInstallation:
    """`location`: a Python interpreter, a virtual environment, or the folder that holds the package."""
    return SglangInstallation.find(_interpreter_of(location))


def engine_patches(name: str, paths: Paths) -> tuple[PatchStatus, ...]:
    """Of a ready engine; "conflict" is what keeps `sgcx up` from using it."""
    site_packages = EngineDirectory.of(find_spec(name), paths.engines).site_packages()
    assert site_packages is not None, "a READY engine has packages"
    return status(SglangInstallation.find(site_packages))


def status_of(installation: SglangInstallation) -> tuple[PatchStatus, ...]:
    with _readable_errors(installation):
        return status(installation)


def apply_patches(installation: SglangInstallation, names: Sequence[str]) -> tuple[str, ...]:
    """Names of the patches that were put in; the others were in already."""
    with _readable_errors(installation):
        return apply(installation, names or None)


def revert_patches(installation: SglangInstallation, names: Sequence[str]) -> tuple[str, ...]:
    """Names of the patches that were taken out; the others were out already."""
    with _readable_errors(installation):
        return revert(installation, names or None)


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


@contextmanager
def _readable_errors(installation: SglangInstallation) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{error.filename or installation.root} cannot be read or written: {error.strerror}",
            hint="Its owner can run this command",
        ) from error

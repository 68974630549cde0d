"""Applies patches to an installed SGLang, takes them back, and says which are in.

Invariant: what is written is the published file plus a set of patches, whatever the order they were asked for in.
pip's RECORD keeps the published hashes; `is_patched_file` tells a verifier which other contents are ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sgcx.atomic_write import write_atomically
from sgcx.engines.patches.installation import SglangInstallation
from sgcx.engines.patches.registry import PATCHES, Patch, patches_for, patches_without
from sgcx.engines.patches.unified_diff import Edit, put_in, take_out
from sgcx.errors import UserError


@dataclass(frozen=True, slots=True)
class PatchStatus:
    name: str
    state: Literal["applied", "not_applied", "conflict"]
    reason: str | None
    """Why it is a conflict."""


@dataclass(frozen=True, slots=True)
class _PatchedFile:
    path: Path
    patches: tuple[Patch, ...]
    """Those of our patches that are for this file."""
    published: str
    applied: frozenset[str]
    """Names of the patches that are in."""


class _Conflict(Exception):
    pass


def status(installation: SglangInstallation) -> tuple[PatchStatus, ...]:
    return tuple(_status_of(installation, patch) for patch in patches_for(installation.version))


def _status_of(installation: SglangInstallation, patch: Patch) -> PatchStatus:
    try:
        file = _read(installation, patch.file)
    except _Conflict as conflict:
        return PatchStatus(patch.name, "conflict", str(conflict))
    return PatchStatus(patch.name, "applied" if patch.name in file.applied else "not_applied", None)


def apply(installation: SglangInstallation, names: Iterable[str] | None = None) -> tuple[str, ...]:
    """Puts in the named patches, or all of this version. Returns the names of those that were not in before."""
    if not patches_for(installation.version):
        raise UserError(f"There are no patches for SGLang {installation.version}", hint=_supported_versions())
    return _change(installation, patches_for(installation.version, names), present=True)


def revert(installation: SglangInstallation, names: Iterable[str] | None = None) -> tuple[str, ...]:
    """Takes out the named patches, or all. Returns the names of those that were in."""
    return _change(installation, patches_for(installation.version, names), present=False)


def patched_files(installation: SglangInstallation, without: frozenset[str]) -> dict[str, bytes]:
    """What each file is with all patches of this version but `without`, whichever are in it now. Changes nothing."""
    chosen = frozenset(patch.name for patch in patches_without(installation.version, without))
    names = dict.fromkeys(patch.file for patch in patches_for(installation.version))
    return {name: _with_patches(_read_or_refuse(installation, name), chosen) for name in names}


def export(directory: Path, sglang_version: str) -> list[Path]:
    """Writes the diffs of one version.

    Both `patch -p1` and `git apply` take them, in the folder that holds the `sglang` package: site-packages, or
    `python/` of a source checkout.
    """
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for patch in patches_for(sglang_version):
        path = directory / f"{patch.name}.patch"
        write_atomically(path, patch.text.encode("utf-8"), mode=0o644)
        paths.append(path)
    return paths


def is_patched_file(installation: SglangInstallation, relative_path: str) -> bool:
    """Is this file the published one with none, some or all of our patches in, and nothing else?"""
    if all(patch.file != relative_path for patch in patches_for(installation.version)):
        return False
    try:
        _read(installation, relative_path)
    except _Conflict:
        return False
    return True


def _change(installation: SglangInstallation, patches: tuple[Patch, ...], *, present: bool) -> tuple[str, ...]:
    """Reads every file before it writes the first, so a conflict in one leaves all as they were."""
    files = [_read_or_refuse(installation, file) for file in dict.fromkeys(patch.file for patch in patches)]
    names = frozenset(patch.name for patch in patches)
    changed: set[str] = set()
    for file in files:
        own = names & {patch.name for patch in file.patches}
        target = file.applied | own if present else file.applied - own
        changed |= target ^ file.applied
        if target != file.applied:
            _write(file, target)
    return tuple(patch.name for patch in patches if patch.name in changed)


def _read_or_refuse(installation: SglangInstallation, relative_path: str) -> _PatchedFile:
    try:
        return _read(installation, relative_path)
    except _Conflict as conflict:
        raise UserError(
            f"{installation.root / relative_path} was not patched: {conflict}",
            hint="`sgcx engine repair` mends an engine of sgcx; elsewhere reinstall SGLang, or undo the foreign change",
        ) from conflict


def _read(installation: SglangInstallation, relative_path: str) -> _PatchedFile:
    """The file, taken apart into what SGLang published and the patches that are in."""
    path = installation.root / relative_path
    patches = tuple(patch for patch in patches_for(installation.version) if patch.file == relative_path)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise _Conflict("the file is missing") from error
    published, edits = take_out(content.decode("utf-8", "replace"), _edits(patches))
    applied = [patch for patch in patches if edits.issuperset(patch.edits)]
    if _sha256(published.encode("utf-8")) != patches[0].pristine_sha256 or edits != _edits(applied):
        raise _Conflict(
            f"its SHA-256 is {_sha256(content)}, SGLang {installation.version} has {patches[0].pristine_sha256}"
        )
    return _PatchedFile(path, patches, published, frozenset(patch.name for patch in applied))


def _edits(patches: Iterable[Patch]) -> frozenset[Edit]:
    return frozenset(edit for patch in patches for edit in patch.edits)


def _with_patches(file: _PatchedFile, names: frozenset[str]) -> bytes:
    edits = [edit for patch in file.patches if patch.name in names for edit in patch.edits]
    return put_in(file.published, edits).encode("utf-8")


def _write(file: _PatchedFile, names: frozenset[str]) -> None:
    write_atomically(file.path, _with_patches(file, names), mode=file.path.stat().st_mode & 0o777)
    # Compiled copies are recognised by time and size; removing them leaves nothing to recognise.
    for compiled in (file.path.parent / "__pycache__").glob(f"{file.path.stem}.*.pyc"):
        compiled.unlink(missing_ok=True)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _supported_versions() -> str:
    return f"Versions with patches: {', '.join(sorted({patch.sglang_version for patch in PATCHES}))}"


class SglangPatcher:
    """Knows a patched file, for the one who verifies engine environments."""

    def is_patched_file(self, site_packages: Path, relative_path: str) -> bool:
        if not relative_path.startswith("sglang/"):
            return False
        return is_patched_file(SglangInstallation.find(site_packages), relative_path)

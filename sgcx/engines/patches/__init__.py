"""The lines of SGLang that sgcx changes: a unified diff each, applied to an installed SGLang and taken back again.

A diff is only ever applied to the exact file it was made for (SHA-256), so the mechanism needs no fuzz and no
backup: an installed file is the published one plus some of our patches, or it is a conflict.
"""

from __future__ import annotations

from sgcx.engines.patches.installation import SglangInstallation
from sgcx.engines.patches.patching import (
    PatchStatus,
    SglangPatcher,
    apply,
    export,
    is_patched_file,
    patched_files,
    revert,
    status,
)
from sgcx.engines.patches.registry import PATCHES, Patch, patches_for
from sgcx.engines.patches.view import write_view

__all__ = [
    "PATCHES",
    "Patch",
    "PatchStatus",
    "SglangInstallation",
    "SglangPatcher",
    "apply",
    "export",
    "is_patched_file",
    "patched_files",
    "patches_for",
    "revert",
    "status",
    "write_view",
]

"""The files that the patches change, from the real SGLang 0.5.10.post1."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sgcx.engines.patches.installation import SglangInstallation
from sgcx.engines.patches.patching import revert
from sgcx.engines.patches.registry import patches_for

_VERSION = "0.5.10.post1"


@pytest.fixture
def published(sglang_site_packages: Path, tmp_path: Path) -> SglangInstallation:
    """The files that patches change, as SGLang published them, laid out as in site-packages."""
    root = tmp_path / "site-packages"
    (root / f"sglang-{_VERSION}.dist-info").mkdir(parents=True)
    for patch in patches_for(_VERSION):
        target = root / patch.file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sglang_site_packages / patch.file, target)
    installation = SglangInstallation.find(root)
    revert(installation)
    return installation

"""A patched SGLang beside the published one, which stays as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sgcx.engines.patches import patching
from sgcx.engines.patches.installation import SglangInstallation
from sgcx.engines.patches.registry import PATCHES
from sgcx.engines.patches.view import write_view
from sgcx.errors import UserError

pytestmark = pytest.mark.engine


def test_a_view_has_every_patch_and_links_to_the_rest(published: SglangInstallation, tmp_path: Path) -> None:
    other = published.root / "sglang" / "srt" / "other.py"
    other.write_text("published = True\n")
    before = {patch.file: (published.root / patch.file).read_bytes() for patch in PATCHES}
    view = write_view(published, tmp_path / "views")
    assert {name: (published.root / name).read_bytes() for name in before} == before
    assert (view / "sglang" / "srt" / "other.py").readlink() == other
    patching.apply(published)
    for name in before:
        assert (view / name).read_bytes() == (published.root / name).read_bytes()


def test_the_same_patches_are_the_same_view_whatever_was_patched_in_place(
    published: SglangInstallation, tmp_path: Path
) -> None:
    made = write_view(published, tmp_path)
    patching.apply(published, ["mount-point"])
    assert write_view(published, tmp_path) == made
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".new")] == []


def test_another_choice_of_patches_is_another_view(published: SglangInstallation, tmp_path: Path) -> None:
    every = write_view(published, tmp_path)
    without = write_view(published, tmp_path, without=frozenset(["cpu-grammar"]))
    assert every != without
    grammar = "sglang/srt/constrained/xgrammar_backend.py"
    assert (without / grammar).read_bytes() == (published.root / grammar).read_bytes()
    assert (every / grammar).read_bytes() != (published.root / grammar).read_bytes()


def test_a_changed_sglang_gets_no_view(published: SglangInstallation, tmp_path: Path) -> None:
    target = published.root / PATCHES[0].file
    target.write_bytes(b"# mine\n")
    with pytest.raises(UserError, match="its SHA-256 is"):
        write_view(published, tmp_path / "views")
    assert not (tmp_path / "views").exists()


def test_a_moved_installation_gets_a_new_view(published: SglangInstallation, tmp_path: Path) -> None:
    (published.root / "sglang" / "other.py").touch()
    moved = SglangInstallation(tmp_path / "moved", published.version)
    first = write_view(published, tmp_path / "views")
    shutil.move(published.root, moved.root)
    assert write_view(moved, tmp_path / "views") != first

"""Patches go into the real SGLang files, come out byte for byte, and refuse any other file."""

from __future__ import annotations

import ast
import hashlib
import os
import shutil
import subprocess
from itertools import combinations
from pathlib import Path

import pytest

from sgcx.engines.patches import patching
from sgcx.engines.patches.installation import SglangInstallation
from sgcx.engines.patches.patching import SglangPatcher
from sgcx.engines.patches.registry import PATCHES, Patch
from sgcx.errors import UserError

pytestmark = pytest.mark.engine

NAMES = [patch.name for patch in PATCHES]


def contents(installation: SglangInstallation) -> dict[str, bytes]:
    return {patch.file: (installation.root / patch.file).read_bytes() for patch in PATCHES}


def states(installation: SglangInstallation) -> dict[str, str]:
    return {found.name: found.state for found in patching.status(installation)}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("patch", PATCHES, ids=NAMES)
def test_one_patch_turns_the_published_file_into_the_recorded_one(published: SglangInstallation, patch: Patch) -> None:
    assert sha256(published.root / patch.file) == patch.pristine_sha256
    assert patching.apply(published, [patch.name]) == (patch.name,)
    assert sha256(published.root / patch.file) == patch.patched_sha256
    assert states(published) == {name: "applied" if name == patch.name else "not_applied" for name in NAMES}


@pytest.mark.parametrize("file", dict.fromkeys(patch.file for patch in PATCHES))
def test_every_choice_of_a_files_patches_applies_and_reverts_to_the_published_bytes(
    published: SglangInstallation, file: str
) -> None:
    names = [patch.name for patch in PATCHES if patch.file == file]
    before = contents(published)
    for subset in (chosen for size in range(1, len(names) + 1) for chosen in combinations(names, size)):
        patching.apply(published, subset)
        assert {name for name, state in states(published).items() if state == "applied"} == set(subset)
        ast.parse((published.root / file).read_text(encoding="utf-8"))
        patching.revert(published)
        assert contents(published) == before


def test_a_patch_is_not_left_without_one_that_it_needs(published: SglangInstallation) -> None:
    with pytest.raises(UserError, match="'kimi-tool-calls' needs 'held-text'"):
        patching.patched_files(published, frozenset({"held-text"}))
    assert {need for patch in PATCHES for need in patch.needs} <= set(NAMES)


def test_applying_twice_changes_nothing_the_second_time(published: SglangInstallation) -> None:
    assert patching.apply(published) == tuple(NAMES)
    once = contents(published)
    assert patching.apply(published) == ()
    assert contents(published) == once


def test_a_foreign_change_is_a_conflict_that_names_the_file_and_both_hashes(published: SglangInstallation) -> None:
    mount_point = PATCHES[0]
    target = published.root / mount_point.file
    target.write_bytes(target.read_bytes() + b"# mine\n")
    before = contents(published)
    with pytest.raises(UserError) as refusal:
        patching.apply(published)
    for part in (str(target), sha256(target), mount_point.pristine_sha256):
        assert part in refusal.value.message
    assert contents(published) == before, "the other patch must not have gone in alone"
    assert states(published)["mount-point"] == "conflict"


def test_a_missing_file_is_a_conflict(published: SglangInstallation) -> None:
    (published.root / PATCHES[0].file).unlink()
    assert states(published)["mount-point"] == "conflict"


def test_the_compiled_copy_of_a_patched_file_goes_and_its_mode_stays(published: SglangInstallation) -> None:
    target = published.root / PATCHES[0].file
    target.chmod(0o640)
    compiled = target.parent / "__pycache__" / "http_server.cpython-311.pyc"
    compiled.parent.mkdir()
    compiled.write_bytes(b"old")
    patching.apply(published)
    assert not compiled.exists()
    assert target.stat().st_mode & 0o777 == 0o640


def test_an_unknown_patch_and_an_unknown_version_are_said(published: SglangInstallation) -> None:
    with pytest.raises(UserError, match="no patch 'moustache'"):
        patching.apply(published, ["moustache"])
    with pytest.raises(UserError, match=r"no patches for SGLang 0\.4\.0"):
        patching.apply(SglangInstallation(published.root, "0.4.0"))


def test_a_patched_file_is_known_and_a_damaged_one_is_not(published: SglangInstallation) -> None:
    patcher = SglangPatcher()
    patching.apply(published)
    assert patcher.is_patched_file(published.root, PATCHES[0].file)
    (published.root / PATCHES[0].file).write_bytes(b"damaged")
    assert not patcher.is_patched_file(published.root, PATCHES[0].file)
    assert not patcher.is_patched_file(published.root, "sglang/version.py")


@pytest.mark.parametrize("tool", [["patch", "-p1", "--fuzz=0", "-i"], ["git", "apply", "-p1"]], ids=["patch", "git"])
def test_the_exported_diffs_apply_with_ordinary_tools(
    published: SglangInstallation, tmp_path: Path, tool: list[str]
) -> None:
    by_tool = tmp_path / "by-tool"
    shutil.copytree(published.root, by_tool)
    for diff in patching.export(tmp_path / "diffs", published.version):
        subprocess.run([*tool, str(diff)], cwd=by_tool, check=True, capture_output=True, env=_without_git(tmp_path))
    patching.apply(published)
    assert contents(SglangInstallation.find(by_tool)) == contents(published)


def _without_git(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"GIT_CEILING_DIRECTORIES": str(tmp_path)}


def test_every_diff_says_that_it_changes_sglang_under_its_licence() -> None:
    for patch in PATCHES:
        header = patch.text.partition("--- a/")[0]
        assert "modified by sgcx" in header
        assert "Apache License, Version 2.0" in header

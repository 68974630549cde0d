"""Patches go into the real SGLang files, come out byte for byte, and refuse any other file."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest

from sgcx.engines import patches
from sgcx.engines.patches import PATCHES, Patch, SglangInstallation, SglangPatcher
from sgcx.errors import UserError

pytestmark = pytest.mark.engine

NAMES = [patch.name for patch in PATCHES]


def contents(installation: SglangInstallation) -> dict[str, bytes]:
    return {patch.file: (installation.root / patch.file).read_bytes() for patch in PATCHES}


def states(installation: SglangInstallation) -> dict[str, str]:
    return {found.name: found.state for found in patches.status(installation)}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("patch", PATCHES, ids=NAMES)
def test_one_patch_turns_the_published_file_into_the_recorded_one(published: SglangInstallation, patch: Patch) -> None:
    assert sha256(published.root / patch.file) == patch.pristine_sha256
    assert patches.apply(published, [patch.name]) == (patch.name,)
    assert sha256(published.root / patch.file) == patch.patched_sha256
    assert states(published) == {name: "applied" if name == patch.name else "not_applied" for name in NAMES}


def test_every_subset_applies_and_reverts_to_the_published_bytes(published: SglangInstallation) -> None:
    before = contents(published)
    for subset in (chosen for size in range(len(NAMES) + 1) for chosen in combinations(NAMES, size)):
        patches.apply(published, subset)
        assert {name for name, state in states(published).items() if state == "applied"} == set(subset)
        patches.revert(published)
        assert contents(published) == before


def test_applying_twice_changes_nothing_the_second_time(published: SglangInstallation) -> None:
    assert patches.apply(published) == tuple(NAMES)
    once = contents(published)
    assert patches.apply(published) == ()
    assert contents(published) == once


def test_a_foreign_change_is_a_conflict_that_names_the_file_and_both_hashes(published: SglangInstallation) -> None:
    mount_point = PATCHES[0]
    target = published.root / mount_point.file
    target.write_bytes(target.read_bytes() + b"# mine\n")
    before = contents(published)
    with pytest.raises(UserError) as refusal:
        patches.apply(published)
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
    patches.apply(published)
    assert not compiled.exists()
    assert target.stat().st_mode & 0o777 == 0o640


def test_an_unknown_patch_and_an_unknown_version_are_said(published: SglangInstallation) -> None:
    with pytest.raises(UserError, match="no patch 'moustache'"):
        patches.apply(published, ["moustache"])
    with pytest.raises(UserError, match=r"no patches for SGLang 0\.4\.0"):
        patches.apply(SglangInstallation(published.root, "0.4.0"))


def test_a_patched_file_is_known_and_a_damaged_one_is_not(published: SglangInstallation) -> None:
    patcher = SglangPatcher()
    patches.apply(published)
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
    for diff in patches.export(tmp_path / "diffs", published.version):
        subprocess.run([*tool, str(diff)], cwd=by_tool, check=True, capture_output=True, env=_without_git(tmp_path))
    patches.apply(published)
    assert contents(SglangInstallation.find(by_tool)) == contents(published)


def _without_git(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"GIT_CEILING_DIRECTORIES": str(tmp_path)}


def test_every_diff_says_that_it_changes_sglang_under_its_licence() -> None:
    for patch in PATCHES:
        header = patch.text.partition("--- a/")[0]
        assert "modified by sgcx" in header
        assert "Apache License, Version 2.0" in header


_ROUTER = """
from starlette.responses import JSONResponse
from starlette.routing import Route, Router

async def create(request):
    return JSONResponse({"answered_by": "the mounted router"})

router = Router(routes=[Route("/v1/responses", create, methods=["POST"])])
"""
_ASK = """
import sglang
from sglang.srt.entrypoints import http_server
from starlette.testclient import TestClient
print(sglang.__path__[0])
print(TestClient(http_server.app).post("/v1/responses", json={}).text)
"""


def test_a_mounted_router_answers_before_the_built_in_route(patched_copy: Path, engine_run: Callable[..., str]) -> None:
    (patched_copy / "mounted.py").write_text(_ROUTER)
    said = engine_run(_ASK, SGLANG_EXTRA_ROUTERS="mounted:router")
    assert said.splitlines()[-2:] == [str(patched_copy / "sglang"), '{"answered_by":"the mounted router"}']


_ABORT = """
import asyncio, types
from sglang.srt.managers.io_struct import AbortReq, GenerateReqInput
from sglang.srt.managers.tokenizer_manager import ReqState, TokenizerManager

class TimeStats:
    def set_finished_time(self): pass
    def get_e2e_latency(self): return 1.0

async def main():
    manager = TokenizerManager.__new__(TokenizerManager)
    manager.server_args = types.SimpleNamespace(weight_version="default", skip_tokenizer_init=False)
    state = ReqState([], False, asyncio.Event(), GenerateReqInput(text="a prompt"), TimeStats())
    manager.rid_to_state = {"one": state}
    manager._handle_abort_req(AbortReq(rid="one"))
    told = state.out_list[0]["meta_info"]["finish_reason"]["message"]
    print(told, state.finished, state.event.is_set(), manager.rid_to_state)
    manager._handle_abort_req(AbortReq(rid="one"))
    manager._handle_abort_req(AbortReq(rid="never seen"))
    print(len(state.out_list))

asyncio.run(main())
"""


def test_an_aborted_request_is_told_and_forgotten_and_a_late_abort_is_harmless(
    patched_copy: Path, engine_run: Callable[..., str]
) -> None:
    assert engine_run(_ABORT).splitlines()[-2:] == ["Abort in waiting queue True True {}", "1"]


@pytest.fixture(scope="module")
def patched_copy(sglang_site_packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole SGLang with every patch in, beside the packages it needs."""
    copy = tmp_path_factory.mktemp("patched") / "copy"
    shutil.copytree(sglang_site_packages / "sglang", copy / "sglang")
    for metadata in sglang_site_packages.glob("sglang-*.dist-info"):
        shutil.copytree(metadata, copy / metadata.name)
    patches.apply(SglangInstallation.find(copy))
    return copy


@pytest.fixture
def engine_run(patched_copy: Path, sglang_site_packages: Path) -> Callable[..., str]:
    """Runs a program with the engine's Python and the patched copy; gives its output."""
    shims = Path(patches.__file__).parents[1] / "cpu_shims"
    python = sglang_site_packages.parents[2] / "bin" / "python"

    def run(program: str, **variables: str) -> str:
        environment = {
            **os.environ,
            "PYTHONPATH": f"{patched_copy}:{shims}",
            "SGLANG_USE_CPU_ENGINE": "1",
            **variables,
        }
        command = [str(python), "-c", program]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
        assert result.returncode == 0, result.stderr
        return result.stdout

    return run

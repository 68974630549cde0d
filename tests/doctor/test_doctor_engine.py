"""Doctor on engines, and on checks themselves."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sgcx.engines.patches.patching import PatchStatus
from sgcx.environments.engine_specs import find_spec
from sgcx.environments.environment import EngineState, EngineStatus
from sgcx.errors import UserError
from sgcx.workflows.checks.check import Check, Status, guarded
from sgcx.workflows.checks.engine import EngineFacts, ask_engine, check_engine, check_imports, check_patches

CUDA = find_spec("sglang-0.5.10.post1-cu129")
ABSENT = EngineState(CUDA, EngineStatus.ABSENT, "it is not installed", Path("/data/engine"), 0)
GOOD = EngineFacts(sglang="0.5.10.post1", torch="2.9.1+cu129", cuda="12.9", gpus=8)


@pytest.mark.parametrize(
    ("status", "judged"),
    [
        (EngineStatus.READY, Status.OK),
        (EngineStatus.ABSENT, Status.SKIP),
        (EngineStatus.INCOMPLETE, Status.WARN),
        (EngineStatus.BROKEN, Status.FAIL),
    ],
)
def test_each_state_of_an_engine_is_judged(status: EngineStatus, judged: Status) -> None:
    assert check_engine(replace(ABSENT, status=status)).status is judged


def test_each_state_of_a_patch_is_judged() -> None:
    fitting = (PatchStatus("a", "applied", None), PatchStatus("b", "not_applied", None))
    conflict = PatchStatus("c", "conflict", "its SHA-256 is another")
    assert [check.status for check in check_patches("engine", fitting)] == [Status.OK]
    assert [check.status for check in check_patches("engine", (*fitting, conflict))] == [Status.FAIL]


def test_a_check_that_raises_is_a_failed_check() -> None:
    def refuse() -> list[Check]:
        raise UserError("The file is bad", hint="Mend it")

    def crash() -> list[Check]:
        raise RuntimeError("boom")

    assert guarded("G", "t", refuse) == (Check("G", "t", Status.FAIL, "The file is bad", mend="Mend it"),)
    (crashed,) = guarded("G", "t", crash)
    assert (crashed.status, crashed.found) == (Status.FAIL, "the check 't' of 'G' itself failed: RuntimeError: boom")


@pytest.mark.parametrize(
    ("facts", "status", "found"),
    [
        (GOOD, Status.OK, "SGLang 0.5.10.post1, torch 2.9.1+cu129, CUDA 12.9, 8 GPUs"),
        (replace(GOOD, error="ImportError: libnvrtc.so.12"), Status.FAIL, "ImportError: libnvrtc.so.12"),
        (replace(GOOD, sglang="0.5.9"), Status.FAIL, "SGLang 0.5.9 instead of 0.5.10.post1"),
        (replace(GOOD, gpus=0), Status.FAIL, "torch 2.9.1+cu129 for CUDA 12.9 sees none of 8 GPUs"),
    ],
)
def test_what_an_engine_can_import_is_judged(facts: EngineFacts, status: Status, found: str) -> None:
    (check,) = check_imports(replace(ABSENT, status=EngineStatus.READY), facts, gpu_count=8)
    assert (check.title, check.status, check.found) == ("cuda imports", status, found)
    assert (check.mend is None) == (status is Status.OK)


def test_a_python_without_sglang_says_so(tmp_path: Path) -> None:
    facts = ask_engine(Path(sys.executable))
    assert facts.error == "PackageNotFoundError: No package metadata was found for sglang"
    assert ask_engine(tmp_path / "python").error is not None

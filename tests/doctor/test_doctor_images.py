"""Doctor on images: a GPU that others have filled meanwhile, and a variable that fills it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from recorded_machines import recorded_machine

from sgcx.planning.snapshot import HardwareSnapshot
from sgcx.server.records import ServerRecord, ServerState
from sgcx.workflows.checks.check import Status
from sgcx.workflows.checks.images import check_image_cache, check_room_for_images

MIB = 1 << 20


def served(tmp_path: Path, *, images: bool, gpus: tuple[int, ...] = tuple(range(8))) -> ServerRecord:
    (tmp_path / "child.json").write_text(json.dumps({**CHILD, "images": images}))
    return ServerRecord(
        name="kimi",
        profile="kimi-k2.6",
        served_model_name="kimi-k2.6",
        state=ServerState.RUNNING,
        pid=1,
        pid_create_time=0.0,
        host="127.0.0.1",
        port=1,
        base_url="http://127.0.0.1:1/v1",
        engine="sglang-0.5.10.post1-cu129",
        sglang_version="0.5.10.post1",
        started_at=0.0,
        log_path=str(tmp_path / "server.log"),
        gpu_indices=gpus,
    )


CHILD = {
    "sglang_argv": [],
    "dialect": "kimi_k2",
    "served_model_name": "kimi-k2.6",
    "context_length": 1000,
    "always_thinks": False,
    "thinking_temperature": 1.0,
    "thinking_top_p": 1.0,
    "instant_temperature": 1.0,
    "instant_top_p": 1.0,
    "api_key_path": None,
    "catalog": [],
}


def filled(free_mib: int, *indices: int) -> HardwareSnapshot:
    """8 × H200, some of them with so much left."""
    machine = recorded_machine("8xH200")
    gpus = (
        replace(gpu, used_bytes=gpu.used_bytes + gpu.free_bytes - free_mib * MIB) if gpu.index in indices else gpu
        for gpu in machine.gpus
    )
    return replace(machine, gpus=tuple(gpus))


def test_a_gpu_without_room_for_an_image_is_told(tmp_path: Path) -> None:
    (check,) = check_room_for_images(served(tmp_path, images=True), filled(900, 2, 5))
    assert (check.status, check.title) == (Status.WARN, "kimi: images")
    assert check.found == "0.9 GiB left on GPUs 2, 5"
    assert check.mend is not None and "--context" in check.mend


def test_room_is_what_a_planned_server_leaves(tmp_path: Path) -> None:
    (check,) = check_room_for_images(served(tmp_path, images=True), filled(12_000, *range(8)))
    assert check.status is Status.OK


def test_gpus_of_others_models_for_text_and_the_cpu_do_not_matter(tmp_path: Path) -> None:
    full = filled(100, 7)
    assert [each.status for each in check_room_for_images(served(tmp_path, images=True, gpus=(0, 1)), full)] == [
        Status.OK
    ]
    assert [*check_room_for_images(served(tmp_path, images=False), full)] == []
    assert [*check_room_for_images(served(tmp_path, images=True, gpus=()), full)] == []


@pytest.mark.parametrize(("value", "is_told"), [(None, False), ("100", False), ("8192", True), ("much", True)])
def test_a_cache_of_images_that_no_plan_counts_is_told(value: str | None, is_told: bool) -> None:
    environ = {} if value is None else {"SGLANG_VLM_CACHE_SIZE_MB": value}
    assert [each.status for each in check_image_cache(environ, has_gpus=True)] == [Status.WARN] * is_told
    assert [*check_image_cache(environ, has_gpus=False)] == []

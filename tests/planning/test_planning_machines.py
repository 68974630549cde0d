"""What every machine in `tests/machines` makes of three models: a large change of the planner shows here as a table."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded_machines import MACHINE_NAMES, recorded_machine

from sgcx.planning.plan import LaunchPlan, Refusal, Wishes
from sgcx.planning.planner import plan
from sgcx.planning.profile import HubCheckpoint
from sgcx.profiles import load_profile

MODELS = ("kimi-k2.6", "deepseek-r1", "r1-distill-qwen-32b")
EXPECTED = {
    # Variant, division, cache format and context length, or what is missing: of Kimi K2.6, DeepSeek-R1, and a distill.
    "1xGH200": (
        "refused, 527 GiB missing",
        "refused, 265 GiB missing",
        "fp8 tp1 auto 131072",
    ),
    "1xH200": (
        "refused, 482 GiB missing",
        "refused, 221 GiB missing",
        "bf16 tp1 auto 131072",
    ),
    "1xRTX_4060_laptop": (
        "refused, 614 GiB missing",
        "refused, 361 GiB missing",
        "refused, 19 GiB missing",
    ),
    "1xRTX_4090": (
        "refused, 598 GiB missing",
        "refused, 345 GiB missing",
        "refused, 4 GiB missing",
    ),
    "1xRTX_4090_desktop": (
        "refused, 599 GiB missing",
        "refused, 346 GiB missing",
        "refused, 5 GiB missing",
    ),
    "1xRTX_5090": (
        "refused, 590 GiB missing",
        "refused, 337 GiB missing",
        "w4a16 tp1 fp8_e4m3 67584",
    ),
    "1xV100": (
        "refused",
        "refused",
        "refused",
    ),
    "2x48GB_and_display": (
        "refused, 546 GiB missing",
        "refused, 287 GiB missing",
        "fp8 tp2 auto 131072",
    ),
    "2xH200": (
        "refused, 355 GiB missing",
        "refused, 88 GiB missing",
        "bf16 tp1 auto 131072",
    ),
    "2xRTX_3090_nvlink": (
        "refused, 587 GiB missing",
        "refused, 328 GiB missing",
        "w4a16 tp2 auto 67584",
    ),
    "2xRTX_4090": (
        "refused, 587 GiB missing",
        "refused, 328 GiB missing",
        "w4a16 tp2 fp8_e4m3 131072",
    ),
    "3xRTX_4090": (
        "refused, 587 GiB missing",
        "refused, 328 GiB missing",
        "fp8 tp1 pp3 fp8_e4m3 131072",
    ),
    "4xA100_40GB": (
        "refused, 499 GiB missing",
        "refused, 230 GiB missing",
        "bf16 tp4 auto 131072",
    ),
    "4xB200": (
        "int4 tp4 fp8_e4m3 262144",
        "nvfp4 tp4 auto 163840",
        "bf16 tp1 auto 131072",
    ),
    "4xGB200": (
        "int4 tp4 auto 262144",
        "nvfp4 tp4 auto 163840",
        "bf16 tp1 auto 131072",
    ),
    "4xH200": (
        "refused, 98 GiB missing",
        "awq tp4 auto 163840",
        "bf16 tp1 auto 131072",
    ),
    "4xRTX_6000_Ada_and_768GB": (
        "refused, 468 GiB missing",
        "refused, 199 GiB missing",
        "bf16 tp4 auto 131072",
    ),
    "4xRTX_PRO_6000": (
        "refused, 278 GiB missing",
        "refused, 9 GiB missing",
        "bf16 tp2 auto 131072",
    ),
    "8xA100": (
        "refused, 69 GiB missing",
        "awq tp8 auto 163840",
        "bf16 tp2 auto 131072",
    ),
    "8xA100_MIG": (
        "refused, 340 GiB missing",
        "awq tp2 pp3 auto 163840",
        "bf16 tp2 auto 131072",
    ),
    "8xB200": (
        "int4 tp8 auto 262144",
        "fp8 tp8 auto 163840",
        "bf16 tp1 auto 131072",
    ),
    "8xB300": (
        "int4 tp8 auto 262144",
        "fp8 tp8 auto 163840",
        "bf16 tp1 auto 131072",
    ),
    "8xH100": (
        "refused, 71 GiB missing",
        "awq tp8 auto 163840",
        "bf16 tp2 auto 131072",
    ),
    "8xH100_busy": (
        "refused, 559 GiB missing",
        "refused, 286 GiB missing",
        "bf16 tp2 auto 131072",
    ),
    "8xH100_infiniband": (
        "refused, 71 GiB missing",
        "awq tp8 auto 163840",
        "bf16 tp2 auto 131072",
    ),
    "8xH100_one_lost": (
        "refused, 341 GiB missing",
        "awq tp2 pp3 auto 163840",
        "bf16 tp2 auto 131072",
    ),
    "8xH20": (
        "int4 tp8 auto 134144",
        "awq tp8 auto 163840",
        "bf16 tp2 auto 131072",
    ),
    "8xH200": (
        "int4 tp8 auto 262144",
        "fp8 tp8 auto 163840",
        "bf16 tp1 auto 131072",
    ),
    "8xH200_fabric_down": (
        "int4 tp8 auto 262144",
        "fp8 tp8 auto 163840",
        "bf16 tp1 auto 131072",
    ),
    "8xH200_virtual": (
        "int4 tp8 auto 262144",
        "fp8 tp8 auto 163840",
        "bf16 tp1 auto 131072",
    ),
    "8xH200_weights_on_NFS": (
        "int4 tp8 auto 262144",
        "fp8 tp8 auto 163840",
        "bf16 tp1 auto 131072",
    ),
    "8xL40S": (
        "refused, 348 GiB missing",
        "refused, 79 GiB missing",
        "bf16 tp4 auto 131072",
    ),
    "8xRTX_PRO_6000": (
        "int4 tp8 auto 134144",
        "awq tp8 auto 163840",
        "bf16 tp2 auto 131072",
    ),
    "DGX_Spark": (
        "refused",
        "refused, 570 GiB missing",
        "fp8 tp1 auto 131072",
    ),
    "WSL_RTX_4090": (
        "refused, 600 GiB missing",
        "refused, 347 GiB missing",
        "refused, 5 GiB missing",
    ),
    "container_with_32GB": (
        "refused, 577 GiB missing",
        "refused, 324 GiB missing",
        "w4a16 tp1 fp8_e4m3 131072",
    ),
    "cpu_only": (
        "refused, 617 GiB missing",
        "refused, 360 GiB missing",
        "refused, 27 GiB missing",
    ),
    "cpu_only_AMX": (
        "refused, 617 GiB missing",
        "refused, 360 GiB missing",
        "refused, 27 GiB missing",
    ),
    "mixed_GPUs": (
        "refused, 527 GiB missing",
        "refused, 274 GiB missing",
        "fp8 tp1 auto 131072",
    ),
    "old_driver": (
        "refused",
        "refused",
        "refused",
    ),
}


def test_every_machine_has_its_row() -> None:
    assert sorted(EXPECTED) == sorted(MACHINE_NAMES)


@pytest.mark.parametrize("machine", EXPECTED)
def test_what_a_machine_serves(machine: str) -> None:
    hardware = recorded_machine(machine)

    made = tuple(_brief(plan(hardware, load_profile(model, Path("/nonexistent")), Wishes())) for model in MODELS)

    assert made == EXPECTED[machine]


def _brief(outcome: LaunchPlan | Refusal) -> str:
    if isinstance(outcome, Refusal):
        missing_gib = outcome.missing_bytes / (1 << 30)
        return f"refused, {missing_gib:.0f} GiB missing" if outcome.missing_bytes else "refused"
    assert isinstance(outcome.profile.checkpoint, HubCheckpoint)
    parallelism = outcome.parallelism
    division = f"tp{parallelism.tp_size}" + (f" pp{parallelism.pp_size}" if parallelism.pp_size > 1 else "")
    cache = outcome.value_of("kv_cache_dtype")
    return f"{outcome.profile.checkpoint.variant} {division} {cache} {outcome.context_length}"

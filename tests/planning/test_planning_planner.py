"""Plans for recorded machines. Expected numbers come from SGLang's published recipes and from its own memory rule."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from recorded_machines import recorded_machine

from sgcx.byte_sizes import GIB
from sgcx.errors import UserError
from sgcx.planning.driver import driver_is_too_old
from sgcx.planning.plan import Decision, LaunchPlan, Refusal, Wishes
from sgcx.planning.planner import plan
from sgcx.planning.profile import Profile
from sgcx.planning.snapshot import HardwareSnapshot
from sgcx.profiles import list_profiles, load_profile

NO_USER_PROFILES = Path("/nonexistent")


def machine(name: str) -> HardwareSnapshot:
    return recorded_machine(name)


def profile(name: str) -> Profile:
    return load_profile(name, NO_USER_PROFILES)


def built_in_profiles() -> tuple[Profile, ...]:
    entries = list_profiles(NO_USER_PROFILES)
    return tuple(entry.profile for entry in entries if isinstance(entry.profile, Profile))


def planned(machine_name: str, profile_name: str, wishes: Wishes | None = None) -> LaunchPlan:
    result = plan(machine(machine_name), profile(profile_name), wishes or Wishes(), built_in_profiles())
    assert isinstance(result, LaunchPlan), result
    return result


def refused(machine_name: str, profile_name: str, wishes: Wishes | None = None) -> Refusal:
    result = plan(machine(machine_name), profile(profile_name), wishes or Wishes(), built_in_profiles())
    assert isinstance(result, Refusal), result
    return result


def decision(launch_plan: LaunchPlan, name: str) -> Decision:
    return next(item for item in (*launch_plan.decisions, *launch_plan.environment) if item.name == name)


@dataclass(frozen=True)
class Fits:
    machine: str
    profile: str
    tp_size: int
    fraction: tuple[float, float]
    context_length: tuple[int, int]
    tokens: tuple[int, int]
    kv_cache_dtype: str = "auto"
    variant: str | None = None


FITS = [
    Fits("8xH200", "kimi-k2.6", 8, (0.80, 0.83), (262_144, 262_144), (580_000, 660_000), variant="int4"),
    Fits("8xH200", "deepseek-r1", 8, (0.87, 0.90), (163_840, 163_840), (620_000, 700_000), variant="fp8"),
    Fits("8xB200", "kimi-k2.6", 8, (0.75, 0.79), (262_144, 262_144), (900_000, 1_100_000), variant="int4"),
    Fits("4xB200", "kimi-k2.6", 4, (0.85, 0.89), (262_144, 262_144), (262_144, 480_000), "fp8_e4m3", "int4"),
    Fits("4xB200", "deepseek-r1", 4, (0.82, 0.87), (163_840, 163_840), (700_000, 950_000), variant="nvfp4"),
    Fits("8xB300", "kimi-k2.6", 8, (0.80, 0.83), (262_144, 262_144), (2_000_000, 2_400_000), variant="int4"),
    Fits("8xRTX_PRO_6000", "kimi-k2.6", 8, (0.84, 0.88), (120_000, 160_000), (120_000, 160_000), variant="int4"),
    Fits("8xH100", "deepseek-r1", 8, (0.79, 0.83), (163_840, 163_840), (250_000, 340_000), variant="awq"),
    Fits("8xA100", "deepseek-r1", 8, (0.79, 0.83), (163_840, 163_840), (250_000, 340_000), variant="awq"),
    Fits("1xH200", "r1-distill-qwen-32b", 1, (0.88, 0.92), (131_072, 131_072), (240_000, 290_000), variant="bf16"),
    Fits("1xRTX_4090", "r1-distill-qwen-7b", 1, (0.78, 0.84), (131_072, 131_072), (131_072, 260_000), variant="fp8"),
    Fits(
        "1xRTX_4090", "r1-distill-qwen-14b", 1, (0.78, 0.84), (80_000, 131_072), (80_000, 131_072), "fp8_e4m3", "w4a16"
    ),
    Fits("1xRTX_4090", "r1-0528-qwen3-8b", 1, (0.78, 0.84), (40_000, 58_000), (40_000, 58_000), "fp8_e4m3", "bf16"),
    Fits("2x48GB_and_display", "r1-distill-qwen-14b", 2, (0.8, 0.84), (131_072, 131_072), (210_000, 250_000)),
    Fits(
        "2x48GB_and_display",
        "r1-distill-qwen-32b",
        2,
        (0.8, 0.84),
        (131_072, 131_072),
        (131_072, 180_000),
        variant="fp8",
    ),
    Fits("8xH100", "r1-distill-llama-70b", 4, (0.8, 0.84), (131_072, 131_072), (380_000, 430_000), variant="bf16"),
]


@pytest.mark.parametrize("case", FITS, ids=lambda case: f"{case.profile} on {case.machine}")
def test_a_model_that_fits_gets_the_settings_its_recipe_has(case: Fits) -> None:
    result = planned(case.machine, case.profile)

    assert result.accelerator == "cuda"
    assert decision(result, "tp_size").value == case.tp_size == len(result.gpu_indices)
    assert decision(result, "kv_cache_dtype").value == case.kv_cache_dtype
    assert case.variant in (None, result.to_json()["variant"]["name"])
    fraction = decision(result, "mem_fraction_static").value
    assert isinstance(fraction, float) and case.fraction[0] <= fraction <= case.fraction[1]
    assert case.context_length[0] <= result.context_length <= case.context_length[1]
    assert case.tokens[0] <= result.max_total_num_tokens <= case.tokens[1]


@dataclass(frozen=True)
class Refused:
    machine: str
    profile: str
    missing_gib: tuple[float, float]
    nearest: tuple[str, ...]


ON_24_GB = ("r1-distill-qwen-14b", "r1-0528-qwen3-8b", "r1-distill-llama-8b", "r1-distill-qwen-7b", "rehearsal")
REFUSED = [
    Refused("8xH100", "kimi-k2.6", (60, 76), ("deepseek-r1", "r1-distill-llama-70b", "r1-distill-qwen-32b")),
    Refused("8xA100", "kimi-k2.6", (57, 74), ("deepseek-r1", "r1-distill-llama-70b")),
    Refused("1xH200", "deepseek-r1", (200, 240), ("r1-distill-llama-70b", "r1-distill-qwen-32b")),
    Refused("1xRTX_4090", "kimi-k2.6", (530, 620), ON_24_GB),
    Refused("1xRTX_4090", "deepseek-r1", (320, 370), ON_24_GB),
    Refused("1xRTX_4090", "r1-distill-qwen-32b", (2, 8), ON_24_GB),
    Refused("cpu_only", "kimi-k2.6", (560, 640), ("rehearsal",)),
    Refused("cpu_only", "r1-distill-qwen-7b", (8, 14), ("rehearsal",)),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: f"{case.profile} on {case.machine}")
def test_a_model_that_does_not_fit_is_refused_with_what_is_missing_and_what_fits(case: Refused) -> None:
    refusal = refused(case.machine, case.profile)

    assert case.missing_gib[0] <= refusal.missing_bytes / GIB <= case.missing_gib[1]
    assert refusal.missing_bytes == refusal.needed_bytes - refusal.available_bytes
    assert refusal.nearest[: len(case.nearest)] == case.nearest
    assert refusal.machines
    assert case.profile in refusal.message


def test_a_refusal_says_the_missing_gib_and_the_way_out() -> None:
    refusal = refused("8xH100", "kimi-k2.6")

    assert f"{refusal.missing_bytes / GIB:.1f} GiB missing in all" in refusal.message
    assert "NVIDIA H100 80GB HBM3" in refusal.message
    assert refusal.hint.endswith("--nodes 2; kimi-k2.6 fits on 4× B300 or 8× H200 or 8× B200")


def test_without_a_gpu_the_refusal_repeats_what_the_driver_library_said() -> None:
    assert "libnvidia-ml.so.1 was not found" in refused("cpu_only", "kimi-k2.6").reason


def test_a_driver_too_old_is_refused_by_name_before_memory_is_looked_at() -> None:
    refusal = refused("old_driver", "r1-distill-qwen-7b")

    assert "525.60.13" in refusal.reason and "470.82.01" in refusal.reason
    assert refusal.missing_bytes == 0
    assert refusal.nearest == ("rehearsal",)
    assert refusal.hint == "Update the NVIDIA driver; this machine can serve rehearsal"


def test_a_release_that_was_asked_for_and_needs_a_newer_driver_can_be_left_out() -> None:
    refusal = refused("8xH200", "kimi-k2.6", Wishes(sglang_version="0.5.16"))

    assert refusal.hint.startswith("Update the NVIDIA driver, or leave out --sglang")
    assert "8× H200" not in refusal.hint


def test_memory_that_others_use_is_named_where_the_model_would_fit_without_them() -> None:
    refusal = refused("8xH100_busy", "deepseek-r1")

    assert refusal.hint.startswith("It fits once these are free: 61.0 GiB of GPU 0 by python3, ")
    assert "8× H100" not in refusal.hint
    assert refused("8xH100_busy", "kimi-k2.6").mend == ""


def test_gpus_that_stay_out_are_named_by_refusals_and_plans() -> None:
    assert refused("8xH100_one_lost", "kimi-k2.6").reason.endswith("; GPU 5 is left out: GPU is lost")
    assert "GPU 5 is left out: GPU is lost" in planned("8xH100_one_lost", "deepseek-r1").warnings
    assert "; GPU 0 is left out: divided into MIG slices" in refused("8xA100_MIG", "kimi-k2.6").reason


def test_more_ranks_than_the_gpus_can_hold_are_no_question_of_memory() -> None:
    for machine_name, ranks in (("8xH200", 16), ("4xB200", 8)):
        refusal = refused(machine_name, "kimi-k2.6", Wishes(dp_size=ranks))
        assert f"{ranks} data-parallel ranks do not fit" in refusal.reason
        assert refusal.hint.startswith("Leave out --dp")


@pytest.mark.parametrize(
    ("version", "too_old"),
    [("525.60.13", False), ("525.60.12", True), ("580.159.04", False), ("525.60", True), ("unknown", False)],
)
def test_driver_versions_are_compared_number_by_number(version: str, too_old: bool) -> None:
    assert driver_is_too_old(version) is too_old


def test_weights_that_the_gpu_cannot_compute_with_are_refused_by_compute_capability() -> None:
    reason = refused("8xA100", "deepseek-r1", Wishes(variant="fp8")).reason

    assert "compute capability 8.0, fp8 weights need 8.9" in reason


def test_every_setting_has_a_reason() -> None:
    result = planned("8xH200", "kimi-k2.6")

    assert all(item.because for item in (*result.decisions, *result.environment))


def test_the_prefix_cache_is_never_switched_off() -> None:
    names = {item.name for item in planned("8xH200", "deepseek-r1").decisions}

    assert "disable_radix_cache" not in names


def test_a_small_display_gpu_is_left_to_the_display() -> None:
    result = planned("2x48GB_and_display", "r1-distill-qwen-32b")

    assert result.gpu_indices == (1, 2)
    assert decision(result, "CUDA_VISIBLE_DEVICES").value == "1,2"
    [left_out] = result.excluded_gpus
    assert (left_out.index, left_out.name) == (0, "NVIDIA T400 4GB")


def test_a_model_that_one_gpu_holds_well_leaves_the_others_idle() -> None:
    assert len(planned("8xH200", "r1-distill-qwen-7b").gpu_indices) == 1


def test_gpus_that_the_user_names_are_all_used() -> None:
    result = planned("8xH200", "r1-distill-qwen-7b", Wishes(gpus=(4, 5, 6, 7)))

    assert result.gpu_indices == (4, 5, 6, 7)
    assert decision(result, "tp_size").value == 4


def test_three_gpus_are_used_as_two() -> None:
    assert len(planned("8xH200", "r1-distill-llama-70b", Wishes(gpus=(0, 1, 2))).gpu_indices) == 2


def test_memory_that_others_use_is_not_planned_with() -> None:
    idle = machine("8xH200")
    busy = replace(idle, gpus=(replace(idle.gpus[0], used_bytes=10 * GIB), *idle.gpus[1:]))
    result = plan(busy, profile("kimi-k2.6"), Wishes())

    assert isinstance(result, LaunchPlan)
    assert result.max_total_num_tokens < planned("8xH200", "kimi-k2.6").max_total_num_tokens
    assert any("GPU 0: 10.0 GiB are used by other processes" in warning for warning in result.warnings)


def test_unequal_free_memory_switches_off_the_check_that_would_stop_sglang() -> None:
    idle = machine("8xH200")
    busy = replace(idle, gpus=(replace(idle.gpus[0], used_bytes=20 * GIB), *idle.gpus[1:]))
    result = plan(busy, profile("kimi-k2.6"), Wishes())

    assert isinstance(result, LaunchPlan)
    assert decision(result, "SGLANG_ENABLE_TP_MEMORY_INBALANCE_CHECK").value == "false"


def test_idle_gpus_are_preferred_to_busy_ones() -> None:
    idle = machine("8xH200")
    busy = replace(idle, gpus=(replace(idle.gpus[0], used_bytes=20 * GIB), *idle.gpus[1:]))
    result = plan(busy, profile("r1-distill-qwen-7b"), Wishes())

    assert isinstance(result, LaunchPlan)
    assert result.gpu_indices == (1,)


def test_a_context_length_that_is_asked_for_is_kept_or_refused_but_never_lowered() -> None:
    kept = planned("1xRTX_4090", "r1-0528-qwen3-8b", Wishes(context_length=40_000))

    assert kept.context_length == 40_000
    assert refused("1xRTX_4090", "r1-0528-qwen3-8b", Wishes(context_length=131_072)).missing_bytes > 0


def test_concurrency_counts_sessions_that_fit_at_full_length() -> None:
    result = planned("8xH200", "kimi-k2.6", Wishes(context_length=131_072, concurrency=4))

    assert result.max_total_num_tokens >= 4 * 131_072
    assert decision(result, "max_running_requests").value == 4


def test_a_short_context_is_pointed_out() -> None:
    assert any("short for Codex" in warning for warning in planned("1xRTX_4090", "r1-0528-qwen3-8b").warnings)


def test_an_unpinned_revision_is_pointed_out_and_a_pinned_one_is_passed_on() -> None:
    loose = planned("8xH200", "kimi-k2.6")
    assert any("revision not pinned" in warning for warning in loose.warnings)

    checkpoint = replace(profile("kimi-k2.6").checkpoint, revision="0" * 40)
    result = plan(machine("8xH200"), replace(profile("kimi-k2.6"), checkpoint=checkpoint), Wishes())
    assert isinstance(result, LaunchPlan)
    assert not any("revision" in warning for warning in result.warnings)
    assert decision(result, "revision").value == "0" * 40


@pytest.mark.parametrize("name", ["cpu_only", "8xH200"])
def test_a_rehearsal_is_planned_for_the_cpu_on_every_machine(name: str) -> None:
    result = planned(name, "rehearsal")

    assert result.accelerator == "cpu"
    assert result.gpu_indices == ()
    assert decision(result, "device").value == "cpu"
    assert decision(result, "attention_backend").value == "torch_native"
    assert decision(result, "SGLANG_USE_CPU_ENGINE").value == "1"


def test_a_rehearsal_caches_as_many_sessions_as_are_asked_for() -> None:
    result = planned("cpu_only", "rehearsal", Wishes(context_length=65_536, concurrency=8))

    assert result.max_total_num_tokens == 8 * 65_536
    assert decision(result, "max_running_requests").value == 8


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        (Wishes(context_length=300_000), "--context 300000 is outside what kimi-k2.6 can do"),
        (Wishes(context_length=0), "--context 0 is outside"),
        (Wishes(concurrency=0), "--concurrency must be at least 1"),
        (Wishes(gpus=(0, 9)), "No GPU has the index 9"),
        (Wishes(host_cache_bytes=100_000 * GIB), "--host-cache 100000 is more than this machine's memory can spare"),
        (Wishes(dist_init_addr="10.0.0.1:20000"), "--dist-init-addr is for several nodes"),
        (Wishes(node_count=2, dist_init_addr="10.0.0.1"), "--dist-init-addr '10.0.0.1' is no address with a port"),
        (Wishes(node_count=2, dist_init_addr="10.0.0.1:65536"), "is no address with a port"),
    ],
)
def test_wishes_that_no_machine_grants_are_errors(wishes: Wishes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        plan(machine("8xH200"), profile("kimi-k2.6"), wishes)


def test_plans_and_refusals_are_json() -> None:
    assert json.loads(json.dumps(planned("8xH200", "kimi-k2.6").to_json()))["context_length"] == 262_144
    assert json.loads(json.dumps(refused("8xH100", "kimi-k2.6").to_json()))["missing"].endswith("GiB")


@pytest.mark.parametrize(
    ("machine_name", "version", "is_warned"), [("8xH200", "0.5.10.post1", True), ("8xB200", "0.5.23", False)]
)
def test_drafts_that_the_host_cache_forgets_are_told(machine_name: str, version: str, is_warned: bool) -> None:
    wishes = Wishes(prefer="latency", host_cache_bytes="auto", sglang_version=version)
    both = planned(machine_name, "deepseek-r1", wishes)
    assert both.host_cache_tokens and both.value_of("speculative_algorithm")
    assert any("draft model in the host cache" in warning for warning in both.warnings) is is_warned
    for alone in (replace(wishes, prefer=None), replace(wishes, host_cache_bytes=None)):
        warnings = planned(machine_name, "deepseek-r1", alone).warnings
        assert not any("draft model in the host cache" in warning for warning in warnings)


def test_pages_that_kernels_insist_on_are_in_the_plan() -> None:
    assert planned("8xB200", "kimi-k2.6").value_of("page_size") == 64
    assert planned("8xH200", "kimi-k2.6").value_of("page_size") is None

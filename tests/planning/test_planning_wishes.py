"""What each wish changes in a plan, and what it costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from recorded_machines import recorded_machine

from sgcx.errors import UserError
from sgcx.planning.plan import LaunchPlan, Refusal, Wishes
from sgcx.planning.planner import plan
from sgcx.planning.profile import HubCheckpoint
from sgcx.profiles import load_profile

NOWHERE = Path("/nonexistent")


def planned(machine: str, model: str, wishes: Wishes | None = None) -> LaunchPlan:
    made = plan(recorded_machine(machine), load_profile(model, NOWHERE), wishes or Wishes())
    assert isinstance(made, LaunchPlan), made
    return made


def declined(made: LaunchPlan, name: str) -> str | None:
    return next((each.because for each in made.declined if each.name == name), None)


def test_latency_lets_r1_guess_ahead_with_its_own_layer() -> None:
    fast, balanced = planned("8xH200", "deepseek-r1", Wishes(prefer="latency")), planned("8xH200", "deepseek-r1")

    settings = (
        "speculative_algorithm",
        "speculative_num_steps",
        "speculative_eagle_topk",
        "speculative_num_draft_tokens",
    )
    assert [fast.value_of(name) for name in settings] == ["EAGLE", 3, 1, 4]
    assert fast.value_of("speculative_draft_model_path") is None
    assert {each.name: each.value for each in fast.environment}["SGLANG_ENABLE_SPEC_V2"] == "1"
    assert fast.max_running_requests < balanced.max_running_requests
    assert fast.max_total_num_tokens < balanced.max_total_num_tokens
    assert fast.memory is not None and fast.memory.draft_bytes > 2 << 30
    assert balanced.value_of("speculative_algorithm") is None
    assert "--prefer latency" in (declined(balanced, "speculative decoding") or "")


def test_latency_gives_kimi_the_draft_model_of_its_profile() -> None:
    made = planned("8xB200", "kimi-k2.6", Wishes(prefer="latency", sglang_version="0.5.16"))

    assert made.value_of("speculative_algorithm") == "EAGLE3"
    assert made.value_of("speculative_draft_model_path") == "lightseekorg/kimi-k2.6-eagle3.1-mla"


@pytest.mark.parametrize("version", ["0.5.10.post1", "0.5.11"])
def test_a_draft_that_a_release_cannot_load_is_left_out(version: str) -> None:
    made = planned("8xB200", "kimi-k2.6", Wishes(prefer="latency", sglang_version=version))

    assert made.value_of("speculative_algorithm") is None
    assert "needs SGLang 0.5.16" in (declined(made, "speculative decoding") or "")


def test_a_model_without_a_draft_is_served_without_one() -> None:
    made = planned("1xH200", "r1-distill-qwen-32b", Wishes(prefer="latency"))

    assert made.value_of("speculative_algorithm") is None
    assert "no model that guesses ahead is known" in (declined(made, "speculative decoding") or "")


def test_a_draft_that_would_cost_the_context_is_left_out() -> None:
    made = planned("4xB200", "kimi-k2.6", Wishes(prefer="latency", sglang_version="0.5.23"))

    assert made.context_length == 262_144
    assert "does not fit" in (declined(made, "speculative decoding") or "")


def test_throughput_runs_more_requests_and_keeps_experts_whole_where_that_is_the_recipe() -> None:
    made = planned("4xB200", "deepseek-r1", Wishes(prefer="throughput"))

    assert (made.value_of("max_running_requests"), made.value_of("ep_size")) == (64, 4)
    assert planned("8xH200", "deepseek-r1", Wishes(prefer="throughput")).value_of("ep_size") is None


@pytest.mark.parametrize(
    ("wishes", "because"),
    [
        (Wishes(), "few long sessions"),
        (Wishes(prefer="throughput"), "many streams"),
        (Wishes(concurrency=3), "--concurrency"),
    ],
)
def test_how_many_requests_run_has_the_reason_that_was_wished_for(wishes: Wishes, because: str) -> None:
    made = planned("8xH200", "kimi-k2.6", wishes)
    (running,) = [each for each in made.decisions if each.name == "max_running_requests"]
    assert because in running.because


def test_the_machines_memory_keeps_older_sessions_only_when_asked_for() -> None:
    made = planned("8xH200", "kimi-k2.6", Wishes(host_cache_bytes="auto"))
    cache_bytes = made.memory.kv_cache_bytes if made.memory else 0

    size = made.value_of("hicache_size")
    assert isinstance(size, int) and size * 10**9 > cache_bytes, "SGLang refuses a smaller one"
    assert (made.value_of("hicache_io_backend"), made.value_of("page_size")) == ("direct", 64)
    assert made.host_cache_tokens > made.max_total_num_tokens
    assert "--host-cache auto" in (declined(planned("8xH200", "kimi-k2.6"), "host-memory cache") or "")


def test_memory_that_a_container_may_not_use_keeps_nothing() -> None:
    made = planned("container_with_32GB", "r1-distill-qwen-7b", Wishes(host_cache_bytes="auto"))

    assert made.value_of("enable_hierarchical_cache") is None
    assert declined(made, "host-memory cache") is not None


def test_nodes_divide_every_layer_over_a_fast_network_and_share_layers_over_a_slow_one() -> None:
    wishes = Wishes(node_count=2, dist_init_addr="10.0.0.1:20000")
    fast, slow = planned("8xH100_infiniband", "kimi-k2.6", wishes), planned("8xH100", "kimi-k2.6", wishes)

    assert (fast.value_of("tp_size"), fast.value_of("pp_size"), fast.value_of("nnodes")) == (16, None, 2)
    assert (slow.value_of("tp_size"), slow.value_of("pp_size"), slow.value_of("nnodes")) == (8, 2, 2)
    assert fast.value_of("dist_init_addr") == "10.0.0.1:20000"
    assert slow.max_total_num_tokens > 1.5 * fast.max_total_num_tokens, "a stage caches its own layers only"


def test_three_gpus_hold_as_stages_what_two_cannot() -> None:
    made = planned("3xRTX_4090", "r1-distill-llama-70b")

    assert (made.value_of("tp_size"), made.value_of("pp_size")) == (1, 3)
    assert made.gpu_indices == (0, 1, 2)


def test_data_parallel_attention_multiplies_caches_and_weights() -> None:
    one, eight = planned("8xH200", "kimi-k2.6"), planned("8xH200", "kimi-k2.6", Wishes(dp_size=8))

    assert (eight.value_of("dp_size"), eight.value_of("enable_dp_attention")) == (8, True)
    assert one.memory is not None and eight.memory is not None
    more_weights = (eight.memory.weights_bytes - one.memory.weights_bytes) / 10**9
    assert 9 < more_weights < 13, "10.8 GB published"
    assert eight.cache_tokens > 3 * one.cache_tokens


@pytest.mark.parametrize(
    ("machine", "model", "wishes", "sleeps"),
    [
        ("1xH200", "r1-0528-qwen3-8b", Wishes(), True),
        ("8xH200", "kimi-k2.6", Wishes(), True),
        ("8xH200", "kimi-k2.6", Wishes(dp_size=8), None),
        ("4xB200", "kimi-k2.6", Wishes(sglang_version="0.5.23"), None),
        ("3xRTX_4090", "r1-distill-llama-70b", Wishes(), None),
        ("8xH100_infiniband", "kimi-k2.6", Wishes(node_count=2, dist_init_addr="10.0.0.1:20000"), None),
    ],
)
def test_idle_schedulers_sleep_where_one_of_them_gets_every_request(
    machine: str, model: str, wishes: Wishes, sleeps: bool | None
) -> None:
    assert planned(machine, model, wishes).value_of("sleep_on_idle") == sleeps


def test_data_parallel_attention_wants_latent_attention() -> None:
    with pytest.raises(UserError, match="no latent attention"):
        planned("8xH200", "r1-distill-qwen-32b", Wishes(dp_size=2))


def test_a_variant_that_is_asked_for_is_taken_or_refused() -> None:
    made = planned("8xH200", "deepseek-r1", Wishes(variant="awq"))
    assert isinstance(made.profile.checkpoint, HubCheckpoint) and made.profile.checkpoint.variant == "awq"
    assert (made.value_of("quantization"), made.value_of("dtype")) == ("awq_marlin", "float16")

    refused = plan(recorded_machine("8xH200"), load_profile("deepseek-r1", NOWHERE), Wishes(variant="nvfp4"))
    assert isinstance(refused, Refusal)
    assert "compute capability 9.0, nvfp4 weights need 10.0" in refused.reason


def test_weights_that_answer_wrongly_on_a_gpu_are_never_chosen() -> None:
    wishes = Wishes(variant="nvfp4")
    refused = plan(recorded_machine("8xRTX_PRO_6000"), load_profile("kimi-k2.6", NOWHERE), wishes)

    assert isinstance(refused, Refusal)
    assert "garbage" in refused.reason


@pytest.mark.parametrize(("driver", "version"), [("535.104.05", "0.5.10.post1"), ("580.65.06", "0.5.23")])
def test_the_driver_decides_which_of_the_installable_releases_is_planned_for(driver: str, version: str) -> None:
    hardware = replace(recorded_machine("8xH200"), driver_version=driver)
    made = plan(hardware, load_profile("kimi-k2.6", NOWHERE), Wishes(), installable=("0.5.10.post1", "0.5.23"))

    assert isinstance(made, LaunchPlan)
    assert made.sglang_version == version


def test_a_release_that_the_driver_cannot_run_is_refused_with_the_driver_it_needs() -> None:
    hardware = replace(recorded_machine("8xH200"), driver_version="570.133.07")
    refused = plan(hardware, load_profile("kimi-k2.6", NOWHERE), Wishes(sglang_version="0.5.23"))

    assert isinstance(refused, Refusal)
    assert "needs NVIDIA driver 580.65.06 or newer, and this is 570.133.07" in refused.reason


@pytest.mark.parametrize(
    ("machine", "index", "reason"),
    [
        ("8xA100_MIG", 0, "MIG slices"),
        ("8xH100_busy", 0, "are used by python3"),
        ("mixed_GPUs", 3, "compute capability 8.6, fp8 weights need 8.9"),
        ("8xH200", 7, "the model does not need it"),
    ],
)
def test_a_gpu_that_stays_out_has_its_reason(machine: str, index: int, reason: str) -> None:
    excluded = {each.index: each.because for each in planned(machine, "r1-distill-qwen-32b").excluded_gpus}

    assert reason in excluded[index]


@pytest.mark.parametrize(
    ("machine", "warning"),
    [
        ("8xH200_fabric_down", "the NVLink fabric is not up"),
        ("8xRTX_PRO_6000", "have no NVLink between them"),
        ("4xGB200", "sgcx installs SGLang on x86-64 only, and this is aarch64"),
    ],
)
def test_what_would_spoil_a_start_is_pointed_out(machine: str, warning: str) -> None:
    assert any(warning in each for each in planned(machine, "deepseek-r1").warnings)

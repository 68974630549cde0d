"""A plan as a command line: the server's own flags, nothing secret, nothing doubled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from recorded_machines import recorded_machine

from sgcx.paths import Paths
from sgcx.planning.argv import build_argv, build_environment
from sgcx.planning.plan import LaunchPlan, Wishes
from sgcx.planning.planner import plan
from sgcx.profiles import load_profile
from sgcx.workflows.launch_command import UpOptions, launch_recipe


def launch_plan(machine: str, profile: str) -> LaunchPlan:
    result = plan(recorded_machine(machine), load_profile(profile, Path("/nonexistent")), Wishes())
    assert isinstance(result, LaunchPlan)
    return result


def argv(machine: str, profile: str) -> tuple[str, ...]:
    return build_argv(
        launch_plan(machine, profile),
        model_path="/models/it",
        served_model_name=profile,
        host="127.0.0.1",
        port=30123,
    )


def test_a_gpu_plan_becomes_sglangs_flags() -> None:
    line = " ".join(argv("8xH200", "kimi-k2.6"))

    assert line.startswith(
        "--model-path /models/it --served-model-name kimi-k2.6 --host 127.0.0.1 --port 30123 --tp-size 8 "
    )
    assert "--context-length 262144" in line
    assert "--trust-remote-code" in line
    assert "--enable-cache-report --enable-metrics" in line
    assert "--reasoning-parser kimi_k2 --tool-call-parser kimi_k2" in line


def test_a_rehearsal_becomes_the_cpu_flags() -> None:
    line = " ".join(argv("cpu_only", "rehearsal"))

    for flags in (
        "--device cpu",
        "--attention-backend torch_native",
        "--disable-cuda-graph",
        "--disable-overlap-schedule",
        "--dtype bfloat16",
        "--mem-fraction-static 0.5",
        "--chunked-prefill-size 4096",
        "--max-running-requests 32",
        "--grammar-backend xgrammar",
    ):
        assert flags in line


def test_no_flag_is_given_twice_and_none_carries_a_key() -> None:
    for machine, profile in (("8xH200", "kimi-k2.6"), ("8xH200", "deepseek-r1"), ("cpu_only", "rehearsal")):
        flags = [item for item in argv(machine, profile) if item.startswith("--")]
        assert len(flags) == len(set(flags))
        assert not any("key" in flag for flag in flags)


def test_the_environment_picks_the_gpus_by_bus_order() -> None:
    environment = build_environment(launch_plan("2x48GB_and_display", "r1-distill-qwen-32b"))

    assert environment["CUDA_VISIBLE_DEVICES"] == "1,2"
    assert environment["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert environment["SGLANG_TIMEOUT_KEEP_ALIVE"] == "120"
    assert "SGLANG_USE_CPU_ENGINE" not in environment


def test_the_environment_of_a_rehearsal_keeps_it_offline_and_on_the_cpu() -> None:
    environment = build_environment(launch_plan("8xH200", "rehearsal"))

    assert environment["SGLANG_USE_CPU_ENGINE"] == "1"
    assert environment["HF_HUB_OFFLINE"] == environment["TRANSFORMERS_OFFLINE"] == "1"
    assert environment["OMP_NUM_THREADS"] == environment["TORCHDYNAMO_DISABLE"] == "1"
    assert "CUDA_VISIBLE_DEVICES" not in environment


def test_a_draft_is_fetched_for_a_plan_that_guesses_only(tmp_path: Path) -> None:
    paths = Paths(data=tmp_path, state=tmp_path, config=tmp_path)
    draft = "lightseekorg/kimi-k2.6-eagle3.1-mla"
    profile = load_profile("kimi-k2.6", tmp_path)
    for prefer, is_fetched in (("latency", True), (None, False)):
        made = plan(recorded_machine("8xB200"), profile, Wishes(prefer=prefer, sglang_version="0.5.16"))
        assert isinstance(made, LaunchPlan)
        made = replace(made, sglang_version="0.5.10.post1")  # of which there is an engine
        fetched = [repository for repository, _ in launch_recipe(made, UpOptions(name="kimi"), paths).weights]
        assert (draft in fetched) is is_fetched

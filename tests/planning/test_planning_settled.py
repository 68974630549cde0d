"""SGLang's own rules, run on every plan for large models: none is refused, and nothing is changed behind its back."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from pathlib import Path

import pytest
from recorded_machines import recorded_machine

from sgcx.engines import cpu_shims
from sgcx.planning.argv import build_argv
from sgcx.planning.plan import LaunchPlan, Wishes
from sgcx.planning.planner import plan
from sgcx.planning.profile import HubCheckpoint
from sgcx.profiles import built_in_directory, load_profile

pytestmark = pytest.mark.engine

SETTLE = Path(__file__).parent / "settle_arguments.py"
MACHINES = ("8xH200", "8xB200", "4xB200", "8xRTX_PRO_6000", "8xA100")
MODELS = ("kimi-k2.6", "deepseek-r1", "r1-distill-qwen-32b")
WISHES = (
    Wishes(),
    Wishes(prefer="latency"),
    Wishes(prefer="latency", host_cache_bytes="auto"),
    Wishes(prefer="throughput", host_cache_bytes="auto"),
    Wishes(dp_size=8),
    Wishes(node_count=2, dist_init_addr="10.0.0.1:20000"),
)
QUANTIZED = {
    "fp8": {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]},
    "nvfp4": {"quant_method": "modelopt", "quant_algo": "NVFP4"},
    "awq": {"quant_method": "awq", "bits": 4, "group_size": 64, "zero_point": True, "version": "gemm"},
    "int4": {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "config_groups": {
            "group_0": {
                "targets": ["Linear"],
                "weights": {"num_bits": 4, "group_size": 32, "strategy": "group", "type": "int", "symmetric": True},
            }
        },
    },
}


def plans() -> list[LaunchPlan]:
    made = []
    for machine in MACHINES:
        for model in MODELS:
            for wishes in WISHES:
                if model != "r1-distill-qwen-32b" or wishes.dp_size == 1:
                    made.append(plan(recorded_machine(machine), load_profile(model, Path("/absent")), wishes))
    return [each for each in made if isinstance(each, LaunchPlan)]


def config_of(made: LaunchPlan) -> dict[str, object]:
    """A `config.json` such as the checkpoint has, from the shapes in the profile's file."""
    file = tomllib.loads((built_in_directory() / f"{made.profile.name}.toml").read_text(encoding="utf-8"))
    shapes = dict(file["architecture"])
    vision = shapes.pop("vision_config", None)
    latent = "kv_lora_rank" in shapes
    shapes |= {"max_position_embeddings": file["max_context_length"], "torch_dtype": "bfloat16"}
    checkpoint = made.profile.checkpoint
    assert isinstance(checkpoint, HubCheckpoint)
    if checkpoint.quantization in QUANTIZED:
        shapes["quantization_config"] = QUANTIZED[checkpoint.quantization]
    if not latent:
        return {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], **shapes}
    shapes["num_key_value_heads"] = shapes["num_attention_heads"]
    text = {"model_type": "deepseek_v3", "architectures": ["DeepseekV3ForCausalLM"], **shapes}
    if vision is None:
        return text
    kimi = {"model_type": "kimi_k25", "architectures": ["KimiK25ForConditionalGeneration"], "vision_config": vision}
    return {**kimi, "text_config": text, "quantization_config": shapes["quantization_config"]}


def case_for(made: LaunchPlan, folder: Path) -> dict[str, object]:
    checkpoint = made.profile.checkpoint
    assert isinstance(checkpoint, HubCheckpoint)
    model = folder / f"{made.profile.name}-{checkpoint.variant}"
    model.mkdir(exist_ok=True)
    (model / "config.json").write_text(json.dumps(config_of(made)))
    gpu = next(gpu for name in MACHINES for gpu in recorded_machine(name).gpus if gpu.name == made.gpu_name)
    return {
        "argv": build_argv(made, model_path=str(model), served_model_name="m", host="127.0.0.1", port=30000),
        "environment": {each.name: str(each.value) for each in made.environment},
        "compute_capability": gpu.compute_capability,
        "total_mib": gpu.total_bytes >> 20,
    }


@pytest.fixture(scope="module")
def settled(
    engine_python: Path, sglang_site_packages: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[LaunchPlan, dict[str, object]]]:
    made = plans()
    folder = tmp_path_factory.mktemp("models")
    done = subprocess.run(
        [engine_python, SETTLE, sglang_site_packages],
        input=json.dumps([case_for(each, folder) for each in made]),
        env={
            **os.environ,
            "PYTHONPATH": str(Path(cpu_shims.__file__).parent),
            "SGLANG_USE_CPU_ENGINE": "1",
            "HF_HUB_OFFLINE": "1",
        },
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return list(zip(made, json.loads(done.stdout), strict=True))


def test_no_plan_is_refused(settled: list[tuple[LaunchPlan, dict[str, object]]]) -> None:
    assert len(settled) > 60
    for made, outcome in settled:
        assert "refused" not in outcome, (made.gpu_name, made.profile.name, outcome["refused"])


def test_what_a_plan_says_is_what_sglang_does(settled: list[tuple[LaunchPlan, dict[str, object]]]) -> None:
    for made, outcome in settled:
        planned = {each.name: each.value for each in made.decisions}
        if made.parallelism.dp_size > 1:  # as the reason says
            planned["chunked_prefill_size"] = int(str(planned["chunked_prefill_size"])) // made.parallelism.dp_size
        assert {name: outcome[name] for name in planned} == planned, (made.gpu_name, made.profile.name)


def test_nothing_that_a_session_needs_is_given_up(settled: list[tuple[LaunchPlan, dict[str, object]]]) -> None:
    for made, outcome in settled:
        overlaps = made.parallelism.pp_size == 1
        assert outcome["disable_overlap_schedule"] is not overlaps
        assert outcome["disable_radix_cache"] is False
        assert outcome["disable_cuda_graph"] is False
        assert outcome["decode_attention_backend"] is None, "one that is not the plan's"
        assert outcome["page_size"] == (made.value_of("page_size") or 1)

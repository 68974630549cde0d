"""Turns a layout into a launch plan for GPUs: every SGLang flag and environment variable, each with its reason.

SGLang's defaults are never trusted with memory: they look at the smallest GPU of the machine, used or not, and fail or
starve on several machines that hold the model well.
"""

from __future__ import annotations

from sgcx.planning.driver import SGLANG_VERSION
from sgcx.planning.layout import Layout
from sgcx.planning.memory import GIB, gib, kv_bytes_per_token
from sgcx.planning.plan import Decision, LaunchPlan, reading_decisions
from sgcx.planning.profile import HubCheckpoint, Profile
from sgcx.planning.snapshot import GpuSnapshot, HardwareSnapshot

COMFORTABLE_CONTEXT_LENGTH = 65_536
_QUEUE_PER_RUNNING = 4
_SLOW_LOAD_BYTES = 100 * 10**9
_SLOW_LOAD_TIMEOUT_S = 3600
_BALANCE_TOLERANCE = 0.9
"""SGLang refuses to start when the fullest GPU has less than this share of another's free memory."""


def build_gpu_plan(
    hardware: HardwareSnapshot,
    profile: Profile,
    checkpoint: HubCheckpoint,
    layout: Layout,
    max_running_requests: int,
) -> LaunchPlan:
    return LaunchPlan(
        profile=profile,
        accelerator="cuda",
        sglang_version=SGLANG_VERSION,
        gpu_indices=tuple(gpu.index for gpu in layout.gpus),
        decisions=(
            *_memory_decisions(profile, checkpoint, layout),
            *_traffic_decisions(max_running_requests),
            *_loading_decisions(checkpoint),
            *reading_decisions(profile),
        ),
        environment=_environment(hardware, layout),
        context_length=layout.context_length,
        max_running_requests=max_running_requests,
        max_total_num_tokens=layout.fit.max_total_num_tokens,
        memory=layout.fit.estimate,
        warnings=tuple(_warnings(profile, checkpoint, layout)),
    )


def _memory_decisions(profile: Profile, checkpoint: HubCheckpoint, layout: Layout) -> tuple[Decision, ...]:
    settings, result = layout.settings, layout.fit
    return (
        Decision("tp_size", settings.tp_size, _because_tp_size(checkpoint, layout)),
        Decision("mem_fraction_static", result.mem_fraction_static, _because_fraction(layout)),
        Decision("context_length", layout.context_length, _because_context(profile, layout)),
        Decision("kv_cache_dtype", settings.kv_cache_dtype, _because_kv_cache(checkpoint, layout)),
        Decision(
            "chunked_prefill_size",
            settings.chunked_prefill_size,
            "the largest prefill step whose activations leave room for the cache",
        ),
        Decision(
            "cuda_graph_max_bs",
            settings.cuda_graph_max_bs,
            "graphs for twice the running requests: more would cost memory and start-up time for nothing",
        ),
    )


def _because_tp_size(checkpoint: HubCheckpoint, layout: Layout) -> str:
    tp_size = layout.settings.tp_size
    weights = gib(layout.fit.estimate.weights_bytes)
    if tp_size == 1:
        return f"{weights} of weights fit on one GPU"
    return f"{gib(checkpoint.weights_bytes)} of weights divide into {weights} for each of {tp_size} GPUs"


def _because_fraction(layout: Layout) -> str:
    estimate = layout.fit.estimate
    rest = estimate.runtime_bytes + estimate.multimodal_bytes + estimate.reserve_bytes
    return (
        f"{gib(estimate.weights_bytes)} weights and {gib(estimate.kv_cache_bytes)} cache; {gib(rest)} stay free "
        f"for activations, graphs and reserve, {gib(estimate.overhead_bytes)} are CUDA's own"
    )


def _because_context(profile: Profile, layout: Layout) -> str:
    tokens = f"about {layout.fit.max_total_num_tokens:,} tokens fit in the cache"
    if layout.context_length == profile.max_context_length:
        return f"the model's full length; {tokens}"
    return f"{tokens}; the model could do {profile.max_context_length:,}"


def _because_kv_cache(checkpoint: HubCheckpoint, layout: Layout) -> str:
    per_token = kv_bytes_per_token(checkpoint, layout.settings)
    if layout.settings.kv_cache_dtype == "auto":
        return f"bfloat16, {per_token:,} bytes for each token on each GPU: full precision fits"
    return f"half of bfloat16, {per_token:,} bytes for each token on each GPU: full precision is too large"


def _traffic_decisions(max_running_requests: int) -> tuple[Decision, ...]:
    return (
        Decision("max_running_requests", max_running_requests, "few long sessions, not many short requests"),
        Decision(
            "max_queued_requests",
            max_running_requests * _QUEUE_PER_RUNNING,
            "overload is answered with 503 at once, and Codex tries again",
        ),
        Decision(
            "schedule_policy",
            "lpm",
            "requests with the longest cached prefix first: Codex sends its whole history each turn",
        ),
        Decision("enable_cache_report", True, "usage then says how many prompt tokens came from the cache"),
        Decision("enable_metrics", True, "/metrics for Prometheus"),
    )


def _loading_decisions(checkpoint: HubCheckpoint) -> list[Decision]:
    decisions: list[Decision] = []
    if checkpoint.revision is not None:
        decisions.append(Decision("revision", checkpoint.revision, "weights and code stay what they were"))
    if checkpoint.trust_remote_code:
        because = "the tokenizer is Python code in the model's repository"
        decisions.append(Decision("trust_remote_code", True, because))
    if checkpoint.weights_bytes >= _SLOW_LOAD_BYTES:
        because = f"reading {gib(checkpoint.weights_bytes)} can outlast SGLang's own limits"
        decisions.append(Decision("watchdog_timeout", _SLOW_LOAD_TIMEOUT_S, because))
        decisions.append(Decision("dist_timeout", _SLOW_LOAD_TIMEOUT_S, because))
    return decisions


def _environment(hardware: HardwareSnapshot, layout: Layout) -> tuple[Decision, ...]:
    indices = ",".join(str(gpu.index) for gpu in layout.gpus)
    variables = [
        Decision("CUDA_DEVICE_ORDER", "PCI_BUS_ID", "CUDA then numbers GPUs as NVML does"),
        Decision("CUDA_VISIBLE_DEVICES", indices, _because_devices(hardware, layout)),
    ]
    free = [gpu.free_bytes for gpu in layout.gpus]
    if min(free) < max(free) * _BALANCE_TOLERANCE:
        because = "some GPUs are partly in use; the plan is made for the fullest of them"
        variables.append(Decision("SGLANG_ENABLE_TP_MEMORY_INBALANCE_CHECK", "false", because))
    return tuple(variables)


def _because_devices(hardware: HardwareSnapshot, layout: Layout) -> str:
    chosen = f"{len(layout.gpus)} × {layout.gpus[0].name}"
    idle = [_describe(gpu) for gpu in hardware.gpus if gpu not in layout.gpus]
    return f"{chosen}; not used: {', '.join(idle)}" if idle else chosen


def _describe(gpu: GpuSnapshot) -> str:
    return f"GPU {gpu.index} ({gpu.name}, {gib(gpu.free_bytes)} free)"


def _warnings(profile: Profile, checkpoint: HubCheckpoint, layout: Layout) -> list[str]:
    warnings = list(profile.warnings)
    if checkpoint.revision is None:
        warnings.append(
            "revision not pinned: weights and remote code follow the repository's default branch; "
            "pin with `source.revision` in the profile"
        )
    if layout.context_length < COMFORTABLE_CONTEXT_LENGTH:
        warnings.append(
            f"context_length {layout.context_length:,} is short for Codex: "
            f"{COMFORTABLE_CONTEXT_LENGTH:,} and more are comfortable"
        )
    busy = [gpu for gpu in layout.gpus if gpu.used_bytes > GIB]
    warnings.extend(f"GPU {gpu.index}: {gib(gpu.used_bytes)} are used by other processes" for gpu in busy)
    return warnings

"""Turns a layout into a launch plan for GPUs: every SGLang flag and environment variable, each with its reason.

SGLang's defaults are never trusted with memory: they look at the smallest GPU of the machine, used or not, and fail or
starve on several machines that hold the model well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sgcx.byte_sizes import GIB, gib
from sgcx.planning.backends import attention_backend, moe_runner_backend, page_size
from sgcx.planning.calibration import Prediction
from sgcx.planning.division_plan import declined_divisions, divides_experts, division_decisions
from sgcx.planning.driver import SGLANG_VERSION
from sgcx.planning.host_cache import (
    HostCache,
    choose_host_cache,
    declined_host_cache,
    host_cache_decisions,
    host_cache_warnings,
)
from sgcx.planning.layout import Demand, Layout, calibration_key
from sgcx.planning.measured_speed import SpeedKey
from sgcx.planning.memory import kv_bytes_per_token
from sgcx.planning.plan import Decision, LaunchPlan, Wishes, reading_decisions
from sgcx.planning.profile import HubCheckpoint, Measurement, Profile
from sgcx.planning.selection import ExcludedGpu
from sgcx.planning.snapshot import HardwareSnapshot
from sgcx.planning.speculation_plan import declined_speculation, speculation_decisions, speculation_environment
from sgcx.planning.speed import estimate_speed

COMFORTABLE_CONTEXT_LENGTH = 65_536
_QUEUE_PER_RUNNING = 4
_SLOW_LOAD_BYTES = 100 * 10**9
_SLOW_LOAD_TIMEOUT_S = 3600
_BALANCE_TOLERANCE = 0.9
"""SGLang refuses to start when the fullest GPU has less than this share of another's free memory."""
_ENGINE_ARCHITECTURES = ("x86_64", "AMD64")


@dataclass(frozen=True, slots=True)
class Chosen:
    """A variant and where it goes."""

    profile: Profile
    checkpoint: HubCheckpoint
    layout: Layout
    excluded: tuple[ExcludedGpu, ...]


def build_gpu_plan(hardware: HardwareSnapshot, chosen: Chosen, wishes: Wishes, demand: Demand) -> LaunchPlan:
    checkpoint, layout = chosen.checkpoint, chosen.layout
    host_cache = choose_host_cache(hardware, checkpoint, layout, wishes)
    linked_by_nvlink = hardware.all_linked_by_nvlink(each.index for each in layout.gpus)
    speed_key = _speed_key(checkpoint, layout, wishes, demand)
    return LaunchPlan(
        profile=chosen.profile.with_variant(checkpoint),
        accelerator="cuda",
        sglang_version=demand.sglang_version,
        gpu_indices=tuple(each.index for each in layout.gpus),
        decisions=_decisions(chosen, wishes, demand, host_cache),
        environment=_environment(layout, demand),
        context_length=layout.context_length,
        max_running_requests=demand.max_running_requests,
        max_total_num_tokens=layout.fit.max_total_num_tokens,
        memory=layout.fit.estimate,
        warnings=(
            *_warnings(hardware, chosen, linked_by_nvlink=linked_by_nvlink),
            *host_cache_warnings(layout, host_cache, demand.sglang_version),
        ),
        gpu_name=layout.gpus[0].name,
        parallelism=layout.settings.parallelism,
        node_count=layout.node_count,
        declined=(
            *declined_divisions(checkpoint, layout, wishes),
            *declined_speculation(checkpoint, layout, demand),
            *declined_host_cache(hardware, checkpoint, layout, wishes, host_cache),
        ),
        excluded_gpus=chosen.excluded,
        speed=estimate_speed(
            checkpoint,
            layout,
            demand.max_running_requests,
            linked_by_nvlink=linked_by_nvlink or not hardware.gpu_links,
            measured=demand.calibrations.speeds.get(speed_key),
        ),
        speed_key=speed_key,
        measurements=_published(chosen),
        prediction=_prediction(checkpoint, layout, demand),
        host_cache_tokens=0 if host_cache is None else host_cache.tokens,
    )


def _decisions(chosen: Chosen, wishes: Wishes, demand: Demand, host_cache: HostCache | None) -> tuple[Decision, ...]:
    profile, checkpoint, layout = chosen.profile, chosen.checkpoint, chosen.layout
    return (
        *division_decisions(checkpoint, layout, wishes),
        *_memory_decisions(profile, checkpoint, layout),
        *_kernel_decisions(checkpoint, layout),
        *speculation_decisions(checkpoint, layout, demand),
        *host_cache_decisions(checkpoint, layout, host_cache),
        *_traffic_decisions(demand.max_running_requests, _because_running(wishes)),
        *_idle_decisions(layout, demand.sglang_version),
        *_loading_decisions(checkpoint),
        *reading_decisions(profile),
    )


def _prediction(checkpoint: HubCheckpoint, layout: Layout, demand: Demand) -> Prediction:
    return Prediction(
        key=calibration_key(checkpoint, layout.gpus[0], demand),
        weights_bytes=layout.fit.estimate.weights_bytes,
        max_total_num_tokens=layout.fit.max_total_num_tokens,
        kv_bytes_per_token=kv_bytes_per_token(checkpoint, layout.settings),
        calibration=layout.settings.calibration,
    )


def _speed_key(checkpoint: HubCheckpoint, layout: Layout, wishes: Wishes, demand: Demand) -> SpeedKey:
    parallelism = layout.settings.parallelism
    if divides_experts(checkpoint, layout, wishes):
        parallelism = replace(parallelism, ep_size=parallelism.tp_size)
    return SpeedKey(
        repository=checkpoint.repository,
        gpu_name=layout.gpus[0].name,
        sglang_version=demand.sglang_version,
        parallelism=parallelism,
        speculates=layout.settings.draft is not None,
    )


def _published(chosen: Chosen) -> tuple[Measurement, ...]:
    """What others measured with these weights on as many such GPUs."""
    gpus = chosen.layout.gpus
    return tuple(
        each
        for each in chosen.profile.measurements
        if each.variant == chosen.checkpoint.variant and each.gpu in gpus[0].name and each.gpu_count == len(gpus)
    )


def _memory_decisions(profile: Profile, checkpoint: HubCheckpoint, layout: Layout) -> tuple[Decision, ...]:
    settings, result = layout.settings, layout.fit
    return (
        Decision("mem_fraction_static", result.mem_fraction_static, _because_fraction(layout)),
        Decision("context_length", layout.context_length, _because_context(profile, layout)),
        Decision("kv_cache_dtype", settings.kv_cache_dtype, _because_kv_cache(checkpoint, layout)),
        Decision(
            "chunked_prefill_size",
            settings.chunked_prefill_size,
            _because_chunk(settings.parallelism.dp_size),
        ),
        Decision(
            "cuda_graph_max_bs",
            settings.cuda_graph_max_bs,
            "graphs for as many requests as run: more would cost memory and start-up time for nothing",
        ),
    )


def _because_fraction(layout: Layout) -> str:
    estimate = layout.fit.estimate
    rest = estimate.runtime_bytes + estimate.multimodal_bytes + estimate.reserve_bytes + estimate.draft_bytes
    return (
        f"{gib(estimate.weights_bytes)} weights and {gib(estimate.kv_cache_bytes)} cache; {gib(rest)} stay free "
        f"for activations, graphs and reserve, {gib(estimate.overhead_bytes)} are CUDA's own"
    )


def _because_context(profile: Profile, layout: Layout) -> str:
    tokens = f"about {layout.fit.max_total_num_tokens:,} tokens fit in the cache"
    if layout.context_length == profile.max_context_length:
        return f"the model's full length; {tokens}"
    return f"{tokens}; the model could do {profile.max_context_length:,}"


def _because_chunk(dp_size: int) -> str:
    because = "the largest prefill step whose activations leave room for the cache"
    return because if dp_size == 1 else f"{because}; SGLang divides it among the {dp_size} ranks"


def _because_kv_cache(checkpoint: HubCheckpoint, layout: Layout) -> str:
    per_token = kv_bytes_per_token(checkpoint, layout.settings)
    if layout.settings.kv_cache_dtype == "auto":
        return f"the model's own 16 bits, {per_token:,} bytes for each token on each GPU: full precision fits"
    return f"half of 16 bits, {per_token:,} bytes for each token on each GPU: full precision is too large"


def _kernel_decisions(checkpoint: HubCheckpoint, layout: Layout) -> list[Decision]:
    gpu = layout.gpus[0]
    attention = attention_backend(checkpoint, gpu)
    kernels = (attention, page_size(attention), moe_runner_backend(checkpoint, gpu))
    decisions = [decision for decision in kernels if decision is not None]
    because = f"what {checkpoint.repository} needs"
    decisions += [
        Decision(name, True if value is True else value, because) for name, value in checkpoint.options if value
    ]
    return decisions


def _because_running(wishes: Wishes) -> str:
    if wishes.concurrency is not None:
        return "the sessions of --concurrency, all at work at once"
    if wishes.prefer == "throughput":
        return "many streams, which together are faster and each for itself slower"
    return "few long sessions, not many short requests"


def _traffic_decisions(max_running_requests: int, because_running: str) -> tuple[Decision, ...]:
    return (
        Decision("max_running_requests", max_running_requests, because_running),
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


def _idle_decisions(layout: Layout, sglang_version: str) -> list[Decision]:
    """One rank sleeps until a request comes, and the others wait for it, so each request has to come to that rank.

    Releases without the patch `idle-grammar` sleep over grammars as well, for up to a second.
    """
    parallelism = layout.settings.parallelism
    divided = parallelism.dp_size > 1 or parallelism.pp_size > 1 or layout.node_count > 1
    if divided or sglang_version != SGLANG_VERSION:
        return []
    return [Decision("sleep_on_idle", True, "schedulers that wait would keep a core busy each")]


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


def _environment(layout: Layout, demand: Demand) -> tuple[Decision, ...]:
    indices = ",".join(str(gpu.index) for gpu in layout.gpus)
    variables = [
        Decision("CUDA_DEVICE_ORDER", "PCI_BUS_ID", "CUDA then numbers GPUs as NVML does"),
        Decision("CUDA_VISIBLE_DEVICES", indices, f"{len(layout.gpus)} × {layout.gpus[0].name}"),
    ]
    free = [gpu.free_bytes for gpu in layout.gpus]
    if min(free) < max(free) * _BALANCE_TOLERANCE:
        because = "some GPUs are partly in use; the plan is made for the fullest of them"
        variables.append(Decision("SGLANG_ENABLE_TP_MEMORY_INBALANCE_CHECK", "false", because))
    variables += speculation_environment(layout, demand)
    return tuple(variables)


def _warnings(hardware: HardwareSnapshot, chosen: Chosen, *, linked_by_nvlink: bool) -> list[str]:
    checkpoint, layout = chosen.checkpoint, chosen.layout
    warnings = [*chosen.profile.warnings, *checkpoint.warnings]
    if checkpoint.revision is None and not checkpoint.is_local:
        warnings.append(
            "revision not pinned: weights and remote code follow the repository's default branch; "
            "pin with `revision` in the profile's variant"
        )
    if layout.context_length < COMFORTABLE_CONTEXT_LENGTH:
        warnings.append(
            f"context_length {layout.context_length:,} is short for Codex: "
            f"{COMFORTABLE_CONTEXT_LENGTH:,} and more are comfortable"
        )
    if hardware.gpu_links and len(layout.gpus) > 1 and not linked_by_nvlink:
        warnings.append("these GPUs have no NVLink between them: each layer's exchange over PCIe slows every token")
    if any(gpu.fabric_state in ("not_started", "in_progress") for gpu in layout.gpus):
        warnings.append(
            "the NVLink fabric is not up: CUDA fails until the fabric manager runs; `sgcx doctor` says more"
        )
    if hardware.architecture not in _ENGINE_ARCHITECTURES:
        warnings.append(f"sgcx installs SGLang on x86-64 only, and this is {hardware.architecture}")
    if hardware.gpu_note:
        warnings.append(hardware.gpu_note)
    busy = [gpu for gpu in layout.gpus if gpu.used_bytes > GIB]
    warnings.extend(f"GPU {gpu.index}: {gib(gpu.used_bytes)} are used by other processes" for gpu in busy)
    return warnings

"""The plan for a scripted checkpoint: the real SGLang on the CPU, on any machine.

The checkpoint is tiny, so nothing depends on the hardware: two cores and 4 GB of memory serve a Codex session of sixty
turns. It is planned for the CPU on a machine with GPUs too; a rehearsal is the same everywhere.
"""

from __future__ import annotations

from sgcx.planning.driver import SGLANG_VERSION
from sgcx.planning.plan import Decision, LaunchPlan, Wishes, reading_decisions
from sgcx.planning.profile import Profile

_MAX_RUNNING_REQUESTS = 32
_SESSIONS_IN_CACHE = 2


def build_cpu_plan(profile: Profile, wishes: Wishes) -> LaunchPlan:
    context_length = wishes.context_length or profile.max_context_length
    max_running_requests = wishes.concurrency or _MAX_RUNNING_REQUESTS
    sessions = max(_SESSIONS_IN_CACHE, wishes.concurrency or 0)
    max_total_tokens = context_length * sessions
    return LaunchPlan(
        profile=profile,
        accelerator="cpu",
        sglang_version=wishes.sglang_version or SGLANG_VERSION,
        gpu_indices=(),
        decisions=(
            *_engine_decisions(),
            *_size_decisions(context_length, max_total_tokens, max_running_requests),
            *reading_decisions(profile),
        ),
        environment=_environment(),
        context_length=context_length,
        max_running_requests=max_running_requests,
        max_total_num_tokens=max_total_tokens,
        memory=None,
        warnings=profile.warnings,
    )


def _engine_decisions() -> tuple[Decision, ...]:
    return (
        Decision("device", "cpu", "a scripted checkpoint needs no GPU"),
        Decision("dtype", "bfloat16", "the format of the checkpoint"),
        Decision("attention_backend", "torch_native", "the attention that needs no compiled kernels"),
        Decision("disable_cuda_graph", True, "there is no CUDA"),
        Decision("disable_overlap_schedule", True, "it overlaps CPU and GPU work; here is only one of them"),
        Decision("sleep_on_idle", True, "a waiting scheduler would keep one core busy"),
        Decision("grammar_backend", "xgrammar", "as on a GPU, so that constrained output is rehearsed too"),
    )


def _size_decisions(context_length: int, max_total_tokens: int, max_running_requests: int) -> tuple[Decision, ...]:
    return (
        Decision("context_length", context_length, "room for a Codex session of sixty turns"),
        Decision(
            "max_total_tokens", max_total_tokens, f"{max_total_tokens // context_length} full sessions stay cached"
        ),
        Decision("mem_fraction_static", 0.5, "max_total_tokens sets the cache; others may use memory meanwhile"),
        Decision("chunked_prefill_size", 4096, "a long prompt is read in steps, so that others get a turn"),
        Decision("max_running_requests", max_running_requests, "each is light"),
        Decision("max_queued_requests", 4 * max_running_requests, "overload is answered with 503 at once"),
        Decision("schedule_policy", "lpm", "as on a GPU: longest cached prefix first"),
        Decision("enable_cache_report", True, "usage then says how many prompt tokens came from the cache"),
        Decision("enable_metrics", True, "/metrics for Prometheus"),
    )


def _environment() -> tuple[Decision, ...]:
    return (
        Decision("SGLANG_USE_CPU_ENGINE", "1", "SGLang looks for a GPU otherwise"),
        Decision("OMP_NUM_THREADS", "1", "a tiny model loses more to threads than it gains"),
        Decision("TORCHDYNAMO_DISABLE", "1", "torch would compile small kernels with a C++ compiler, if there is one"),
        Decision("HF_HUB_OFFLINE", "1", "everything it needs is on this machine"),
        Decision("TRANSFORMERS_OFFLINE", "1", "everything it needs is on this machine"),
        Decision("TOKENIZERS_PARALLELISM", "false", "SGLang forks after the tokenizer is loaded"),
    )

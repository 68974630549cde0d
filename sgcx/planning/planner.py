"""Hardware + profile + wishes → a launch plan that explains itself, or a refusal that says what is missing."""

from __future__ import annotations

from sgcx.errors import UserError
from sgcx.planning.cpu_plan import build_cpu_plan
from sgcx.planning.driver import DRIVER_FLOOR, SGLANG_VERSION, driver_is_too_old
from sgcx.planning.gpu_plan import build_gpu_plan
from sgcx.planning.layout import (
    DEFAULT_MAX_RUNNING_REQUESTS,
    Demand,
    Layout,
    Shortfall,
    choose_layout,
    least_settings,
)
from sgcx.planning.machines import known_machines
from sgcx.planning.memory import allowed_tp_sizes, gib, needed_bytes
from sgcx.planning.plan import LaunchPlan, Refusal, Wishes
from sgcx.planning.profile import HubCheckpoint, Profile, ScriptedCheckpoint
from sgcx.planning.snapshot import GpuSnapshot, HardwareSnapshot

_MACHINES_NAMED = 3


def plan(
    hardware: HardwareSnapshot,
    profile: Profile,
    wishes: Wishes,
    candidates: tuple[Profile, ...] = (),
) -> LaunchPlan | Refusal:
    """`candidates` are the profiles that a refusal may name instead.

    Wishes that no machine could grant raise UserError.
    """
    _check_wishes(hardware, profile, wishes)
    match profile.checkpoint:
        case ScriptedCheckpoint():
            if wishes.accelerator == "cuda":
                raise UserError(f"{profile.name} runs on the CPU only", hint="Leave out the accelerator")
            return build_cpu_plan(profile, wishes)
        case HubCheckpoint() as checkpoint:
            if wishes.accelerator == "cpu":
                reason = f"{SGLANG_VERSION} serves it on NVIDIA GPUs only"
                return _refusal(hardware, profile, candidates, reason)
            return _plan_for_gpus(hardware, profile, checkpoint, wishes, candidates)


def _check_wishes(hardware: HardwareSnapshot, profile: Profile, wishes: Wishes) -> None:
    if wishes.context_length is not None and not 1 <= wishes.context_length <= profile.max_context_length:
        raise UserError(
            f"context_length {wishes.context_length:,} is outside what {profile.name} can do",
            hint=f"1 to {profile.max_context_length:,} tokens",
        )
    if wishes.concurrency is not None and wishes.concurrency < 1:
        raise UserError(f"concurrency must be at least 1, not {wishes.concurrency}")
    present = {gpu.index for gpu in hardware.gpus}
    absent = [str(index) for index in wishes.gpus or () if index not in present]
    if absent:
        known = ", ".join(str(index) for index in sorted(present)) or "none"
        raise UserError(f"No GPU has the index {', '.join(absent)}", hint=f"GPUs of this machine: {known}")


def _plan_for_gpus(
    hardware: HardwareSnapshot,
    profile: Profile,
    checkpoint: HubCheckpoint,
    wishes: Wishes,
    candidates: tuple[Profile, ...],
) -> LaunchPlan | Refusal:
    demand = _demand(profile, wishes)
    gpus = _usable_gpus(hardware, checkpoint, wishes)
    obstacle = _obstacle(hardware, checkpoint, gpus)
    if obstacle is not None:
        needed = _smallest_need(checkpoint, demand) if not hardware.gpus else 0
        if needed:
            obstacle += f": {gib(needed)} of GPU memory are missing"
        return _refusal(hardware, profile, candidates, obstacle, demand=demand, needed=needed)
    match choose_layout(checkpoint, gpus, demand):
        case Layout() as layout:
            return build_gpu_plan(hardware, profile, checkpoint, layout, demand.max_running_requests)
        case Shortfall() as shortfall:
            return _refusal_for_memory(hardware, profile, candidates, demand, shortfall)


def _demand(profile: Profile, wishes: Wishes) -> Demand:
    return Demand(
        context_length=wishes.context_length or profile.max_context_length,
        context_is_fixed=wishes.context_length is not None,
        sessions=wishes.concurrency or 1,
        max_running_requests=wishes.concurrency or DEFAULT_MAX_RUNNING_REQUESTS,
        uses_all_gpus=wishes.gpus is not None,
    )


def _usable_gpus(hardware: HardwareSnapshot, checkpoint: HubCheckpoint, wishes: Wishes) -> tuple[GpuSnapshot, ...]:
    return tuple(
        gpu
        for gpu in hardware.gpus
        if gpu.compute_capability >= checkpoint.minimum_compute_capability
        and (wishes.gpus is None or gpu.index in wishes.gpus)
    )


def _obstacle(hardware: HardwareSnapshot, checkpoint: HubCheckpoint, usable: tuple[GpuSnapshot, ...]) -> str | None:
    """What stands in the way before memory does."""
    if not hardware.gpus:
        return f"it has no NVIDIA GPU that can be used ({hardware.gpu_note or 'none was found'})"
    driver = hardware.driver_version
    if driver is not None and driver_is_too_old(driver):
        floor = ".".join(str(number) for number in DRIVER_FLOOR)
        return f"SGLang {SGLANG_VERSION} needs NVIDIA driver {floor} or newer, and this is {driver}"
    if not usable:
        major, minor = checkpoint.minimum_compute_capability
        names = ", ".join(sorted({gpu.name for gpu in hardware.gpus}))
        return f"its {checkpoint.quantization} weights need compute capability {major}.{minor}: not {names}"
    return None


def _smallest_need(checkpoint: HubCheckpoint, demand: Demand) -> int:
    """On all GPUs together, over the counts that one machine has."""
    gpu = known_machines()[0][1][0]
    return min(
        tp_size * needed_bytes(checkpoint, least_settings(checkpoint, gpu, tp_size, demand), demand.minimum_tokens)
        for tp_size in allowed_tp_sizes(checkpoint, 8)
    )


def _refusal_for_memory(
    hardware: HardwareSnapshot,
    profile: Profile,
    candidates: tuple[Profile, ...],
    demand: Demand,
    shortfall: Shortfall,
) -> Refusal:
    count = len(shortfall.gpus)
    each = "on one GPU" if count == 1 else f"on each of {count} GPUs"
    reason = (
        f"for a context of {demand.minimum_context_length:,} tokens it needs "
        f"{gib(shortfall.needed_bytes_per_gpu)} {each} ({shortfall.gpus[0].name}), "
        f"{gib(shortfall.free_bytes_per_gpu)} are free: {gib(shortfall.missing_bytes)} missing in all"
    )
    return _refusal(
        hardware,
        profile,
        candidates,
        reason,
        demand=demand,
        needed=shortfall.needed_bytes_per_gpu * count,
        available=shortfall.free_bytes_per_gpu * count,
    )


def _refusal(
    hardware: HardwareSnapshot,
    profile: Profile,
    candidates: tuple[Profile, ...],
    reason: str,
    *,
    demand: Demand | None = None,
    needed: int = 0,
    available: int = 0,
) -> Refusal:
    return Refusal(
        profile=profile,
        reason=reason,
        needed_bytes=needed,
        available_bytes=available,
        missing_bytes=max(0, needed - available),
        nearest=_profiles_that_fit(hardware, profile, candidates),
        machines=_machines_that_fit(profile, demand),
    )


def _profiles_that_fit(
    hardware: HardwareSnapshot, refused: Profile, candidates: tuple[Profile, ...]
) -> tuple[str, ...]:
    others = (candidate for candidate in candidates if candidate.name != refused.name)
    fitting = [other for other in others if isinstance(plan(hardware, other, Wishes()), LaunchPlan)]
    return tuple(profile.name for profile in sorted(fitting, key=_weights_bytes, reverse=True))


def _machines_that_fit(profile: Profile, demand: Demand | None) -> tuple[str, ...]:
    checkpoint = profile.checkpoint
    if demand is None or not isinstance(checkpoint, HubCheckpoint):
        return ()
    fitting = (
        label
        for label, gpus in known_machines()
        if gpus[0].compute_capability >= checkpoint.minimum_compute_capability
        and _is_roomy(choose_layout(checkpoint, gpus, demand), demand)
    )
    return tuple(label for label, _ in zip(fitting, range(_MACHINES_NAMED), strict=False))


def _is_roomy(layout: Layout | Shortfall, demand: Demand) -> bool:
    """A machine is worth naming only if nothing has to be given up on it."""
    return (
        isinstance(layout, Layout)
        and layout.context_length == demand.context_length
        and layout.settings.kv_cache_dtype == "auto"
    )


def _weights_bytes(profile: Profile) -> int:
    match profile.checkpoint:
        case HubCheckpoint(weights_bytes=weights_bytes):
            return weights_bytes
        case ScriptedCheckpoint():
            return 0

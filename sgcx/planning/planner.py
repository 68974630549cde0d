"""Hardware + profile + wishes → a launch plan that explains itself, or a refusal that says what is missing."""

from __future__ import annotations

from dataclasses import dataclass

from sgcx.byte_sizes import gib
from sgcx.planning.calibration import CalibrationTable
from sgcx.planning.cpu_plan import build_cpu_plan
from sgcx.planning.driver import SGLANG_VERSION, Release, choose_release, find_release
from sgcx.planning.gpu_plan import COMFORTABLE_CONTEXT_LENGTH, Chosen, build_gpu_plan
from sgcx.planning.layout import Demand, Layout, Shortfall, choose_layout, smallest_need
from sgcx.planning.machines import known_machines
from sgcx.planning.plan import LaunchPlan, Refusal, Wishes
from sgcx.planning.profile import HubCheckpoint, Profile, ScriptedCheckpoint
from sgcx.planning.refusing import Reasoning, refuse
from sgcx.planning.selection import ExcludedGpu, left_over, usable_gpus
from sgcx.planning.snapshot import GpuSnapshot, HardwareSnapshot
from sgcx.planning.wishes import check_wishes, demand_of, wanted_variants


def plan(
    hardware: HardwareSnapshot,
    profile: Profile,
    wishes: Wishes,
    candidates: tuple[Profile, ...] = (),
    *,
    calibrations: CalibrationTable | None = None,
    installable: tuple[str, ...] = (SGLANG_VERSION,),
) -> LaunchPlan | Refusal:
    """`candidates` are the profiles that a refusal may name instead; `installable` the SGLang releases to choose from.

    Wishes that no machine could grant raise UserError.
    """
    check_wishes(hardware, profile, wishes)
    if isinstance(profile.checkpoint, ScriptedCheckpoint):
        return build_cpu_plan(profile, wishes)
    release = (
        choose_release(hardware.driver_version, installable)
        if wishes.sglang_version is None
        else find_release(wishes.sglang_version)
    )
    demand = demand_of(hardware, profile, wishes, release, calibrations or CalibrationTable())
    outcome = _plan_for_gpus(hardware, profile, wishes, demand, release)
    if isinstance(outcome, LaunchPlan):
        return outcome
    nearest = _profiles_that_fit(hardware, profile, candidates)
    machines = _machines_that_fit(profile, wishes, demand)
    return refuse(hardware, profile, outcome, demand, nearest=nearest, machines=machines)


@dataclass(frozen=True, slots=True)
class _Attempt:
    checkpoint: HubCheckpoint
    usable: tuple[GpuSnapshot, ...]
    excluded: tuple[ExcludedGpu, ...]
    result: Layout | Shortfall


def _plan_for_gpus(
    hardware: HardwareSnapshot, profile: Profile, wishes: Wishes, demand: Demand, release: Release
) -> LaunchPlan | Reasoning:
    variants = wanted_variants(profile, wishes)
    obstacle = _obstacle(hardware, release, is_asked_for=wishes.sglang_version is not None)
    if obstacle is not None:
        return obstacle if hardware.gpus else _without_gpus(obstacle, variants, demand)
    tried = (_attempt(hardware, checkpoint, wishes, demand) for checkpoint in variants)
    attempts = [attempt for attempt in tried if attempt is not None]
    chosen = _best(attempts, demand)
    if chosen is not None and isinstance(chosen.result, Layout):
        excluded = (*chosen.excluded, *left_over(chosen.usable, chosen.result.gpus))
        in_order = tuple(sorted(excluded, key=lambda gpu: gpu.index))
        return build_gpu_plan(hardware, Chosen(profile, chosen.checkpoint, chosen.result, in_order), wishes, demand)
    return _reasoning(attempts, variants[0], hardware, wishes)


def _obstacle(hardware: HardwareSnapshot, release: Release, *, is_asked_for: bool) -> Reasoning | None:
    """What stands in the way before memory does."""
    if not hardware.gpus:
        return Reasoning(f"it has no NVIDIA GPU that can be used ({hardware.gpu_note or 'none was found'})")
    if not release.runs_on(hardware.driver_version):
        return Reasoning(
            f"SGLang {release.version} needs NVIDIA driver {release.written_floor} or newer, "
            f"and this is {hardware.driver_version}",
            mend="Update the NVIDIA driver" + (", or leave out --sglang" if is_asked_for else ""),
        )
    return None


def _without_gpus(obstacle: Reasoning, variants: tuple[HubCheckpoint, ...], demand: Demand) -> Reasoning:
    gpu = known_machines()[0][1][0]
    needed = min(smallest_need(checkpoint, gpu, demand) for checkpoint in variants)
    return Reasoning(f"{obstacle.reason}: {gib(needed)} of GPU memory are missing", needed_bytes=needed)


def _attempt(hardware: HardwareSnapshot, checkpoint: HubCheckpoint, wishes: Wishes, demand: Demand) -> _Attempt | None:
    """None without a GPU that could compute with these weights."""
    usable, excluded = usable_gpus(hardware, checkpoint, wishes.gpus)
    if not usable:
        return None
    return _Attempt(checkpoint, usable, excluded, choose_layout(checkpoint, usable, demand))


def _best(attempts: list[_Attempt], demand: Demand) -> _Attempt | None:
    """Variants come in the order of their quality; a worse one is taken only for what the better one cannot give."""
    fitting = [attempt for attempt in attempts if isinstance(attempt.result, Layout)]
    for is_good_enough in (_is_roomy, _is_full, _is_comfortable):
        for attempt in fitting:
            if isinstance(attempt.result, Layout) and is_good_enough(attempt.result, demand):
                return attempt
    return max(fitting, key=_context_length, default=None)


def _is_roomy(layout: Layout, demand: Demand) -> bool:
    return _is_full(layout, demand) and layout.gives_nothing_up


def _is_full(layout: Layout, demand: Demand) -> bool:
    return layout.context_length == demand.context_length


def _is_comfortable(layout: Layout, demand: Demand) -> bool:
    return layout.context_length >= min(COMFORTABLE_CONTEXT_LENGTH, demand.context_length)


def _context_length(attempt: _Attempt) -> int:
    return attempt.result.context_length if isinstance(attempt.result, Layout) else 0


def _reasoning(attempts: list[_Attempt], first: HubCheckpoint, hardware: HardwareSnapshot, wishes: Wishes) -> Reasoning:
    failed = [(each.result, each.checkpoint) for each in attempts if isinstance(each.result, Shortfall)]
    if not failed:
        _, excluded = usable_gpus(hardware, first, wishes.gpus)
        reasons = {f"{gpu.name}: {gpu.because}" for gpu in excluded}
        return Reasoning(f"none of its GPUs can be used ({'; '.join(sorted(reasons))})")
    shortfall, checkpoint = min(failed, key=lambda each: each[0].missing_bytes)
    if not shortfall.missing_bytes and wishes.dp_size > 1:
        reason = f"{wishes.dp_size} data-parallel ranks do not fit on {len(shortfall.gpus)} × {shortfall.gpus[0].name}"
        return Reasoning(reason, mend="Leave out --dp, or ask for fewer ranks")
    excluded = () if wishes.gpus is not None else usable_gpus(hardware, checkpoint, None)[1]
    return Reasoning.for_memory(shortfall, checkpoint, excluded)


def _profiles_that_fit(
    hardware: HardwareSnapshot, refused: Profile, candidates: tuple[Profile, ...]
) -> tuple[str, ...]:
    others = (candidate for candidate in candidates if candidate.name != refused.name)
    fitting = [other for other in others if isinstance(plan(hardware, other, Wishes()), LaunchPlan)]
    return tuple(profile.name for profile in sorted(fitting, key=_weights_bytes, reverse=True))


def _machines_that_fit(profile: Profile, wishes: Wishes, demand: Demand) -> tuple[str, ...]:
    """A machine is worth naming only if nothing has to be given up on it."""
    fitting = [
        label
        for label, gpus in known_machines()
        if any(_holds_all(checkpoint, gpus, demand) for checkpoint in wanted_variants(profile, wishes))
    ]
    return tuple(fitting[:3])


def _holds_all(checkpoint: HubCheckpoint, gpus: tuple[GpuSnapshot, ...], demand: Demand) -> bool:
    unsound = {gap.compute_capability for gap in checkpoint.gaps}
    capability = gpus[0].compute_capability
    if capability < checkpoint.minimum_compute_capability or capability in unsound:
        return False
    layout = choose_layout(checkpoint, gpus, demand)
    return (
        isinstance(layout, Layout)
        and layout.context_length == demand.context_length
        and layout.settings.kv_cache_dtype == "auto"
    )


def _weights_bytes(profile: Profile) -> int:
    return profile.checkpoint.weights_bytes if isinstance(profile.checkpoint, HubCheckpoint) else 0

"""Which profile, on which machine, with what plan. Reads the machine and the profiles; changes nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from sgcx.environments.engine_specs import list_specs
from sgcx.errors import UserError
from sgcx.hardware.detect import detect_hardware
from sgcx.paths import Paths
from sgcx.planning.plan import LaunchPlan, Refusal, Wishes
from sgcx.planning.planner import plan as make_launch_plan
from sgcx.planning.profile import HubCheckpoint, Profile
from sgcx.planning.snapshot import HardwareSnapshot, parse_snapshot
from sgcx.profiles import list_profiles, load_profile
from sgcx.workflows.calibration import load_calibrations
from sgcx.workflows.checkpoints import with_checkpoints_at_hand
from sgcx.workflows.launch_command import LaunchCommand, UpOptions, launch_command
from sgcx.workflows.neighbours import find_neighbours

_HOW_TO_RECORD = "`sgcx hardware --json > FILE` on that machine writes one"


@dataclass(frozen=True, slots=True)
class Planned:
    hardware: HardwareSnapshot
    outcome: LaunchPlan | Refusal


@dataclass(frozen=True, slots=True)
class PlannedVariant:
    checkpoint: HubCheckpoint
    outcome: LaunchPlan | Refusal


def make_plan(
    profile_name: str, wishes: Wishes, *, paths: Paths, hardware_file: Path | None = None, server: str | None = None
) -> Planned:
    """On this machine with what other servers than `server` leave free, unless the user names GPUs."""
    profile = with_checkpoints_at_hand(load_profile(profile_name, paths.user_profiles))
    hardware = _hardware_for(profile, wishes, paths, hardware_file, beside=server)
    return Planned(hardware, _plan(hardware, profile, wishes, paths))


def require_plan(outcome: LaunchPlan | Refusal) -> LaunchPlan:
    """Raises UserError with what is missing, and what would fit."""
    if isinstance(outcome, Refusal):
        raise UserError(outcome.message, hint=outcome.hint)
    return outcome


def compare_variants(
    profile_name: str, wishes: Wishes, *, paths: Paths, hardware_file: Path | None = None
) -> tuple[PlannedVariant, ...]:
    """Every variant as if it alone were wanted."""
    profile = with_checkpoints_at_hand(load_profile(profile_name, paths.user_profiles))
    if not profile.variants:
        raise UserError(f"{profile.name} has no variants to compare")
    hardware = _hardware_for(profile, wishes, paths, hardware_file)
    return tuple(
        PlannedVariant(variant, _plan(hardware, profile, replace(wishes, variant=variant.variant), paths))
        for variant in profile.variants
    )


def node_commands(plan: LaunchPlan, paths: Paths) -> tuple[LaunchCommand, ...]:
    """SGLang's own command for each machine of a plan for several; none for one machine, where `sgcx up` starts it."""
    if plan.node_count == 1:
        return ()
    options = UpOptions(name=plan.profile.name)
    return tuple(launch_command(plan, options, paths, node_rank=rank) for rank in range(plan.node_count))


def read_hardware(path: Path) -> HardwareSnapshot:
    try:
        decoded: object = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"--hardware {path} cannot be read: {error.strerror}", hint=_HOW_TO_RECORD) from error
    except ValueError as error:
        raise UserError(f"--hardware {path} is not JSON: {error}", hint=_HOW_TO_RECORD) from error
    return parse_snapshot(decoded, origin=str(path))


def _hardware_for(
    profile: Profile, wishes: Wishes, paths: Paths, file: Path | None, *, beside: str | None = None
) -> HardwareSnapshot:
    if file is not None:
        return read_hardware(file)
    hardware = detect_hardware(paths.data)
    shares_gpus = profile.scripted or wishes.gpus is not None
    return hardware if shares_gpus else find_neighbours(paths, beside=beside).left_by(hardware)


def _plan(hardware: HardwareSnapshot, profile: Profile, wishes: Wishes, paths: Paths) -> LaunchPlan | Refusal:
    entries = list_profiles(paths.user_profiles)
    return make_launch_plan(
        hardware,
        profile,
        wishes,
        tuple(entry.profile for entry in entries if isinstance(entry.profile, Profile)),
        calibrations=load_calibrations(paths),
        installable=tuple(spec.sglang_version for spec in list_specs() if spec.accelerator == "cuda"),
    )

"""Which profile, on which machine, with what plan. Reads the machine and the profiles; changes nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from sgcx.errors import UserError
from sgcx.hardware.detect import detect_hardware
from sgcx.paths import Paths
from sgcx.planning.plan import LaunchPlan, Refusal, Wishes
from sgcx.planning.planner import plan
from sgcx.planning.profile import Profile
from sgcx.planning.snapshot import HardwareSnapshot, parse_snapshot
from sgcx.profiles import list_profiles, load_profile


@dataclass(frozen=True, slots=True)
class Planned:
    hardware: HardwareSnapshot
    outcome: LaunchPlan | Refusal


def make_plan(profile_name: str, wishes: Wishes, *, paths: Paths, hardware_file: Path | None = None) -> Planned:
    profile = load_profile(profile_name, paths.user_profiles)
    hardware = detect_hardware(paths.data) if hardware_file is None else read_hardware(hardware_file)
    return Planned(hardware, plan(hardware, profile, wishes, _candidates(paths)))


def read_hardware(path: Path) -> HardwareSnapshot:
    try:
        decoded: object = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"The hardware file {path} cannot be read: {error}") from error
    return parse_snapshot(decoded, origin=str(path))


def _candidates(paths: Paths) -> tuple[Profile, ...]:
    entries = list_profiles(paths.user_profiles)
    return tuple(entry.profile for entry in entries if isinstance(entry.profile, Profile))

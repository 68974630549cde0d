"""What starts taught the planner, kept in one file of this machine: a start writes it, the next plan reads it."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from sgcx.atomic_write import write_atomically
from sgcx.errors import UserError
from sgcx.paths import Paths
from sgcx.planning.calibration import CalibrationTable, Difference, Observation, compare, parse_calibrations
from sgcx.planning.plan import LaunchPlan
from sgcx.server.launch_progress import LaunchFacts

PREDICTION_NAME = "prediction.json"
"""In a server's own directory: what was predicted for it, and what SGLang reported."""
_GIB = 1 << 30


def load_calibrations(paths: Paths) -> CalibrationTable:
    """A file that cannot be read counts as absent: it holds corrections, and the next start writes it anew."""
    try:
        return parse_calibrations(json.loads(paths.calibration.read_text()), origin=str(paths.calibration))
    except (OSError, ValueError, UserError):
        return CalibrationTable()


def observe(facts: LaunchFacts) -> Observation:
    weights = None if facts.weights_gib is None else int(facts.weights_gib * _GIB)
    return Observation(weights_bytes=weights, max_total_num_tokens=facts.max_total_num_tokens)


def learn(plan: LaunchPlan, facts: LaunchFacts, *, server_name: str, paths: Paths) -> Difference | None:
    """Compares, and keeps both the difference and what follows from it. None for a plan without a prediction."""
    if plan.prediction is None:
        return None
    difference = compare(plan.prediction, observe(facts))
    with suppress(OSError):  # the server runs: a full disk is no reason to end it
        _write(paths.servers / server_name / PREDICTION_NAME, difference.to_json())
        if difference.calibration is not None:
            table = load_calibrations(paths).with_entry(plan.prediction.key, difference.calibration)
            _write(paths.calibration, {"entries": table.to_json()})
    return difference


def _write(path: Path, document: object) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(path, json.dumps(document, indent=2).encode() + b"\n")

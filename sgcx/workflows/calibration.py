"""What starts and benches taught the planner, kept in one file of this machine, which the next plan reads."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from sgcx.atomic_write import write_atomically
from sgcx.bench.report import Report
from sgcx.byte_sizes import GIB
from sgcx.errors import UserError
from sgcx.paths import Paths
from sgcx.planning.calibration import CalibrationTable, Difference, Observation, compare, parse_calibrations
from sgcx.planning.fields import Fields
from sgcx.planning.measured_speed import DecodeRate, MeasuredSpeed, parse_speed_key
from sgcx.planning.plan import LaunchPlan
from sgcx.server.launch_progress import LaunchFacts

PREDICTION_NAME = "prediction.json"
"""In a server's own directory: what was predicted, what SGLang reported, and what a bench of it is kept under."""


def load_calibrations(paths: Paths) -> CalibrationTable:
    """A file that cannot be read counts as absent: it holds corrections, and the next start writes it anew."""
    try:
        return parse_calibrations(json.loads(paths.calibration.read_text()), origin=str(paths.calibration))
    except (OSError, ValueError, UserError):
        return CalibrationTable()


def observe(facts: LaunchFacts) -> Observation:
    weights = None if facts.weights_gib is None else int(facts.weights_gib * GIB)
    return Observation(weights_bytes=weights, max_total_num_tokens=facts.max_total_num_tokens)


def learn(plan: LaunchPlan, facts: LaunchFacts, *, server_name: str, paths: Paths) -> Difference | None:
    """Compares, and keeps both the difference and what follows from it. None for a plan without a prediction."""
    if plan.prediction is None or plan.speed_key is None:
        return None
    difference = compare(plan.prediction, observe(facts))
    served = {**asdict(plan.speed_key), "max_running_requests": plan.max_running_requests}
    with suppress(OSError):  # the server runs: a full disk is no reason to end it
        _write(paths.servers / server_name / PREDICTION_NAME, {**difference.to_json(), "served": served})
        if difference.calibration is not None:
            table = load_calibrations(paths).with_entry(plan.prediction.key, difference.calibration)
            _write(paths.calibration, table.to_json())
    return difference


def learn_speed(report: Report, *, server_name: str, paths: Paths) -> None:
    """Nothing from a bench with failures, nor of a server for which nothing was predicted. Raises OSError."""
    path = paths.servers / server_name / PREDICTION_NAME
    try:
        served = Fields.of(json.loads(path.read_text()), str(path)).section("served")
        key, most_streams = parse_speed_key(served), served.whole_number("max_running_requests", at_least=1)
    except (FileNotFoundError, ValueError, UserError):
        return
    measured = _measured(report, most_streams)
    if measured is not None:
        _write(paths.calibration, load_calibrations(paths).with_speed(key, measured).to_json())


def _measured(report: Report, most_streams: int) -> MeasuredSpeed | None:
    """`most_streams`: further ones wait for their turn, and say nothing of decoding."""
    decode = tuple(
        DecodeRate(row.streams, row.streams * row.decode_p50_tokens_per_s)
        for row in report.rows
        if row.decode_p50_tokens_per_s and not row.failures and row.streams <= most_streams
    )
    if report.reuse is None or not decode:
        return None
    return MeasuredSpeed(decode, report.reuse.input_tokens / report.reuse.first_token_new_s)


def _write(path: Path, document: object) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(path, json.dumps(document, indent=2).encode() + b"\n")

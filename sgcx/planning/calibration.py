"""What starts and benches taught: what was reported or measured beside what was planned, for the next plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from sgcx.byte_sizes import GIB
from sgcx.planning.fields import Fields
from sgcx.planning.measured_speed import MeasuredSpeed, SpeedKey, parse_speeds, speeds_to_json
from sgcx.planning.memory import UNCALIBRATED, Calibration

_PLAUSIBLE_WEIGHTS = (0.8, 1.25)
"""Beyond this the figures are of something else, say of another checkpoint."""
_PLAUSIBLE_UNEXPLAINED_BYTES = 8 * GIB


@dataclass(frozen=True, slots=True)
class CalibrationKey:
    repository: str
    gpu_name: str
    sglang_version: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a plan says that SGLang will report, of one GPU."""

    key: CalibrationKey
    weights_bytes: int
    max_total_num_tokens: int
    kv_bytes_per_token: int
    calibration: Calibration
    """That the prediction has in it already."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What SGLang reported. None: its log did not say."""

    weights_bytes: int | None
    max_total_num_tokens: int | None


@dataclass(frozen=True, slots=True)
class Difference:
    """Predicted and observed, and the calibration that would have made them equal."""

    prediction: Prediction
    observation: Observation
    calibration: Calibration | None
    """None when the observation is incomplete or cannot be of this model."""

    @property
    def weights_error(self) -> float | None:
        """Predicted over observed, less one."""
        observed = self.observation.weights_bytes
        return self.prediction.weights_bytes / observed - 1 if observed else None

    @property
    def tokens_error(self) -> float | None:
        observed = self.observation.max_total_num_tokens
        return self.prediction.max_total_num_tokens / observed - 1 if observed else None

    def to_json(self) -> dict[str, object]:
        return {
            **asdict(self.prediction.key),
            "predicted_weights_bytes": self.prediction.weights_bytes,
            "observed_weights_bytes": self.observation.weights_bytes,
            "weights_error": self.weights_error,
            "predicted_max_total_num_tokens": self.prediction.max_total_num_tokens,
            "observed_max_total_num_tokens": self.observation.max_total_num_tokens,
            "tokens_error": self.tokens_error,
        }


def compare(prediction: Prediction, observation: Observation) -> Difference:
    return Difference(prediction, observation, _calibration(prediction, observation))


def _calibration(prediction: Prediction, observation: Observation) -> Calibration | None:
    weights, tokens = observation.weights_bytes, observation.max_total_num_tokens
    if weights is None or tokens is None:
        return None
    used = prediction.calibration
    factor = used.weights_factor * weights / prediction.weights_bytes
    missing_cache = (prediction.max_total_num_tokens - tokens) * prediction.kv_bytes_per_token
    # Heavier weights take from the cache too: what they explain is not counted twice.
    unexplained = used.unexplained_bytes + missing_cache - (weights - prediction.weights_bytes)
    lowest, highest = _PLAUSIBLE_WEIGHTS
    if not lowest <= factor <= highest or abs(unexplained) > _PLAUSIBLE_UNEXPLAINED_BYTES:
        return None
    return Calibration(factor, unexplained)


@dataclass(frozen=True, slots=True)
class CalibrationTable:
    """`entries`: what starts taught about memory. `speeds`: what benches measured."""

    entries: Mapping[CalibrationKey, Calibration] = field(default_factory=dict)
    speeds: Mapping[SpeedKey, MeasuredSpeed] = field(default_factory=dict)

    def get(self, key: CalibrationKey) -> Calibration:
        return self.entries.get(key, UNCALIBRATED)

    def with_entry(self, key: CalibrationKey, calibration: Calibration) -> CalibrationTable:
        return replace(self, entries={**self.entries, key: calibration})

    def with_speed(self, key: SpeedKey, speed: MeasuredSpeed) -> CalibrationTable:
        return replace(self, speeds={**self.speeds, key: speed})

    def to_json(self) -> dict[str, object]:
        entries = [{**asdict(key), **asdict(calibration)} for key, calibration in self.entries.items()]
        return {"entries": entries, "speeds": speeds_to_json(self.speeds)}


def parse_calibrations(value: object, *, origin: str) -> CalibrationTable:
    """The inverse of `to_json`. Files from before there were benches have no `speeds`."""
    fields = Fields.of(value, origin)
    speeds = parse_speeds(fields.tables("speeds")) if fields.has("speeds") else {}
    return CalibrationTable(dict(map(_parse_entry, fields.tables("entries"))), speeds)


def _parse_entry(fields: Fields) -> tuple[CalibrationKey, Calibration]:
    key = CalibrationKey(fields.text("repository"), fields.text("gpu_name"), fields.text("sglang_version"))
    lowest, highest = _PLAUSIBLE_WEIGHTS
    most_bytes = _PLAUSIBLE_UNEXPLAINED_BYTES
    return key, Calibration(
        weights_factor=fields.number("weights_factor", at_least=lowest, at_most=highest),
        unexplained_bytes=int(fields.number("unexplained_bytes", at_least=-most_bytes, at_most=most_bytes)),
    )

"""What a bench of this machine taught about speed. It takes the place of the roofline's guesses in the next plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import log2

from sgcx.planning.fields import Fields
from sgcx.planning.weights import Parallelism

_FASTEST = 1e7
"""Tokens per second: above it stands no measurement but a damaged file."""


@dataclass(frozen=True, slots=True)
class SpeedKey:
    """What a measurement holds for: these weights, divided like this among such GPUs, by this SGLang."""

    repository: str
    gpu_name: str
    sglang_version: str
    parallelism: Parallelism
    speculates: bool


@dataclass(frozen=True, slots=True)
class DecodeRate:
    streams: int
    tokens_per_s: float
    """Of all of them together."""


@dataclass(frozen=True, slots=True)
class MeasuredSpeed:
    decode: tuple[DecodeRate, ...]
    """At least one, none of them zero."""
    prefill_tokens_per_s: float

    def nearest(self, streams: int) -> tuple[DecodeRate, float]:
        """The measurement with the most similar number of streams, and how many doublings lie between them."""
        rate = min(self.decode, key=lambda each: _doublings(each.streams, streams))
        return rate, _doublings(rate.streams, streams)


def speeds_to_json(speeds: Mapping[SpeedKey, MeasuredSpeed]) -> list[dict[str, object]]:
    return [{**asdict(key), **asdict(speed)} for key, speed in speeds.items()]


def parse_speeds(tables: tuple[Fields, ...]) -> dict[SpeedKey, MeasuredSpeed]:
    """The inverse of `speeds_to_json`. Raises UserError."""
    return {parse_speed_key(fields): _parse_speed(fields) for fields in tables}


def parse_speed_key(fields: Fields) -> SpeedKey:
    division = fields.section("parallelism")
    sizes = {name: division.whole_number(name, at_least=1) for name in Parallelism.__slots__}
    return SpeedKey(
        repository=fields.text("repository"),
        gpu_name=fields.text("gpu_name"),
        sglang_version=fields.text("sglang_version"),
        parallelism=Parallelism(**sizes),
        speculates=fields.flag("speculates"),
    )


def _parse_speed(fields: Fields) -> MeasuredSpeed:
    decode = tuple(
        DecodeRate(each.whole_number("streams", at_least=1), _rate(each, "tokens_per_s"))
        for each in fields.tables("decode")
    )
    if not decode:
        raise fields.error("decode", "a list with a table at least", [])
    return MeasuredSpeed(decode, _rate(fields, "prefill_tokens_per_s"))


def _rate(fields: Fields, key: str) -> float:
    return fields.number(key, at_least=1 / _FASTEST, at_most=_FASTEST)


def _doublings(first: int, second: int) -> float:
    return abs(log2(first / second))

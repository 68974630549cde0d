"""What a server's /metrics said at one moment, and what two moments say together."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

from sgcx.errors import EngineError

_TIMEOUT_S = 5.0
Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Scrape:
    """`samples`: name → labels and values. `at_s`: of a clock that only goes forward."""

    at_s: float
    samples: Mapping[str, tuple[tuple[Labels, float], ...]]

    def total(self, name: str, **labels: str) -> float | None:
        """Over all samples with these labels; None where the server does not say."""
        values = self.samples.get(name)
        return None if values is None else sum(value for held, value in values if labels.items() <= held.items())

    def mean(self, name: str) -> float | None:
        """Over all labels, each data-parallel rank's own for one."""
        values = self.samples.get(name)
        return sum(value for _, value in values) / len(values) if values else None

    def buckets(self, name: str) -> dict[float, float]:
        """A histogram's upper bounds, and how many values are not above."""
        found: dict[float, float] = {}
        for labels, value in self.samples.get(f"{name}_bucket", ()):
            bound = float(labels["le"])
            found[bound] = found.get(bound, 0.0) + value
        return dict(sorted(found.items()))


def scrape(base_url: str, api_key: str | None) -> Scrape:
    """Raises EngineError where there is no answer, or one that says nothing."""
    headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
    url = base_url.removesuffix("/v1") + "/metrics"
    try:
        answer = httpx.get(url, headers=headers, timeout=_TIMEOUT_S, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise EngineError(f"its /metrics does not answer: {type(error).__name__}", code=None, status=503) from error
    if answer.status_code != httpx.codes.OK:
        raise EngineError(f"its /metrics answers with status {answer.status_code}", code=None, status=502)
    return read_exposition(answer.text, at_s=time.monotonic())


def read_exposition(text: str, *, at_s: float) -> Scrape:
    samples: dict[str, list[tuple[Labels, float]]] = {}
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                samples.setdefault(sample.name, []).append((sample.labels, sample.value))
    except ValueError as error:
        raise EngineError("its /metrics cannot be read", code=None, status=502) from error
    return Scrape(at_s, {name: tuple(values) for name, values in samples.items()})


def rate(before: Scrape | None, now: Scrape, name: str, **labels: str) -> float | None:
    """Per second. None without an earlier scrape; a counter that fell began anew."""
    last = None if before is None else before.total(name, **labels)
    value = now.total(name, **labels)
    if before is None or last is None or value is None or now.at_s <= before.at_s:
        return None
    return (value - last if value >= last else value) / (now.at_s - before.at_s)


def quantile(before: Scrape | None, now: Scrape, histogram: str, share: float) -> float | None:
    """Of the values that came between the two, or of all where none did; between bounds as Prometheus reckons."""
    all_of_them = now.buckets(histogram)
    earlier = {} if before is None else before.buckets(histogram)
    new = {bound: count - earlier.get(bound, 0.0) for bound, count in all_of_them.items()}
    return _quantile(new, share) if any(count > 0 for count in new.values()) else _quantile(all_of_them, share)


def _quantile(buckets: Mapping[float, float], share: float) -> float | None:
    total = max(buckets.values(), default=0.0)
    if total <= 0:
        return None
    wanted, lower_bound, below = share * total, 0.0, 0.0
    for bound, count in buckets.items():
        if count >= wanted:
            if bound == float("inf"):
                return lower_bound
            return lower_bound + (bound - lower_bound) * (wanted - below) / max(count - below, 1e-9)
        lower_bound, below = bound, count
    return lower_bound

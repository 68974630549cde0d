"""`sgcx top`: what servers and GPUs do now. A server that does not answer is a finding, not an error."""

from __future__ import annotations

from dataclasses import dataclass, field

from sgcx.errors import SgcxError
from sgcx.hardware.gpu_load import GpuLoad, read_gpu_loads
from sgcx.paths import Paths
from sgcx.server.records import ServerRecord, ServerState
from sgcx.server.scraping import Scrape, quantile, rate, scrape
from sgcx.workflows.codex import server_key
from sgcx.workflows.servers import list_views, pick_view


@dataclass(frozen=True, slots=True)
class ServerLoad:
    """None: not known, rates for one at the first look. Shares are of 1, times in seconds.

    `first_token_*` are of the responses since the last look, or of all where there was none.
    """

    name: str
    state: ServerState
    model: str
    problem: str | None = None
    """Why there are no figures, in words."""
    running: int | None = None
    queued: int | None = None
    in_progress: int | None = None
    """Responses of our own endpoint; the engine's counts hold other endpoints' too."""
    cache_used_share: float | None = None
    cache_hit_share: float | None = None
    """Of the prompts' tokens since the last look, or since the start."""
    input_tokens_per_s: float | None = None
    output_tokens_per_s: float | None = None
    first_token_p50_s: float | None = None
    first_token_p99_s: float | None = None
    token_p50_s: float | None = None
    failed_responses: int | None = None


@dataclass(frozen=True, slots=True)
class Load:
    servers: tuple[ServerLoad, ...]
    gpus: tuple[GpuLoad, ...]


@dataclass(slots=True)
class Watcher:
    """Looks again and again. `name`: one server; None looks at all."""

    paths: Paths
    name: str | None = None
    _last: dict[str, Scrape] = field(default_factory=dict)

    def look(self) -> Load:
        """Raises UserError where the named server does not exist."""
        return Load(tuple(self._look_at(record) for record in self._records()), read_gpu_loads())

    def _records(self) -> tuple[ServerRecord, ...]:
        if self.name is not None:
            return (pick_view(self.paths, self.name).record,)
        return tuple(view.record for view in list_views(self.paths)[0])

    def _look_at(self, record: ServerRecord) -> ServerLoad:
        alive = record.state in (ServerState.STARTING, ServerState.RUNNING)
        if not alive:
            return _without_figures(record, record.exit_reason or "it does not run")
        try:
            now = scrape(record.base_url, server_key(record, self.paths))
        except SgcxError as error:
            return _without_figures(record, error.message)
        before, self._last[record.name] = self._last.get(record.name), now
        return read_load(record, before, now)


def read_load(record: ServerRecord, before: Scrape | None, now: Scrape) -> ServerLoad:
    first_token = "sgcx_time_to_first_token_seconds"
    return ServerLoad(
        name=record.name,
        state=record.state,
        model=record.served_model_name,
        running=_whole(now.total("sglang:num_running_reqs")),
        queued=_whole(now.total("sglang:num_queue_reqs")),
        in_progress=_whole(now.total("sgcx_responses_in_progress")),
        cache_used_share=now.mean("sglang:token_usage"),
        cache_hit_share=_hit_share(before, now),
        input_tokens_per_s=rate(before, now, "sgcx_input_tokens_total"),
        # SGLang counts while an answer grows, our endpoint when it ends.
        output_tokens_per_s=rate(before, now, "sglang:realtime_tokens_total", mode="decode"),
        first_token_p50_s=quantile(before, now, first_token, 0.5),
        first_token_p99_s=quantile(before, now, first_token, 0.99),
        token_p50_s=quantile(before, now, "sgcx_time_per_output_token_seconds", 0.5),
        failed_responses=_failed(now),
    )


def _without_figures(record: ServerRecord, problem: str) -> ServerLoad:
    return ServerLoad(record.name, record.state, record.served_model_name, problem)


def _hit_share(before: Scrape | None, now: Scrape) -> float | None:
    read = rate(before, now, "sgcx_input_tokens_total")
    found = rate(before, now, "sgcx_cached_tokens_total")
    if not read or found is None:
        read, found = now.total("sgcx_input_tokens_total"), now.total("sgcx_cached_tokens_total")
    return found / read if read and found is not None else None


def _failed(now: Scrape) -> int | None:
    responses = now.samples.get("sgcx_responses_total")
    if responses is None:
        return 0 if "sgcx_responses_in_progress" in now.samples else None
    return int(sum(value for labels, value in responses if labels.get("status") == "failed"))


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)

"""`sgcx bench`: a coding agent's load on a running server, from one session to many."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from sgcx.atomic_write import write_atomically
from sgcx.bench.codex_load import CodexLoad
from sgcx.bench.load import run_load
from sgcx.bench.report import PrefixReuse, Report, Row
from sgcx.bench.wire import Target
from sgcx.engines.proxies import is_loopback
from sgcx.errors import LaunchFailed, UserError
from sgcx.paths import Paths
from sgcx.server.api_key import read_api_key
from sgcx.server.records import ServerRecord
from sgcx.workflows.calibration import learn_speed
from sgcx.workflows.codex import server_key
from sgcx.workflows.gateway_upstream import discover, normalize_url
from sgcx.workflows.key_file import read_key_file
from sgcx.workflows.servers import pick

REPORT_NAME = "bench.json"
"""In a server's own directory: its last bench."""
_REPETITIONS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """`url`, with `model` and `key_file`, is for a server that is not this machine's `name`."""

    name: str | None = None
    url: str | None = None
    model: str | None = None
    key_file: Path | None = None
    streams: tuple[int, ...] = (1, 2, 4, 8)
    prefix_tokens: int = 8000
    output_tokens: int = 128
    turns: int = 3


def bench(options: BenchOptions, paths: Paths, on_row: Callable[[Row], None] = lambda _: None) -> Report:
    """Raises UserError where there is no server to ask, LaunchFailed where it answers nothing at all."""
    record = None if options.url is not None else pick(paths, options.name)
    target, model = _target(options, paths) if record is None else _own_target(record, paths)
    load = CodexLoad(model, options.prefix_tokens, output_tokens=options.output_tokens, turns=options.turns)
    began = datetime.now(UTC)
    salt = began.isoformat()
    reuse = _measure_reuse(target, load, salt)
    rows: list[Row] = []
    for streams in options.streams:
        row = Row.of(run_load(target, load.sessions(streams, salt=f"{salt} {streams}"), streams=streams))
        on_row(row)
        rows.append(row)
    if not any(row.output_tokens for row in rows):
        raise LaunchFailed(f"{target.base_url} answered none of the requests: {rows[0].first_failure}")
    report = Report(
        url=target.base_url,
        model=model,
        measured_at=began.isoformat(timespec="seconds"),
        prefix_tokens=load.prefix_tokens,
        output_tokens=load.output_tokens,
        turns=load.turns,
        reuse=reuse,
        rows=tuple(rows),
    )
    return report if record is None else _keep(report, record, paths)


def _target(options: BenchOptions, paths: Paths) -> tuple[Target, str]:
    assert options.url is not None
    url = normalize_url(options.url, option="--url", key_option="--key-file")
    if options.key_file is not None:
        key: str | None = read_key_file(options.key_file, whose="The server's")
    else:  # this machine's key is for servers on this machine only
        key = read_api_key(paths.api_key) if is_loopback(url) else None
    found = discover(url, key, model=options.model, context_length=None)
    if not url.endswith("/v1"):
        raise UserError(f"--url {url!r} does not end in /v1", hint="Give the server's own address")
    return Target(url.removesuffix("/v1"), "responses", key), found.model


def _own_target(record: ServerRecord, paths: Paths) -> tuple[Target, str]:
    key = server_key(record, paths)
    return Target(record.base_url.removesuffix("/v1"), "responses", key), record.served_model_name


def _measure_reuse(target: Target, load: CodexLoad, salt: str) -> PrefixReuse | None:
    """Several new prompts, each asked twice; what loads on the first request of all is not measured."""
    first_turns = replace(load, turns=1)
    run_load(target, first_turns.sessions(1, salt=f"{salt} warm-up"), streams=1)
    bodies = [body for index in range(_REPETITIONS) for body in first_turns.sessions(1, salt=f"{salt} new {index}")]
    new, again = run_load(target, bodies, streams=1), run_load(target, bodies, streams=1)
    return PrefixReuse.of(new.timings, again.timings) if new.timings and again.timings else None


def _keep(report: Report, record: ServerRecord, paths: Paths) -> Report:
    """Beside the server's record, and for the next plan."""
    kept = replace(report, profile=record.profile, sglang_version=record.sglang_version, gpu_indices=record.gpu_indices)
    with suppress(OSError):  # the figures are on screen all the same
        write_atomically(record.server_dir / REPORT_NAME, json.dumps(kept.to_json(), indent=2).encode() + b"\n")
        learn_speed(kept, server_name=record.name, paths=paths)
    return kept

"""Servers and GPUs as tables that fit the terminal: on a narrow one the less important columns are left out."""

from __future__ import annotations

import time

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from sgcx.cli.render import GIB
from sgcx.hardware.gpu_load import GpuLoad
from sgcx.workflows.top import Load, ServerLoad, Watcher

_WIDE = 110
_UNKNOWN = "-"


def show_live(watcher: Watcher, *, interval_s: float) -> None:
    """Until KeyboardInterrupt."""
    console = Console(highlight=False)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(draw(watcher.look(), width=console.width), refresh=True)
            time.sleep(interval_s)


def draw(load: Load, *, width: int) -> Group:
    parts: list[Table | Text] = []
    figures = [server for server in load.servers if server.problem is None]
    if figures:
        parts.append(_table(*_server_table(figures, wide=width >= _WIDE)))
    parts += [_problem(server) for server in load.servers if server.problem is not None]
    if not load.servers:
        parts.append(Text("No server has been started"))
    parts.append(Text(""))
    parts.append(_table(*_gpu_table(load.gpus, wide=width >= _WIDE)) if load.gpus else Text("No NVIDIA GPU"))
    return Group(*parts)


def _server_table(servers: list[ServerLoad], *, wide: bool) -> tuple[list[str], list[list[str]]]:
    columns = ["Server", "Run", "Queue", "Out tok/s", "Cached", "TTFT p50", "p99"]
    rows = [
        [
            each.name,
            _count(each.running),
            _count(each.queued),
            _count(each.output_tokens_per_s),
            _share(each.cache_hit_share),
            _seconds(each.first_token_p50_s),
            _seconds(each.first_token_p99_s),
        ]
        for each in servers
    ]
    if wide:
        columns += ["Token p50", "In tok/s", "KV used", "Failed", "Model"]
        for row, each in zip(rows, servers, strict=True):
            row += [
                _seconds(each.token_p50_s),
                _count(each.input_tokens_per_s),
                _share(each.cache_used_share),
                _count(each.failed_responses),
                each.model,
            ]
    return columns, rows


def _gpu_table(gpus: tuple[GpuLoad, ...], *, wide: bool) -> tuple[list[str], list[list[str]]]:
    columns = ["GPU", "Busy", "Memory", "Power", "Temp"]
    rows = [
        [
            str(each.index),
            _UNKNOWN if each.busy_percent is None else f"{each.busy_percent} %",
            _memory(each),
            _power(each),
            _UNKNOWN if each.temperature_celsius is None else f"{each.temperature_celsius} °C",
        ]
        for each in gpus
    ]
    if wide:
        columns.append("Name")
        for row, each in zip(rows, gpus, strict=True):
            row.append(each.name)
    return columns, rows


def _table(columns: list[str], rows: list[list[str]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        text = index == 0 or column in ("Model", "Name")
        table.add_column(column, justify="left" if text else "right", no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def _problem(server: ServerLoad) -> Text:
    return Text(f"{server.name}  {server.state.value}: {server.problem}")


def _count(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:,.0f}"


def _share(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.0%}"


def _seconds(value: float | None) -> str:
    if value is None:
        return _UNKNOWN
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def _memory(gpu: GpuLoad) -> str:
    if gpu.used_bytes is None or gpu.total_bytes is None:
        return _UNKNOWN
    return f"{gpu.used_bytes / GIB:.0f}/{gpu.total_bytes / GIB:.0f} GiB"


def _power(gpu: GpuLoad) -> str:
    if gpu.power_watts is None:
        return _UNKNOWN
    limit = "" if gpu.power_limit_watts is None else f"/{gpu.power_limit_watts:.0f}"
    return f"{gpu.power_watts:.0f}{limit} W"

"""Servers and GPUs as tables that fit the terminal: on a narrow one the less important columns are left out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from sgcx.byte_sizes import GIB
from sgcx.cli.render import folding
from sgcx.hardware.gpu_load import GpuLoad
from sgcx.workflows.top import Load, ServerLoad, Watcher

_MEDIUM, _WIDE = 56, 110
"""Columns of the terminal."""
_UNKNOWN = "-"


def show_live(watcher: Watcher, *, interval_s: float) -> None:
    """Until KeyboardInterrupt."""
    console = folding()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(draw(watcher.look(), width=console.width), refresh=True)
            time.sleep(interval_s)


def draw(load: Load, *, width: int) -> Group:
    parts: list[Table | Text] = []
    figures = [server for server in load.servers if server.problem is None]
    if figures:
        parts.append(_table(_SERVER_COLUMNS, figures, width))
    parts += [_problem(server) for server in load.servers if server.problem is not None]
    if not load.servers:
        parts.append(Text("No server has been started"))
    parts.append(Text(""))
    parts.append(_table(_GPU_COLUMNS, load.gpus, width) if load.gpus else Text("No NVIDIA GPU"))
    return Group(*parts)


def _table(columns: Sequence[_Column[_Row]], rows: Sequence[_Row], width: int) -> Table:
    shown = [column for column in columns if column.from_width <= width]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in shown:
        table.add_column(column.title, justify="left" if column.is_text else "right", no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*(escape(column.cell(row)) for column in shown))
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


def _busy(gpu: GpuLoad) -> str:
    return _UNKNOWN if gpu.busy_percent is None else f"{gpu.busy_percent} %"


def _temperature(gpu: GpuLoad) -> str:
    return _UNKNOWN if gpu.temperature_celsius is None else f"{gpu.temperature_celsius} °C"


_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class _Column(Generic[_Row]):
    title: str
    cell: Callable[[_Row], str]
    from_width: int = 0
    """On narrower terminals it is left out."""
    is_text: bool = False


_SERVER_COLUMNS: tuple[_Column[ServerLoad], ...] = (
    _Column("Server", lambda each: each.name, is_text=True),
    _Column("Run", lambda each: _count(each.running)),
    _Column("Queue", lambda each: _count(each.queued)),
    _Column("Out tok/s", lambda each: _count(each.output_tokens_per_s)),
    _Column("Cached", lambda each: _share(each.cache_hit_share), _MEDIUM),
    _Column("TTFT p50", lambda each: _seconds(each.first_token_p50_s)),
    _Column("p99", lambda each: _seconds(each.first_token_p99_s), _MEDIUM),
    _Column("Token p50", lambda each: _seconds(each.token_p50_s), _WIDE),
    _Column("In tok/s", lambda each: _count(each.input_tokens_per_s), _WIDE),
    _Column("KV used", lambda each: _share(each.cache_used_share), _WIDE),
    _Column("Failed", lambda each: _count(each.failed_responses), _WIDE),
    _Column("Model", lambda each: each.model, _WIDE, is_text=True),
)
_GPU_COLUMNS: tuple[_Column[GpuLoad], ...] = (
    _Column("GPU", lambda each: str(each.index), is_text=True),
    _Column("Busy", _busy),
    _Column("Memory", _memory),
    _Column("Power", _power),
    _Column("Temp", _temperature),
    _Column("Name", lambda each: each.name, _WIDE, is_text=True),
)

"""`sgcx bench`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sgcx.cli.options import Json, ServerName

if TYPE_CHECKING:
    from sgcx.bench.report import Report, Row

_EXIT_NOT_WRITTEN = 2
_MOST_STREAMS = 64
"""One process reads all answers: with many more it would measure itself."""


def register(app: typer.Typer) -> None:
    app.command("bench")(bench)


def bench(
    name: ServerName = None,
    url: Annotated[str | None, typer.Option(help="A server elsewhere, as http://HOST:PORT/v1.")] = None,
    model: Annotated[str | None, typer.Option(help="With --url: its model, if it serves several.")] = None,
    key_file: Annotated[Path | None, typer.Option(help="With --url: a private file with its API key.")] = None,
    streams: Annotated[str, typer.Option(help="Sessions at once, as a list.")] = "1,4,16,32",
    prefix: Annotated[int, typer.Option(min=1, help="Tokens that all sessions begin with, roughly.")] = 8000,
    output: Annotated[int, typer.Option(min=2, help="Tokens of each answer, at most.")] = 128,
    turns: Annotated[int, typer.Option(min=1, max=50, help="Requests of each session.")] = 3,
    chart: Annotated[Path | None, typer.Option(help="Write a picture of it, as SVG.")] = None,
    json: Json = False,
) -> None:
    """Measure a running server with a coding agent's load: waiting, speed, and what its cache is worth."""
    from sgcx.cli import render
    from sgcx.paths import Paths
    from sgcx.workflows.bench import BenchOptions
    from sgcx.workflows.bench import bench as measure

    options = BenchOptions(
        name=name,
        url=url,
        model=model,
        key_file=key_file,
        streams=_counts(streams),
        prefix_tokens=prefix,
        output_tokens=output,
        turns=turns,
    )

    if chart is not None:
        _refuse_no_folder(chart)
    report = measure(options, Paths.from_environment(), on_row=_note)
    if json:
        render.print_json(report.to_json())
    else:
        _show(report)
    if chart is not None:
        _draw(chart, report)


def _refuse_no_folder(chart: Path) -> None:
    """Before minutes are spent on measuring."""
    from sgcx.errors import UserError

    if chart.is_dir() or not chart.parent.is_dir():
        raise UserError(f"--chart {chart} cannot be a file", hint="Name a file in a folder that is there")


def _draw(chart: Path, report: Report) -> None:
    """After the report, which is worth more: where it fails, stdout has the report alone."""
    from sgcx.atomic_write import write_atomically
    from sgcx.bench.chart import draw_chart
    from sgcx.cli import render

    try:
        write_atomically(chart, draw_chart(report).encode(), mode=0o644)
    except OSError as error:
        render.warn(f"--chart {chart} cannot be written: {error.strerror}")
        raise typer.Exit(_EXIT_NOT_WRITTEN) from None


def _counts(text: str) -> tuple[int, ...]:
    from sgcx.errors import UserError

    parts = text.split(",")
    if not all(part.isdecimal() and 1 <= int(part) <= _MOST_STREAMS for part in parts):
        raise UserError(
            f"--streams {text!r} is no list of numbers from 1 to {_MOST_STREAMS}", hint="Write it as 1,8,32"
        )
    return tuple(map(int, parts))


def _note(row: Row) -> None:
    from sgcx.cli import render

    render.note(f"{row.streams} at once: {row.output_tokens_per_s:,.0f} tokens/s")


def _show(report: Report) -> None:
    from sgcx.cli import render

    rows = [
        (
            str(row.streams),
            f"{row.output_tokens_per_s:,.1f}",
            _ms(row.first_token_p50_s),
            _ms(row.first_token_p90_s),
            _ms(row.gap_p50_s),
            _ms(row.gap_p99_s),
            f"{row.cached_share:.0%}",
            f"{row.failures} of {row.requests}",
        )
        for row in report.rows
    ]
    columns = ("Streams", "Tokens/s", "TTFT p50", "p90 ms", "ITL p50", "p99 ms", "Cached", "Failed")
    render.print_table(columns, rows)
    reuse = report.reuse
    if reuse is not None:
        render.note(
            f"A known prompt of {reuse.input_tokens:,} tokens ({reuse.cached_tokens:,} cached) answers "
            f"{reuse.speedup:.1f} times as soon as a new one"
        )
    first_failure = next((row.first_failure for row in report.rows if row.first_failure), None)
    if first_failure is not None:
        render.warn(f"the first failure: {first_failure}")


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.1f}"

"""Results on screen. Data goes to stdout, everything else to stderr, so that output can be piped."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sgcx.errors import LaunchFailed, SgcxError

_LONGEST_WHOLE_WORD = 12
_GAP = 2


def stdout() -> Console:
    return Console(soft_wrap=True, highlight=False)


def folding() -> Console:
    """Of stdout too; texts are folded at its width."""
    return Console(highlight=False)


def stderr() -> Console:
    return Console(stderr=True, soft_wrap=True, highlight=False)


def print_json(document: object) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    only_ascii = not encoding.lower().startswith("utf")
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=only_ascii, default=str) + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Where the terminal is too narrow for words to stay whole, every row is a paragraph."""
    rows = [tuple(row) for row in rows]
    console = folding()
    if console.width < _least_width(columns, rows):
        for index, row in enumerate(rows):
            console.print("\n" if index else "", end="")
            print_pairs((column, cell) for column, cell in zip(columns, row, strict=True) if cell)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        # The first one is a name, to be copied whole.
        table.add_column(column, overflow="fold", no_wrap=index == 0)
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)


def _least_width(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """The first column is never folded; of the others longer words may be, an address for one."""
    texts = list(zip(columns, *rows, strict=True))
    words = [[word for text in column for word in text.split()] for column in texts[1:]]
    widths = [min(_LONGEST_WHOLE_WORD, max(map(len, column), default=0)) for column in words]
    return max(map(len, texts[0])) + sum(width + _GAP for width in widths)


def print_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    shown = list(pairs)
    width = max((len(name) for name, _ in shown), default=0)
    console = stdout()
    for name, value in shown:
        console.print(f"[bold]{escape(name.ljust(width))}[/bold]  {escape(value)}")


def note(text: str) -> None:
    stderr().print(escape(text))


def warn(text: str) -> None:
    stderr().print(f"[yellow]warning:[/yellow] {escape(text)}")


def render_error(error: SgcxError, *, as_json: bool) -> None:
    if as_json:
        print_json({"error": {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}})
        return
    console = stderr()
    if isinstance(error, LaunchFailed):
        for line in error.log_tail:
            console.print(f"[dim]{escape(line)}[/dim]")
    console.print(f"[red]error:[/red] {escape(error.message)}")
    if isinstance(error, LaunchFailed) and error.log_path:
        console.print(f"log:   {escape(error.log_path)}")
    if error.hint:
        console.print(f"\n[bold]hint:[/bold] {escape(error.hint)}")

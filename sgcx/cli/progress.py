"""Shows a launch while it goes on: bars on a terminal, numbers on a narrow one, one line per stage elsewhere."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Column

from sgcx.byte_sizes import GIB, MIB
from sgcx.environments.install_progress import InstallProgress
from sgcx.server.launch_progress import StageChange
from sgcx.weights.progress import TransferProgress
from sgcx.workflows.launch import Step, UpEvent

_INSTALL_LABELS = {
    "create": "Creating the engine's environment",
    "download": "Downloading packages",
    "install": "Unpacking packages",
    "prove": "Proving that it imports",
}
_TRANSFER_LABELS = {"download": "Downloading", "verify": "Verifying"}
_DETAIL_FIELD = "{task.fields[detail]}"
_WIDE = 100
"""Columns of the terminal: on narrower ones the percentage is shown and no bar."""


class LaunchDisplay:
    """`feed` takes the workflow's events. `quiet` shows nothing, for --json."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._quiet = quiet
        self._console = console
        self._label = ""
        self._task: TaskID | None = None
        self._bars = None if quiet or not console.is_interactive else _bars(console)

    def __enter__(self) -> LaunchDisplay:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bars is None:
            return
        if error is None and self._task is not None:
            self._finish_task(self._bars)
        self._bars.stop()

    def feed(self, event: UpEvent) -> None:
        match event:
            case Step(label):
                self._show(label, None, None, "")
            case InstallProgress():
                self._show(_INSTALL_LABELS[event.stage], event.done, event.total, _detail(event))
            case TransferProgress():
                label = f"{_TRANSFER_LABELS[event.stage]} {event.repository}"
                self._show(label, event.done_bytes, event.total_bytes, _transfer_detail(event))
            case StageChange():
                self._show(event.label, event.done, event.total, "")

    def _show(self, label: str, done: int | None, total: int | None, detail: str) -> None:
        if self._quiet:
            return
        if self._bars is None:
            if label != self._label:
                self._console.print(label)
        else:
            self._update(self._bars, label, done, total, detail)
        self._label = label

    def _update(self, bars: Progress, label: str, done: int | None, total: int | None, detail: str) -> None:
        if label != self._label:
            if self._task is not None:
                self._finish_task(bars)
            self._task = bars.add_task(label, total=total, detail="")
        assert self._task is not None
        bars.update(self._task, total=total, completed=done or 0, detail=detail)

    def _finish_task(self, bars: Progress) -> None:
        assert self._task is not None
        bars.update(self._task, total=1, completed=1, detail="")


def _bars(console: Console) -> Progress:
    """Texts are folded rather than cut."""
    done = BarColumn(bar_width=24) if console.width >= _WIDE else TaskProgressColumn()
    label, detail = (
        TextColumn(text, table_column=Column(overflow="fold")) for text in ("{task.description}", _DETAIL_FIELD)
    )
    return Progress(label, done, detail, TimeElapsedColumn(), console=console)


def _detail(progress: InstallProgress) -> str:
    if progress.bytes_total:
        return f"{progress.detail}  {progress.bytes_done // MIB}/{progress.bytes_total // MIB} MiB"
    return progress.detail


def _transfer_detail(progress: TransferProgress) -> str:
    parts = [f"{progress.done_bytes / GIB:.1f}/{progress.total_bytes / GIB:.1f} GiB"]
    if progress.bytes_per_s is not None:
        parts.append(f"{progress.bytes_per_s / MIB:.0f} MiB/s")
    if progress.eta_s is not None:
        minutes, seconds = divmod(int(progress.eta_s), 60)
        parts.append(f"{minutes // 60}:{minutes % 60:02}:{seconds:02} left")
    return "  ".join(parts)

"""A launch on terminals of each width, on one without a cursor, and in a pipe."""

from __future__ import annotations

import io
import re
from contextlib import suppress

import pytest
from rich.console import Console

from sgcx.cli.progress import LaunchDisplay
from sgcx.weights.progress import TransferProgress
from sgcx.workflows.launch import Step

GIB = 1 << 30
EVENTS = (
    Step("Checking the engine"),
    TransferProgress("download", "moonshotai/Kimi-K2.6", 100 * GIB, 595 * GIB, 1.2e9, 4000),
    TransferProgress("download", "moonshotai/Kimi-K2.6", 101 * GIB, 595 * GIB, 1.2e9, 3999),
)


def shown(*, terminal: bool, width: int = 80, kind: str = "xterm", quiet: bool = False) -> str:
    """What is written until the launch is interrupted after the last event."""
    console = Console(
        file=io.StringIO(), force_terminal=terminal, width=width, color_system=None, _environ={"TERM": kind}
    )
    with suppress(KeyboardInterrupt), LaunchDisplay(console, quiet=quiet) as display:
        for event in EVENTS:
            display.feed(event)
        raise KeyboardInterrupt
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
def test_nothing_is_cut_off(width: int) -> None:
    last_frame = re.sub(r"\x1b\[[?\d]*[a-zA-Z]", "", shown(terminal=True, width=width).rpartition("\x1b[2K")[2])
    assert max(map(len, last_frame.splitlines())) <= width
    assert "…" not in last_frame
    for word in ("Downloading", "101.0/595.0", "1144", "1:06:39"):
        assert word in last_frame
    assert ("━" in last_frame) is (width >= 100)
    assert ("17%" in last_frame) is (width < 100)


@pytest.mark.parametrize(("terminal", "kind"), [(False, "xterm"), (True, "dumb")])
def test_without_a_cursor_each_stage_is_one_line(terminal: bool, kind: str) -> None:
    assert shown(terminal=terminal, kind=kind) == "Checking the engine\nDownloading moonshotai/Kimi-K2.6\n"


def test_a_program_is_shown_nothing() -> None:
    assert shown(terminal=True, quiet=True) == ""

"""Signals as a terminal's foreground job has them."""

from __future__ import annotations

import signal


def as_from_a_terminal() -> None:
    """Background jobs of a shell ignore SIGINT, those of `nohup` SIGHUP, and the tests may be one. For `preexec_fn`."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

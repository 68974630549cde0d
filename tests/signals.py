"""Signals as a terminal's foreground job has them."""

from __future__ import annotations

import signal


def as_from_a_terminal() -> None:
    """A shell starts its background jobs with SIGINT ignored, and the tests may be one. For `preexec_fn`."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)

"""Ctrl-C and its like: what they begin, the ending of a server, is not left half done when they come again."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_ALL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def take_for_interrupts(*numbers: signal.Signals) -> None:
    """As Ctrl-C from now on. One that is ignored stays so: `nohup` has its reason."""
    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


@contextmanager
def interrupts_make_haste() -> Iterator[Callable[[], bool]]:
    """Meanwhile an interrupt raises nothing: what this yields says that there was one."""
    again = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # which alone is interrupted
        yield again.is_set
        return
    taken = [number for number in _ALL if signal.getsignal(number) is signal.default_int_handler]
    for number in taken:
        signal.signal(number, lambda *_: again.set())
    try:
        yield again.is_set
    finally:
        take_for_interrupts(*taken)

"""What a check of `sgcx doctor` is, and the rule that none of them ever raises."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from sgcx.errors import SgcxError

_CRASH_MEND = "Mend what the message names; if it names nothing of yours, please report this as a defect of sgcx"


class Status(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


class FixKind(StrEnum):
    """What `--fix` can do: nothing that loses data, reaches the network or needs another user's rights."""

    CLOSE_KEY_FILE = "close_key_file"
    CORRECT_RECORDS = "correct_records"
    FORGET_RECORD = "forget_record"
    END_LEFTOVERS = "end_leftovers"
    WRITE_CODEX_CONFIG = "write_codex_config"
    MAKE_CACHE_FOLDER = "make_cache_folder"


@dataclass(frozen=True, slots=True)
class Fix:
    """`target` is a server's name or a path, as the kind needs it."""

    kind: FixKind
    target: str
    label: str
    """What it does, for the question."""


@dataclass(frozen=True, slots=True)
class Check:
    """`found` is what is the case, `why` why that matters, `mend` what to do about it."""

    group: str
    title: str
    status: Status
    found: str
    why: str | None = None
    mend: str | None = None
    fix: Fix | None = None


def guarded(group: str, title: str, run: Callable[[], Iterable[Check]]) -> tuple[Check, ...]:
    """The checks that `run` makes. One that cannot be made is itself a finding."""
    try:
        return tuple(run())
    except SgcxError as error:
        return (Check(group, title, Status.FAIL, error.message, mend=error.hint),)
    except Exception as error:
        found = f"the check {title!r} of {group!r} itself failed: {type(error).__name__}: {error}"
        return (Check(group, title, Status.FAIL, found, mend=_CRASH_MEND),)


def listed(numbers: Iterable[int]) -> str:
    """`GPU 3`, `GPUs 0, 1`."""
    shown = [str(number) for number in numbers]
    return f"GPU{'s' if len(shown) > 1 else ''} {', '.join(shown)}"

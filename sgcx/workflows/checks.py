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


@dataclass(frozen=True, slots=True)
class Check:
    """`found` is what is the case, `why` why that matters, `mend` what to do about it."""

    group: str
    title: str
    status: Status
    found: str
    why: str | None = None
    mend: str | None = None


def guarded(group: str, title: str, run: Callable[[], Iterable[Check]]) -> tuple[Check, ...]:
    """The checks that `run` makes. One that cannot be made is itself a finding."""
    try:
        return tuple(run())
    except SgcxError as error:
        return (Check(group, title, Status.FAIL, error.message, mend=error.hint),)
    except Exception as error:
        found = f"the check {title!r} of {group!r} itself failed: {type(error).__name__}: {error}"
        return (Check(group, title, Status.FAIL, found, mend=_CRASH_MEND),)

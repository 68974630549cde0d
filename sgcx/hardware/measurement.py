"""The rule for everything that may be unknown: it is measured, or it is missing with a reason; it never fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from sgcx.planning.snapshot import Missing

T = TypeVar("T")


@dataclass(slots=True)
class Measurement:
    """Fields are named as in the snapshot: `gpus[0].power.limit_watts`."""

    _missing: list[Missing] = field(default_factory=list)

    def optional(self, name: str, read: Callable[[], T]) -> T | None:
        """Whatever a driver or a file of the kernel does wrong costs one field, not the snapshot."""
        try:
            return read()
        except OSError as error:  # its whole text names a path, which may name a person
            self.miss(name, error.strerror or type(error).__name__)
        except Exception as error:
            self.miss(name, str(error) or type(error).__name__)
        return None

    def miss(self, name: str, reason: str) -> None:
        self._missing.append(Missing(name, reason))

    @property
    def missing(self) -> tuple[Missing, ...]:
        return tuple(self._missing)

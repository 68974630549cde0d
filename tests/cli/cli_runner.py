"""What a run of the command line said, for tests to compare."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Said:
    """Paths of this run are filtered out."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> object:
        return json.loads(self.stdout)


Sgcx = Callable[..., Said]

"""How far an installation is, in the words of the one who waits for it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

Stage = Literal["create", "download", "install", "prove"]


@dataclass(frozen=True, slots=True)
class InstallProgress:
    stage: Stage
    done: int
    total: int
    """Packages, while downloading and installing; otherwise steps."""
    detail: str = ""
    bytes_done: int = 0
    bytes_total: int = 0
    """Of the file that is being downloaded; 0 when none is."""


OnProgress = Callable[[InstallProgress], None]

_COLLECTING = re.compile(r"(?:Collecting|Processing) (\S+)")  # "Processing" for a file on this machine
_DOWNLOADING = re.compile(r"\s*Downloading (\S+)")
_BYTES = re.compile(r"Progress (\d+) of (\d+)")


class PipOutputReader:
    """Reads what pip prints with `--progress-bar raw`, line by line."""

    def __init__(self, *, packages_before: int, packages_total: int) -> None:
        self._packages_before = packages_before
        self._progress = InstallProgress("download", packages_before, packages_total)

    @property
    def progress(self) -> InstallProgress:
        return self._progress

    def feed(self, line: str) -> InstallProgress | None:
        """The new state, or None if the line changes nothing."""
        changed = self._next(line)
        if changed is None or changed == self._progress:
            return None
        self._progress = changed
        return changed

    def installed(self, packages_done: int) -> InstallProgress | None:
        """pip prints nothing while it unpacks, so the caller counts what is on the disk."""
        done = min(packages_done, self._progress.total)
        if self._progress.stage != "install" or done == self._progress.done:
            return None
        self._progress = replace(self._progress, done=done)
        return self._progress

    def _next(self, line: str) -> InstallProgress | None:
        progress = self._progress
        if match := _BYTES.match(line):
            return replace(progress, bytes_done=int(match[1]), bytes_total=int(match[2]))
        if match := _COLLECTING.match(line):
            done = progress.done + 1
            total = max(done, progress.total)  # grows when pip finds dependencies by itself
            detail = match[1].rpartition("/")[2]
            return InstallProgress("download", done, total, detail)
        if match := _DOWNLOADING.match(line):
            return replace(progress, detail=match[1].rpartition("/")[2], bytes_done=0, bytes_total=0)
        if line.startswith("Installing collected packages:"):
            return InstallProgress("install", self._packages_before, progress.total, "unpacking")
        return None

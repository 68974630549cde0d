"""Which SGLang releases there are to plan for, and the oldest NVIDIA driver that runs each."""

from __future__ import annotations

from dataclasses import dataclass

from sgcx.errors import UserError

SGLANG_VERSION = "0.5.10.post1"
"""The release that sgcx installs."""
DRIVER_FLOOR = (525, 60, 13)
"""CUDA 12 libraries run on any driver of the CUDA 12 family, from this one on."""
_CUDA_13_DRIVER_FLOOR = (580, 65, 6)


@dataclass(frozen=True, slots=True)
class Release:
    version: str
    cuda: str
    driver_floor: tuple[int, ...]

    def runs_on(self, driver_version: str | None) -> bool:
        """A version that cannot be read is given the benefit of the doubt."""
        numbers = parse_driver_version(driver_version or "")
        return not numbers or numbers >= self.driver_floor

    @property
    def written_floor(self) -> str:
        major, minor, patch = self.driver_floor
        return f"{major}.{minor:02}.{patch:02}"


RELEASES = (
    Release("0.5.10.post1", "12.9", DRIVER_FLOOR),
    Release("0.5.11", "13", _CUDA_13_DRIVER_FLOOR),
    Release("0.5.16", "13", _CUDA_13_DRIVER_FLOOR),
    Release("0.5.20", "13", _CUDA_13_DRIVER_FLOOR),
    Release("0.5.23", "13", _CUDA_13_DRIVER_FLOOR),
)
"""Oldest first."""


def find_release(version: str) -> Release:
    for release in RELEASES:
        if release.version == version:
            return release
    known = ", ".join(release.version for release in RELEASES)
    raise UserError(f"SGLang {version} is no release that sgcx can plan for", hint=f"Releases: {known}")


def is_at_least(version: str, minimum: str) -> bool:
    """Of two releases that are known."""
    order = [release.version for release in RELEASES]
    return order.index(version) >= order.index(minimum)


def choose_release(driver_version: str | None, installable: tuple[str, ...]) -> Release:
    """The newest that can be installed and that the driver runs; the oldest of them when the driver runs none."""
    candidates = [release for release in RELEASES if release.version in installable]
    running = [release for release in candidates if release.runs_on(driver_version)]
    return running[-1] if running else candidates[0]


def driver_is_too_old(driver_version: str) -> bool:
    """For every release. A version that cannot be read is given the benefit of the doubt."""
    return not any(release.runs_on(driver_version) for release in RELEASES)


def parse_driver_version(driver_version: str) -> tuple[int, ...]:
    """`580.159.04` → (580, 159, 4); stops at the first part that is no number."""
    numbers: list[int] = []
    for part in driver_version.split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)

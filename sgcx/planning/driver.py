"""Which SGLang is planned for, and the oldest NVIDIA driver that runs it."""

from __future__ import annotations

SGLANG_VERSION = "0.5.10.post1"
DRIVER_FLOOR = (525, 60, 13)
"""CUDA 12 libraries run on any driver of the CUDA 12 family, from this one on."""


def driver_is_too_old(driver_version: str) -> bool:
    """A version that cannot be read is given the benefit of the doubt."""
    numbers = parse_driver_version(driver_version)
    return bool(numbers) and numbers < DRIVER_FLOOR


def parse_driver_version(driver_version: str) -> tuple[int, ...]:
    """`580.159.04` → (580, 159, 4); stops at the first part that is no number."""
    numbers: list[int] = []
    for part in driver_version.split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)

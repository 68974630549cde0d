"""Amounts of memory and disk, as numbers and as words."""

from __future__ import annotations

MIB = 1 << 20
GIB = 1 << 30


def gib(size_bytes: int) -> str:
    return f"{size_bytes / GIB:.1f} GiB"

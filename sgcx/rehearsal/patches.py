"""Patches in the envelope that Codex's `apply_patch` reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher

_CONTEXT_LINES = 3


def create(files: Mapping[str, str]) -> str:
    """Adds every file of `files` (path → content)."""
    return _envelope(line for path, content in files.items() for line in _added(path, content))


def update(path: str, before: str, after: str) -> str:
    """Turns `before`, the content of the file at `path`, into `after`."""
    return _envelope([f"*** Update File: {path}", *_hunks(before.splitlines(), after.splitlines())])


def _added(path: str, content: str) -> Iterator[str]:
    yield f"*** Add File: {path}"
    for line in content.splitlines():
        yield f"+{line}"


def _hunks(before: list[str], after: list[str]) -> Iterator[str]:
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for group in matcher.get_grouped_opcodes(_CONTEXT_LINES):
        yield "@@"
        for kind, start, end, new_start, new_end in group:
            if kind == "equal":
                yield from (f" {line}" for line in before[start:end])
            else:
                yield from (f"-{line}" for line in before[start:end])
                yield from (f"+{line}" for line in after[new_start:new_end])


def _envelope(lines: Iterable[str]) -> str:
    return "\n".join(["*** Begin Patch", *lines, "*** End Patch"]) + "\n"

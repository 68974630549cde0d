"""Unified diffs as edits of one exact file.

Every edit names its place in the published file, so any subset of patches can be put in, in any order, with the same
result; and taken out again, because the lines an edit puts in and those it took away are both known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_HUNK_HEADER = re.compile(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,\d+)? @@")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")


class DiffMismatch(Exception):
    """The text is not the one that the edits were made for."""


@dataclass(frozen=True, slots=True)
class Edit:
    start: int
    """Index of the first published line that is replaced, or before which lines are inserted."""
    removed: tuple[str, ...]
    added: tuple[str, ...]


def parse_unified_diff(text: str) -> tuple[Edit, ...]:
    """The edits of a diff of one file. What stands before the first hunk is for people."""
    edits: list[Edit] = []
    lines = _lines(text)
    position = next(index for index, line in enumerate(lines) if line.startswith("@@"))
    while position < len(lines):
        header = _HUNK_HEADER.match(lines[position])
        if header is None:
            raise ValueError(f"line {position + 1} of the diff is not a hunk header: {lines[position]!r}")
        end = position + 1
        while end < len(lines) and not lines[end].startswith("@@"):
            end += 1
        # A hunk with no published lines names the line before it, any other its first line.
        start = int(header[1]) - (header[2] != "0")
        edits += _edits_of_hunk(start, lines[position + 1 : end])
        position = end
    return tuple(edits)


def _edits_of_hunk(start: int, body: list[str]) -> list[Edit]:
    edits: list[Edit] = []
    published_line = start
    removed: list[str] = []
    added: list[str] = []
    for line in [*body, " "]:
        kind, content = line[0], line[1:]
        if kind == "-":
            removed.append(content)
        elif kind == "+":
            added.append(content)
        elif kind == "\\":
            raise ValueError("a diff of a file without a line feed at its end is not supported")
        else:
            if removed or added:
                edits.append(Edit(published_line, tuple(removed), tuple(added)))
                published_line += len(removed)
                removed, added = [], []
            published_line += 1
    return edits


def _lines(text: str) -> list[str]:
    """Split where diff splits: at line feeds, not at the other characters that Python takes for line ends."""
    return _LINE.findall(text)


def put_in(published: str, edits: Iterable[Edit]) -> str:
    """The published text with the edits made."""
    lines = _lines(published)
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        if not _stands(lines, edit.start, edit.removed):
            raise DiffMismatch(f"line {edit.start + 1} is not the expected one")
        lines[edit.start : edit.start + len(edit.removed)] = edit.added
    return "".join(lines)


def take_out(edited: str, edits: Iterable[Edit]) -> tuple[str, frozenset[Edit]]:
    """The text without those of the edits that are in it, and these edits.

    A place may look edited by chance: that the text is the published one, its hash must say.
    """
    lines = _lines(edited)
    found = set()
    for edit in sorted(edits, key=lambda edit: edit.start):
        is_in = _stands(lines, edit.start, edit.added) if edit.added else not _stands(lines, edit.start, edit.removed)
        if is_in:
            lines[edit.start : edit.start + len(edit.added)] = edit.removed
            found.add(edit)
    return "".join(lines), frozenset(found)


def _stands(lines: list[str], start: int, expected: tuple[str, ...]) -> bool:
    return tuple(lines[start : start + len(expected)]) == expected

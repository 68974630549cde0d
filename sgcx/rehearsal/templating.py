"""`{{name}}` and `{{name|filter}}` in the texts of the rules."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Final

_PLACEHOLDER = re.compile(r"\{\{([a-z_][a-z0-9_]*)((?:\|[a-z]+)*)\}\}")
_EXCERPT_LENGTH = 6000
_TITLE_LENGTH = 36


def _head(text: str) -> str:
    text = text.rstrip("\n") or "(nothing)"
    return text if len(text) <= _EXCERPT_LENGTH else text[:_EXCERPT_LENGTH] + "\n[…]"


def _tail(text: str) -> str:
    return "\n".join(text.rstrip().splitlines()[-8:])


def _title(text: str) -> str:
    """The first line, cut at a word to the length of a title."""
    line = (text.strip().splitlines() or [""])[0].rstrip(" .!?,;:")
    while len(line) > _TITLE_LENGTH and " " in line:
        line = line.rpartition(" ")[0].rstrip(" .!?,;:")
    line = line[:_TITLE_LENGTH] or "Untitled"
    return line[0].upper() + line[1:]


FILTERS: Final[Mapping[str, Callable[[str], str]]] = {
    "head": _head,
    "json": lambda text: json.dumps(text, ensure_ascii=False),
    "shell": shlex.quote,
    "tail": _tail,
    "title": _title,
    "trim": str.strip,
}


def placeholders(template: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The names a template asks for, each with its filters."""
    for found in _PLACEHOLDER.finditer(template):
        yield found[1], tuple(name for name in found[2].split("|") if name)


def fill(template: str, values: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        text = values[found[1]]
        for name in found[2].split("|"):
            if name:
                text = FILTERS[name](text)
        return text

    return _PLACEHOLDER.sub(value, template)

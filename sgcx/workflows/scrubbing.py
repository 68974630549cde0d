"""Text without secrets, for files that leave the machine: stricter than what logs are shown with.

Two nets: values that are known to be secret here are removed wherever they stand, in whatever form around them; and
what looks like a secret by its name or its shape is removed although nobody knows it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

from sgcx.server.redaction import redact

REMOVED = "***"
_SHORTEST_SECRET = 6
_SECRET_NAME = re.compile(r"key|token|secret|passw|credential|authorization|cookie", re.IGNORECASE)
# Bounded, and only from a name's beginning: a long word must not cost its square.
_SECRET_FIELD = r"(?<![\w.-])[\w.-]{0,64}?(?:api[_-]?key|token|secret|passw(?:or)?d|credentials?|authorization|cookie)"
_FIELD = re.compile(_SECRET_FIELD, re.IGNORECASE)
_ASSIGNMENT = re.compile(
    rf"""(?P<name>["']?{_SECRET_FIELD}["']?\s*[=:]\s*)"""
    r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?!\d+\b|none\b|null\b|true\b|false\b)[^\s,;)}\]]+)""",
    re.IGNORECASE,
)


def looks_secret(variable: str) -> bool:
    return _SECRET_NAME.search(variable) is not None


class Scrubber:
    """`home` and `hostname` are not secret, but tell who asks: they become `~` and `[host]`."""

    def __init__(self, secrets: Iterable[str], *, home: Path, hostname: str) -> None:
        forms = {form for secret in secrets if len(secret) >= _SHORTEST_SECRET for form in _forms(secret)}
        names = {str(home): "~"} if home != Path("/") else {}
        if len(hostname) >= _SHORTEST_SECRET:
            names[hostname] = "[host]"
        self._replacements = {**dict.fromkeys(forms, REMOVED), **names}
        longest_first = sorted(self._replacements, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def scrub(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(lambda match: self._replacements[match[0]], text)
        return "\n".join(_ASSIGNMENT.sub(_without_value, redact(line)) for line in text.split("\n"))

    def scrub_file(self, text: str) -> str:
        """JSON is scrubbed text by text and stays JSON."""
        try:
            document: object = json.loads(text)
        except ValueError:
            return self.scrub(text)
        return json.dumps(self._scrub_value(document), indent=2, ensure_ascii=False) + "\n"

    def _scrub_value(self, value: object) -> object:
        match value:
            case str():
                return self.scrub(value)
            case list():
                return self._scrub_list(value)
            case dict():
                return {self.scrub(name): self._scrub_named(name, each) for name, each in value.items()}
            case _:
                return value

    def _scrub_list(self, items: list[object]) -> list[object]:
        """In a list of arguments, what follows the name of a secret is one."""
        return [self._scrub_named(name, item) for name, item in zip([None, *items], items, strict=False)]

    def _scrub_named(self, name: object, value: object) -> object:
        is_secret = isinstance(name, str) and isinstance(value, str) and _FIELD.fullmatch(name)
        return REMOVED if is_secret else self._scrub_value(value)


def _without_value(match: re.Match[str]) -> str:
    """Quoted, so that JSON and TOML stay what they are."""
    return f'{match["name"]}"{REMOVED}"'


def _forms(secret: str) -> tuple[str, ...]:
    """As it is, in a URL, in JSON, and as basic authentication and others encode it."""
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
    return secret, quote(secret, safe=""), json.dumps(secret)[1:-1], encoded


def secrets_in(environ: Mapping[str, str]) -> Iterable[str]:
    return (value for name, value in environ.items() if looks_secret(name))

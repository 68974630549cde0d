"""The names under which the model sees tools.

Chat templates and engines know flat names of at most 64 letters, digits, `_`, `-` and `.`. A name of another
form is made to fit and gets a digest of what it stands for, so that it is the same in every request.
"""

from __future__ import annotations

import hashlib
import re

MAX_NAME_CHARACTERS = 64

_DIGEST_CHARACTERS = 8
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")


def exposed_name(name: str, namespace: str | None) -> str:
    """`mcp__demo` + `add` → `mcp__demo__add`; a namespace that ends with the separator keeps it single."""
    joined = _joined(name, namespace)
    fits = len(joined) <= MAX_NAME_CHARACTERS and not _UNSAFE.search(joined)
    return joined if fits else distinct_name(name, namespace)


def distinct_name(name: str, namespace: str | None) -> str:
    """A name that no other tool has, also where the joined names of two are the same."""
    identity = f"{namespace or ''}\0{name}".encode(errors="surrogatepass")
    digest = hashlib.sha256(identity).hexdigest()[:_DIGEST_CHARACTERS]
    kept = MAX_NAME_CHARACTERS - _DIGEST_CHARACTERS - 1
    return f"{_UNSAFE.sub('_', _joined(name, namespace))[:kept]}_{digest}"


def _joined(name: str, namespace: str | None) -> str:
    if namespace is None:
        return name
    return f"{namespace}{name}" if namespace.endswith("__") else f"{namespace}__{name}"

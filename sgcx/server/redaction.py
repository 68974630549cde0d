"""Log lines and command lines without secrets. Pure."""

from __future__ import annotations

import re

_SECRETS = (
    re.compile(r"""((?:api|admin)[_-]?(?:api[_-]?)?key['"]?\s*[=:]\s*['"]?)(?!None\b)[^\s'",)]+""", re.IGNORECASE),
    re.compile(r"(--(?:admin-)?api-key[\s=]+)\S+"),
    re.compile(r"(\bBearer\s+)[A-Za-z0-9._~+/=-]+", re.IGNORECASE),
    re.compile(r"()\bhf_[A-Za-z0-9]{8,}"),
    re.compile(r"()\bsk-[A-Za-z0-9_-]{8,}"),
    re.compile(r"(\b\w+://[^\s/:@]*:)[^\s/@]+(?=@)"),
    re.compile(r"""((?:HF_TOKEN|HUGGING_FACE_HUB_TOKEN|SGCX_API_KEY|OPENAI_API_KEY)['"]?\s*[=:]\s*['"]?)[^\s'",)]+"""),
)


def redact(line: str) -> str:
    """The line without API keys, tokens and passwords in URLs."""
    for pattern in _SECRETS:
        line = pattern.sub(r"\1***", line)
    return line

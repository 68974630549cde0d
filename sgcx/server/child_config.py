"""What the child is told, as one private file: arguments would show in the process list."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from sgcx.errors import UserError
from sgcx.planning.profile import Dialect

CONFIG_NAME = "child.json"
CONFIG_VARIABLE = "SGCX_CHILD_CONFIG"
"""Names the file, in the child's environment."""


@dataclass(frozen=True, slots=True)
class ChildConfig:
    """`sglang_argv`: SGLang's own arguments. `api_key_path`: None serves without a key."""

    sglang_argv: tuple[str, ...]
    dialect: Dialect
    served_model_name: str
    context_length: int
    images: bool
    always_thinks: bool
    thinking_temperature: float
    thinking_top_p: float
    instant_temperature: float
    instant_top_p: float
    api_key_path: str | None
    catalog: tuple[Mapping[str, object], ...]
    heartbeat_s: float = 10.0
    store_path: str | None = None
    """Where responses and conversations are kept that clients want kept; None keeps nothing."""
    sealing_key_path: str | None = None
    """The key of what clients carry for us sealed; None seals nothing."""

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)


def load_child_config(path: Path) -> ChildConfig:
    """The child reads what this version of sgcx has just written. Others read it of servers that may be older."""
    try:
        fields = cast(dict[str, object], json.loads(path.read_text()))
        for name in ("sglang_argv", "catalog"):
            fields[name] = tuple(cast(list[object], fields[name]))
        return ChildConfig(**fields)  # type: ignore[arg-type]  # decoded JSON of our own dataclass
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"The server's configuration {path} is damaged, or another version of sgcx wrote it: {error}",
            hint=f"`sgcx down {path.parent.name}`, then `sgcx up` with its profile",
        ) from error

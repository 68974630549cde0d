"""Where sgcx keeps things on this machine. XDG directories; `SGCX_HOME` puts all of them under one folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from platformdirs import PlatformDirs

from sgcx.errors import UserError


@dataclass(frozen=True, slots=True)
class Paths:
    data: Path
    """Large and replaceable: engine environments, the rehearsal checkpoint."""
    state: Path
    """Records and logs of servers."""
    config: Path
    """What the user owns: the API key, profiles of their own."""

    @classmethod
    def from_environment(cls) -> Paths:
        home = os.environ.get("SGCX_HOME")
        if home:
            root = _expanded(home).absolute()
            return cls(data=root / "data", state=root / "state", config=root / "config")
        dirs = PlatformDirs("sgcx", appauthor=False)
        return cls(data=dirs.user_data_path, state=dirs.user_state_path, config=dirs.user_config_path)

    @property
    def engines(self) -> Path:
        return self.data / "engines"

    @property
    def models(self) -> Path:
        return self.data / "models"

    @property
    def servers(self) -> Path:
        return self.state / "servers"

    @property
    def responses(self) -> Path:
        """What clients asked to keep; one file for all servers, so that it outlives each of them."""
        return self.state / "responses.sqlite3"

    @property
    def sealing_key(self) -> Path:
        """Opens what clients carry for us sealed; one for all servers, so that a conversation outlives each of them."""
        return self.state / "sealing-key"

    @property
    def calibration(self) -> Path:
        """What starts taught the planner about memory."""
        return self.state / "calibration.json"

    @property
    def user_profiles(self) -> Path:
        return self.config / "profiles"

    @property
    def api_key(self) -> Path:
        return self.config / "api-key"


def _expanded(home: str) -> Path:
    try:
        return Path(home).expanduser()
    except RuntimeError as error:
        raise UserError(f"SGCX_HOME is {home!r}, which begins with a user that this machine does not know") from error


def weights_directory(environ: Mapping[str, str]) -> Path:
    """Where the hub's client keeps what it downloads."""
    if environ.get("HF_HUB_CACHE"):
        return Path(environ["HF_HUB_CACHE"]).expanduser()
    if environ.get("HF_HOME"):
        return Path(environ["HF_HOME"]).expanduser() / "hub"
    cache = environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "huggingface" / "hub"

"""A machine of a test's own and a server on it: what was asked of it, and what it counted for each request."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from installed import SGLANG_VERSION

from sgcx.planning import driver

_USAGE = re.compile(
    r"ended as (\w+): input_tokens=(\d+) cached_tokens=(\d+) output_tokens=(\d+) reasoning_tokens=(\d+)"
)


@dataclass(frozen=True)
class RequestUsage:
    status: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int


@dataclass(frozen=True)
class Machine:
    """An SGCX_HOME of its own, which shares engines and models with the test home."""

    home: Path
    environment: dict[str, str]

    def sgcx(self, *arguments: str, timeout_s: float = 400, **options) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "sgcx", *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            **options,
        )

    def up(self, *arguments: str) -> dict:
        release = () if SGLANG_VERSION == driver.SGLANG_VERSION else ("--sglang", SGLANG_VERSION)
        done = self.sgcx("up", "rehearsal", "--port", "0", "--json", *release, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def status(self) -> list[dict]:
        done = self.sgcx("status", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def down_all(self) -> None:
        for server in self.status():
            self.sgcx("down", server["name"], "--deadline", "10")


def make_machine(home: Path, data: Path | None, **environment: str) -> Machine:
    home.mkdir(parents=True)
    if data is not None:
        (home / "data").symlink_to(data)
    user_home = home / "user"
    user_home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SGCX_", "CODEX_", "XDG_"))}
    return Machine(
        home,
        {**kept, "SGCX_HOME": str(home), "CODEX_HOME": str(user_home / ".codex"), "NO_COLOR": "1", **environment},
    )


@dataclass
class Rehearsal:
    machine: Machine
    result: dict
    key: str = field(repr=False)

    @property
    def log(self) -> Path:
        return Path(self.result["log"])

    @property
    def engine_log(self) -> Path:
        """Of SGLang itself."""
        return self.machine.home / "state" / "servers" / "rehearsal" / "server.log"

    @property
    def engine_url(self) -> str:
        """Of SGLang itself, behind the gateway where there is one."""
        return self.result.get("upstream", {"url": self.result["base_url"]})["url"]

    def client(self, **options) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=self.result["base_url"], headers=headers, trust_env=False, timeout=120, **options)

    def log_since(self, offset: int) -> str:
        with self.log.open("rb") as log:
            log.seek(offset)
            return log.read().decode(errors="replace")

    def usages_since(self, offset: int) -> list[RequestUsage]:
        found = _USAGE.findall(self.log_since(offset))
        return [RequestUsage(status, *map(int, numbers)) for status, *numbers in found]

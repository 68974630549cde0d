"""A running rehearsal server and a configured Codex, both real, both through the product's own commands."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

import httpx
import pytest
from installed import ENDPOINT, SGLANG_VERSION, search_path
from unpatched import WITHOUT_PATCHES

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


@pytest.fixture
def machine(tmp_path, engine_data):
    made = make_machine(tmp_path / "machine", engine_data)
    yield made
    made.down_all()


@pytest.fixture(scope="session")
def battered(tmp_path_factory, engine_data):
    """The machine of the tests that stop and kill its server: `up` starts it where it does not run.

    A start takes half a minute, so a test uses what the last one left, and none expects anything of it.
    """
    made = make_machine(tmp_path_factory.mktemp("battered") / "machine", None, SGLANG_DRAIN_DEADLINE="2")
    (made.home / "data").mkdir()
    (made.home / "data" / "engines").symlink_to(engine_data / "engines")
    yield made
    made.down_all()


@pytest.fixture(scope="session")
def unpatched(tmp_path_factory, engine_data):
    made = make_machine(tmp_path_factory.mktemp("unpatched") / "machine", engine_data, SGLANG_DRAIN_DEADLINE="0")
    yield made
    made.down_all()


@pytest.fixture
def published(unpatched):
    """A running server without the patches."""
    return unpatched.up(*WITHOUT_PATCHES)


@dataclass
class Rehearsal:
    machine: Machine
    result: dict
    key: str = field(repr=False)

    @property
    def log(self) -> Path:
        return Path(self.result["log"])

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


@contextmanager
def gateway_before(machine: Machine, server: dict) -> Iterator[dict]:
    """`sgcx gateway` in front of the server's `/v1/chat/completions`: what `up` printed, with the gateway's address."""
    log = machine.home / "gateway.log"
    upstream = ("--upstream", server["base_url"], "--upstream-key-file", server["api_key_file"])
    command = [sys.executable, "-m", "sgcx", "gateway", *upstream, "--port", "0", "--json"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=machine.environment, stdout=subprocess.PIPE, stderr=out, text=True)
    try:
        document = "".join(takewhile(lambda line: line != "}\n", process.stdout)) + "}"
        yield {**server, **json.loads(document), "log": str(log)}
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture(scope="session")
def rehearsal(tmp_path_factory, engine_data, codex_binary):
    path = os.pathsep.join([str(codex_binary.parent), search_path()])
    machine = make_machine(tmp_path_factory.mktemp("rehearsal") / "machine", engine_data, PATH=path)
    server = machine.up()
    through = gateway_before(machine, server) if ENDPOINT == "gateway" else nullcontext(server)
    with through as result:
        url = ("--url", result["base_url"]) if ENDPOINT == "gateway" else ()
        configured = machine.sgcx("codex-config", "--yes", *url)
        assert configured.returncode == 0, configured.stderr
        yield Rehearsal(machine, result, Path(result["api_key_file"]).read_text().strip())
    machine.down_all()


@pytest.fixture
def small_rehearsal(tmp_path, engine_data, codex_binary):
    """A server of its own, with little context."""
    path = os.pathsep.join([str(codex_binary.parent), search_path()])
    machine = make_machine(tmp_path / "machine", engine_data, PATH=path)
    result = machine.up("--context", "4096")
    configured = machine.sgcx("codex-config", "--yes")
    assert configured.returncode == 0, configured.stderr
    yield Rehearsal(machine, result, Path(result["api_key_file"]).read_text().strip())
    machine.down_all()

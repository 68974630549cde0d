"""What is running: one `record.json` per server, read back strictly. There is no daemon to ask.

    <servers_dir>/<name>/  record.json  lock  up.lock  child.pid  gateway.reason  server.log  server.log.1 …

A record never holds the API key. A file that cannot be read back counts as absent and comes with a warning: the
locks, not the record, decide whether something is alive. Standard library only: the child imports this inside the
engine's environment.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sgcx.atomic_write import write_atomically
from sgcx.errors import UserError
from sgcx.server.process_identity import ProcessIdentity

FORMAT = 1
_GATEWAY_REASON = "gateway.reason"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class ServerState(StrEnum):
    """supervisor's words. EXITED: it ended after it had been ready. FATAL: it never got there, or no restart helped.
    BACKOFF: it ended and will be started again."""

    STARTING = "STARTING"
    RUNNING = "RUNNING"
    BACKOFF = "BACKOFF"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    EXITED = "EXITED"
    FATAL = "FATAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRecord:
    name: str
    profile: str
    served_model_name: str
    state: ServerState
    pid: int
    pid_create_time: float
    """Seconds since boot, see ProcessIdentity."""
    host: str
    port: int
    base_url: str
    engine: str
    sglang_version: str
    started_at: float
    log_path: str
    boot_id: str = ""
    ready_at: float | None = None
    context_length: int | None = None
    gpu_indices: tuple[int, ...] = ()
    exit_reason: str | None = None
    restarts: int = 0
    """Since `sgcx up`, by its supervisor."""
    restart_at: float | None = None
    """When it will be started again, in BACKOFF."""
    gateway_reason: str | None = None
    """Why SGLang does not hold the endpoint in its own process and the gateway serves in front of it, where it does."""

    @property
    def identity(self) -> ProcessIdentity:
        return ProcessIdentity(self.pid, self.pid_create_time, self.boot_id)

    @property
    def server_dir(self) -> Path:
        return Path(self.log_path).parent

    def with_state(self, state: ServerState, *, exit_reason: str | None = None) -> ServerRecord:
        return dataclasses.replace(self, state=state, exit_reason=exit_reason or self.exit_reason)


@dataclass(frozen=True, slots=True)
class LoadedRecord:
    """No record and no warning: there never was one."""

    record: ServerRecord | None
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class RecordListing:
    records: tuple[ServerRecord, ...]
    warnings: tuple[str, ...]


def check_server_name(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise UserError(
            f"{name!r} is no name for a server",
            hint="use letters, digits, dots, dashes and underscores, at most 64, a letter or digit first",
        )


def server_dir(servers_dir: Path, name: str) -> Path:
    check_server_name(name)
    return servers_dir / name


def server_names(servers_dir: Path) -> tuple[str, ...]:
    """Also of servers without a record: their `up` may have been killed. Other directories are not ours."""
    if not servers_dir.is_dir():
        return ()
    return tuple(sorted(each.name for each in servers_dir.iterdir() if each.is_dir() and _NAME.fullmatch(each.name)))


def save_record(servers_dir: Path, record: ServerRecord) -> Path:
    directory = server_dir(servers_dir, record.name)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / "record.json"
    document = {"format": FORMAT, **dataclasses.asdict(record)}
    write_atomically(path, json.dumps(document, indent=2).encode() + b"\n")
    return path


def note_record(servers_dir: Path, record: ServerRecord) -> None:
    """`save_record` where the server counts for more: on a full disk it is still stopped, shown and restarted."""
    with contextlib.suppress(OSError):
        save_record(servers_dir, record)


def load_record(servers_dir: Path, name: str) -> LoadedRecord:
    path = server_dir(servers_dir, name) / "record.json"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return LoadedRecord(None)
    except (OSError, UnicodeDecodeError) as error:
        return LoadedRecord(None, f"{path} cannot be read and is ignored: {error}")
    try:
        record = _parse_record(json.loads(text))
    except ValueError as error:
        return LoadedRecord(None, f"{path} is damaged and is ignored: {error}")
    if record.name != name:
        return LoadedRecord(None, f"{path} is damaged and is ignored: it names the server {record.name!r}")
    return LoadedRecord(record)


def list_records(servers_dir: Path) -> RecordListing:
    """In the order of their names. Directories without a record are no servers."""
    loaded = [load_record(servers_dir, name) for name in server_names(servers_dir)]
    return RecordListing(
        tuple(one.record for one in loaded if one.record is not None),
        tuple(one.warning for one in loaded if one.warning is not None),
    )


def remove_record(servers_dir: Path, name: str) -> bool:
    """Forgets the server. Its logs stay for `sgcx logs`, its locks because a deleted lock excludes nobody."""
    directory = server_dir(servers_dir, name)
    (directory / "child.pid").unlink(missing_ok=True)
    path = directory / "record.json"
    existed = path.exists()
    path.unlink(missing_ok=True)
    return existed


def announce_child(server_dir: Path) -> ProcessIdentity:
    """The child's first act: it writes down who it is, so it is found even if nobody recorded it."""
    identity = ProcessIdentity.of_spawned(os.getpid())
    (server_dir / _GATEWAY_REASON).unlink(missing_ok=True)
    write_atomically(server_dir / "child.pid", f"{identity}\n".encode("ascii"))
    return identity


def announced_child(server_dir: Path) -> ProcessIdentity | None:
    """The child that announced itself here last, alive or not."""
    try:
        text = (server_dir / "child.pid").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    return ProcessIdentity.parse(text)


def announce_gateway(server_dir: Path, reason: str) -> None:
    """The child serves through the gateway, which nobody who asks the endpoint can see."""
    write_atomically(server_dir / _GATEWAY_REASON, reason.encode())


def announced_gateway(server_dir: Path) -> str | None:
    try:
        return (server_dir / _GATEWAY_REASON).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _parse_record(document: object) -> ServerRecord:
    if not isinstance(document, dict):
        raise ValueError("it is no JSON object")
    fields = _Fields(document)
    if fields.integer("format") != FORMAT:
        raise ValueError(f"`format` is not {FORMAT}")
    try:
        state = ServerState(fields.text("state"))
    except ValueError as error:
        raise ValueError(f"`state` is unknown: {error}") from error
    return ServerRecord(
        name=fields.text("name"),
        profile=fields.text("profile"),
        served_model_name=fields.text("served_model_name"),
        state=state,
        pid=fields.integer("pid"),
        pid_create_time=fields.number("pid_create_time"),
        boot_id=fields.text("boot_id"),
        host=fields.text("host"),
        port=fields.integer("port"),
        base_url=fields.text("base_url"),
        engine=fields.text("engine"),
        sglang_version=fields.text("sglang_version"),
        started_at=fields.number("started_at"),
        ready_at=None if fields.absent("ready_at") else fields.number("ready_at"),
        log_path=fields.text("log_path"),
        context_length=None if fields.absent("context_length") else fields.integer("context_length"),
        gpu_indices=fields.integers("gpu_indices"),
        exit_reason=None if fields.absent("exit_reason") else fields.text("exit_reason"),
        restarts=0 if fields.absent("restarts") else fields.integer("restarts"),
        restart_at=None if fields.absent("restart_at") else fields.number("restart_at"),
        gateway_reason=None if fields.absent("gateway_reason") else fields.text("gateway_reason"),
    )


class _Fields:
    """Typed reads of a JSON object; every error names its field."""

    def __init__(self, document: Mapping[object, object]) -> None:
        self._document = document

    def absent(self, name: str) -> bool:
        return self._document.get(name) is None

    def text(self, name: str) -> str:
        value = self._document.get(name)
        if not isinstance(value, str):
            raise ValueError(f"`{name}` is no string")
        return value

    def integer(self, name: str) -> int:
        value = self._document.get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"`{name}` is no whole number")
        return value

    def number(self, name: str) -> float:
        value = self._document.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ValueError(f"`{name}` is no number")
        return float(value)

    def integers(self, name: str) -> tuple[int, ...]:
        value = self._document.get(name)
        if not isinstance(value, list) or not all(type(each) is int for each in value):
            raise ValueError(f"`{name}` is no list of whole numbers")
        return tuple(value)

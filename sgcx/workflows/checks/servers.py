"""Doctor on the servers: what the records say against what is true, and whether a running one answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sgcx.errors import LaunchFailed, UserError
from sgcx.paths import Paths
from sgcx.private_files import is_private
from sgcx.server.api_key import read_api_key
from sgcx.server.locks import supervisor_of
from sgcx.server.records import ServerRecord, ServerState, server_dir, server_names
from sgcx.server.supervisor import ServerSurvey, survey
from sgcx.workflows.checks.check import Check, Fix, FixKind, Status
from sgcx.workflows.codex import server_key
from sgcx.workflows.codex_probe import Finding, probe_for_codex
from sgcx.workflows.responses_client import ResponsesClient
from sgcx.workflows.servers import probe

SERVERS, PROBE = "Servers", "Codex probe"
_CODEX_ASKS = "Codex asks exactly this, and cannot work without the right answer"


@dataclass(frozen=True, slots=True)
class ServerFacts:
    name: str
    found: ServerSurvey
    supervised: bool
    """Something starts it again when it ends by itself."""

    @property
    def record(self) -> ServerRecord | None:
        return self.found.loaded.record

    @property
    def runs(self) -> bool:
        """Its own process lives, not only what that left behind."""
        return self.found.child is not None and self.found.child.identity.is_alive()


def gather_servers(paths: Paths) -> tuple[ServerFacts, ...]:
    """Looks only: unlike `sgcx status` it does not correct the records."""
    return tuple(facts for name in server_names(paths.servers) if (facts := _gather(paths, name)) is not None)


def _gather(paths: Paths, name: str) -> ServerFacts | None:
    found = survey(paths.servers, name)
    known = found.loaded.record is not None or found.loaded.warning is not None or found.alive
    supervised = supervisor_of(server_dir(paths.servers, name)) is not None
    return ServerFacts(name, found, supervised) if known else None


def is_healthy(facts: ServerFacts) -> bool:
    return facts.record is not None and facts.runs and probe(facts.record.base_url)


def check_server(facts: ServerFacts) -> Check:
    if facts.found.loaded.warning is not None:
        first = f"`sgcx down {facts.name}`, then " if facts.found.alive else ""
        mend = f"{first}`sgcx up` with --name {facts.name} writes a new one"
        forget = Fix(FixKind.FORGET_RECORD, facts.name, f"delete the damaged record of {facts.name} (not its logs)")
        fix = None if facts.found.alive else forget
        return Check(SERVERS, facts.name, Status.WARN, facts.found.loaded.warning, mend=mend, fix=fix)
    if facts.supervised and facts.record is not None and not facts.runs:
        return _check_waiting(facts.record)
    if facts.found.alive:
        return _check_living(facts)
    assert facts.record is not None
    return _check_ended(facts.record)


def _check_living(facts: ServerFacts) -> Check:
    name, record = facts.name, facts.record
    pids = ", ".join(map(str, facts.found.pids))
    if record is None:
        mend = f"If no `sgcx up` is at work: sgcx down {name}"
        return Check(SERVERS, name, Status.WARN, f"processes that no record names: {pids}", mend=mend)
    if not facts.runs:
        if not pids:
            return Check(SERVERS, name, Status.WARN, "its lock is held, but no process of it is found")
        found = f"the server has ended, and left processes behind: {pids}"
        fix = Fix(FixKind.END_LEFTOVERS, name, f"end what is left of {name} (pids {pids})")
        return Check(SERVERS, name, Status.FAIL, found, "They hold memory and GPUs", f"sgcx down {name}", fix)
    if is_healthy(facts):
        return _check_healthy(record)
    if record.ready_at is None:
        return Check(SERVERS, name, Status.WARN, f"is starting (pid {record.pid})", mend=f"sgcx logs -f {name}")
    found = f"pid {record.pid} lives, but {record.base_url} does not answer"
    return Check(SERVERS, name, Status.FAIL, found, mend=f"sgcx logs {name}; sgcx down {name}, then up again")


def _check_waiting(record: ServerRecord) -> Check:
    """For its restart: whatever is left of it is its supervisor's business."""
    found = f"ended, and is started again: {record.exit_reason or 'its log may tell why'}"
    why = "After five restarts in a row it is given up"
    mend = f"`sgcx logs {record.name}` shows why; `sgcx up {record.profile} --name {record.name}` does not wait"
    return Check(SERVERS, record.name, Status.WARN, found, why, mend)


def _check_healthy(record: ServerRecord) -> Check:
    found = f"running, {record.served_model_name} on {record.base_url}"
    if record.gateway_reason is None:
        return Check(SERVERS, record.name, Status.OK, found)
    found = f"{found}, through the gateway: {record.gateway_reason}"
    why = "Every token takes a way through another process, and is read by SGLang's own parsers"
    mend = f"`sgcx down {record.name}`, then `sgcx up` with one of the releases in `sgcx engine list`"
    return Check(SERVERS, record.name, Status.WARN, found, why, mend)


def _check_ended(record: ServerRecord) -> Check:
    match record.state:
        case ServerState.STOPPED:
            return Check(SERVERS, record.name, Status.OK, "stopped")
        case ServerState.EXITED | ServerState.FATAL:
            reason, fix = record.exit_reason or "for a reason that its log may tell", None
            found = f"ended: {reason}"
        case ServerState.STARTING | ServerState.RUNNING | ServerState.BACKOFF | ServerState.STOPPING:
            found = f"the record says {record.state}, but the process {record.pid} is gone"
            fix = Fix(FixKind.CORRECT_RECORDS, record.name, f"correct the record of {record.name}")
    mend = f"`sgcx logs {record.name}` shows why; `sgcx up {record.profile}` starts it again"
    return Check(SERVERS, record.name, Status.WARN, found, mend=mend, fix=fix)


def check_endpoint(record: ServerRecord, paths: Paths) -> Iterator[Check]:
    """Is it the right server, and will Codex work with it?"""
    name, model = record.name, record.served_model_name
    try:
        with ResponsesClient(record.base_url, server_key(record, paths)) as client:
            models = client.models()
            if model not in models:
                found = f"{record.base_url} serves {', '.join(models) or 'no model'}, not {model}"
                why = "Another server may have its port"
                yield Check(PROBE, f"{name}: model", Status.FAIL, found, why, "sgcx status")
                return
            for finding in probe_for_codex(client, model):
                yield _as_check(finding, name)
    except LaunchFailed as error:
        mend = error.hint or f"sgcx logs {name}"
        yield Check(PROBE, f"{name}: answers", Status.FAIL, error.message, _CODEX_ASKS, mend)


def _as_check(finding: Finding, name: str) -> Check:
    title = f"{name}: {finding.title}"
    match finding.status:
        case Status.FAIL:
            mend = f"`sgcx logs {name}` shows the request; `sgcx down {name}` and `sgcx up` start it anew"
            return Check(PROBE, title, Status.FAIL, finding.said, _CODEX_ASKS, mend)
        case Status.WARN:
            why = "Codex works as well as the model uses its tools"
            return Check(PROBE, title, Status.WARN, finding.said, why, "sgcx doctor   (asks again)")
        case status:
            return Check(PROBE, title, status, finding.said)


def check_api_key(path: Path) -> Iterator[Check]:
    """A key that others can read is `read_api_key`'s own error."""
    try:
        key = read_api_key(path)
    except UserError as error:
        fix = None if is_private(path) else Fix(FixKind.CLOSE_KEY_FILE, str(path), f"close {path} to others")
        yield Check(SERVERS, "API key", Status.FAIL, error.message, mend=error.hint, fix=fix)
        return
    if key is None:
        yield Check(SERVERS, "API key", Status.SKIP, "not made yet; the first `sgcx up` does that")
    else:
        yield Check(SERVERS, "API key", Status.OK, f"{path}, for its owner only (mode {path.stat().st_mode & 0o777:o})")

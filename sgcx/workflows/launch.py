"""A launch: what is missing is installed, the child is started, and awaited until it answers.

Whatever goes wrong, the child does not outlive it, and the record says what is true.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import httpx

from sgcx.atomic_write import write_atomically
from sgcx.errors import LaunchFailed, SgcxError
from sgcx.paths import Paths
from sgcx.planning.calibration import Difference
from sgcx.planning.plan import LaunchPlan
from sgcx.planning.profile import Profile
from sgcx.server.api_key import ensure_api_key
from sgcx.server.child_config import CONFIG_NAME, load_child_config
from sgcx.server.install_progress import InstallProgress
from sgcx.server.launch_progress import LaunchFacts, StageChange
from sgcx.server.ports import client_url, free_port, listens, port_owner, require_free_port
from sgcx.server.readiness import Ready, wait_ready
from sgcx.server.records import ServerRecord, ServerState, load_record, save_record
from sgcx.server.supervisor import ChildHandle, spawn, stop, survey
from sgcx.workflows.calibration import learn
from sgcx.workflows.codex import server_key
from sgcx.workflows.launch_command import UpOptions, child_config, launch_command, rehearsal_directory
from sgcx.workflows.provision import EngineRuntime, engine_for, provision_engine, provision_rehearsal
from sgcx.workflows.servers import probe

FAILED_LAUNCH_STOP_S = 10.0
_UNSEEN_CHILD_S = 5.0
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Step:
    """A stage of the work that has no progress of its own."""

    label: str


UpEvent: TypeAlias = Step | InstallProgress | StageChange
OnEvent: TypeAlias = Callable[[UpEvent], None]


@dataclass(frozen=True, slots=True)
class UpResult:
    record: ServerRecord
    api_key_path: Path | None
    already_running: bool
    scripted: bool
    ignored_options: tuple[str, ...] = ()
    """What the user asked for and a server that was there already does otherwise."""
    facts: LaunchFacts = field(default_factory=LaunchFacts)
    stage_seconds: tuple[tuple[str, float], ...] = ()
    difference: Difference | None = None
    """What the plan predicted beside what SGLang reported; None for a server that was there already."""


def launch(plan: LaunchPlan, options: UpOptions, directory: Path, paths: Paths, on_event: OnEvent) -> UpResult:
    if options.port == 0:
        options = replace(options, port=free_port(options.listen_host))
    require_free_port(options.listen_host, options.listen_port)
    on_event(Step("Checking the engine"))
    spec = engine_for(plan)
    runtime = provision_engine(spec, paths, on_event, without_patches=options.without_patches)
    if plan.profile.scripted:
        on_event(Step("Making the rehearsal checkpoint"))
        provision_rehearsal(runtime, rehearsal_directory(paths))
    with child_ended_on_failure(paths, options.name):
        child = _start_child(plan, options, directory, runtime, paths)
        record = _record(plan, options, child, runtime)
        save_record(paths.servers, record)
        result = await_ready(record, child, plan.profile, options, paths, on_event)
    return replace(result, difference=learn(plan, result.facts, server_name=options.name, paths=paths))


@contextmanager
def child_ended_on_failure(paths: Paths, name: str) -> Iterator[None]:
    """Whatever goes wrong, Ctrl-C included: the child does not outlive it, and the record says so."""
    try:
        yield
    except BaseException as error:
        _end_child(paths, name)
        record = load_record(paths.servers, name).record
        if record is not None and record.state in (ServerState.STARTING, ServerState.RUNNING):
            with suppress(OSError):  # the first error counts, and may be a full disk itself
                save_record(paths.servers, _ended_record(record, error))
        raise


def _end_child(paths: Paths, name: str) -> None:
    """Found by its traces, because the error may have come before anybody held a handle of it."""
    deadline = time.monotonic() + _UNSEEN_CHILD_S
    while (found := survey(paths.servers, name)).alive:
        if found.child is not None:
            stop(found.child, deadline_s=FAILED_LAUNCH_STOP_S)
            return
        if time.monotonic() >= deadline:
            return
        time.sleep(_POLL_S)  # its program has not begun yet


def _ended_record(record: ServerRecord, error: BaseException) -> ServerRecord:
    match error:
        case KeyboardInterrupt():
            return record.with_state(ServerState.STOPPED, exit_reason="interrupted while starting")
        case SgcxError():
            return record.with_state(ServerState.FATAL, exit_reason=error.message)
        case _:
            return record.with_state(ServerState.FATAL, exit_reason=f"{type(error).__name__} in `sgcx up`: {error}")


def _start_child(
    plan: LaunchPlan, options: UpOptions, directory: Path, runtime: EngineRuntime, paths: Paths
) -> ChildHandle:
    command = launch_command(plan, options, paths)
    if options.authentication:
        ensure_api_key(paths.api_key)
    config = child_config(plan, command, paths, options)
    config_path = directory / CONFIG_NAME
    write_atomically(config_path, config.to_json().encode())
    return spawn(
        [str(runtime.python), "-m", "sgcx.server.child", str(config_path)],
        server_dir=directory,
        environment={**runtime.environment, **command.environment},
        cwd=directory,
    )


def _record(plan: LaunchPlan, options: UpOptions, child: ChildHandle, runtime: EngineRuntime) -> ServerRecord:
    return ServerRecord(
        name=options.name,
        profile=plan.profile.name,
        served_model_name=plan.profile.served_model_name,
        state=ServerState.STARTING,
        pid=child.identity.pid,
        pid_create_time=child.identity.create_time,
        boot_id=child.identity.boot_id,
        host=options.listen_host,
        port=options.listen_port,
        base_url=f"{client_url(options.listen_host, options.listen_port)}/v1",
        engine=runtime.spec.name,
        sglang_version=plan.sglang_version,
        started_at=time.time(),
        log_path=str(child.log_path),
        context_length=plan.context_length,
        gpu_indices=plan.gpu_indices,
    )


def await_ready(
    record: ServerRecord, child: ChildHandle, profile: Profile, options: UpOptions, paths: Paths, on_event: OnEvent
) -> UpResult:
    ready = wait_ready(
        child,
        log_path=child.log_path,
        health=lambda: probe(record.base_url),
        on_stage=on_event,
        deadline_s=options.deadline_s,
    )
    _check_endpoint(record, child, paths)
    record = replace(record, state=ServerState.RUNNING, ready_at=time.time(), exit_reason=None)
    save_record(paths.servers, record)
    return result_of(record, profile, already_running=False, ready=ready)


def _check_endpoint(record: ServerRecord, child: ChildHandle, paths: Paths) -> None:
    """SGLang's health says nothing about our endpoint, and whoever took the port meanwhile may be healthy too."""
    if not listens(record.port, survey(paths.servers, record.name).pids):
        raise LaunchFailed(
            f"The port {record.port} was taken while the engine loaded, by {port_owner(record.port)}",
            hint="Choose another port with --port",
            log_path=str(child.log_path),
        )
    key = server_key(record, paths)
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    try:
        models = httpx.get(f"{record.base_url}/models", headers=headers, timeout=30, trust_env=False)
        names = [entry["id"] for entry in models.raise_for_status().json()["data"]]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise LaunchFailed(
            f"The server runs, but its Responses endpoint does not answer: {type(error).__name__}",
            hint="`sgcx logs` has the details",
            log_path=str(child.log_path),
        ) from error
    if record.served_model_name not in names:
        raise LaunchFailed(
            f"The server serves {', '.join(map(str, names))} instead of {record.served_model_name}",
            log_path=str(child.log_path),
        )


def result_of(record: ServerRecord, profile: Profile, *, already_running: bool, ready: Ready | None = None) -> UpResult:
    key_path = load_child_config(record.server_dir / CONFIG_NAME).api_key_path
    return UpResult(
        record=record,
        api_key_path=None if key_path is None else Path(key_path),
        already_running=already_running,
        scripted=profile.scripted,
        facts=ready.facts if ready else LaunchFacts(),
        stage_seconds=tuple((stage.value, seconds) for stage, seconds in ready.stage_seconds) if ready else (),
    )

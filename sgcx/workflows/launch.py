"""A launch: what is missing is installed, the child is started, and awaited until it answers.

Whatever goes wrong, the child does not outlive it, and the record says what is true.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias

import httpx

from sgcx.environments.install_progress import InstallProgress
from sgcx.errors import LaunchFailed, SgcxError
from sgcx.paths import Paths
from sgcx.server.api_key import ensure_api_key
from sgcx.server.interrupts import interrupts_make_haste
from sgcx.server.launch_progress import LaunchFacts, StageChange
from sgcx.server.launch_recipe import LaunchRecipe, save_recipe
from sgcx.server.ports import client_url, listens, port_owner, require_free_port
from sgcx.server.readiness import wait_ready
from sgcx.server.records import (
    ServerRecord,
    ServerState,
    announced_gateway,
    load_record,
    note_record,
    save_record,
    server_dir,
)
from sgcx.server.supervisor import ChildHandle, spawn, stop, survey
from sgcx.weights.progress import TransferProgress
from sgcx.workflows.codex import server_key
from sgcx.workflows.launch_command import rehearsal_directory
from sgcx.workflows.provision import EngineRuntime, engine_called, provision_engine, provision_rehearsal
from sgcx.workflows.servers import probe
from sgcx.workflows.weights import ensure_weights
from sgcx.workflows.weights_sources import Source

FAILED_LAUNCH_STOP_S = 10.0
_UNSEEN_CHILD_S = 5.0
_POLL_S = 0.05
_MODEL_FLAGS = ("--model-path", "--speculative-draft-model-path")


@dataclass(frozen=True, slots=True)
class Step:
    """A stage of the work that has no progress of its own."""

    label: str


UpEvent: TypeAlias = Step | InstallProgress | TransferProgress | StageChange
OnEvent: TypeAlias = Callable[[UpEvent], None]


@dataclass(frozen=True, slots=True)
class Launched:
    """A server that answers. `stage_seconds`: when each stage was seen, counted from the child's start."""

    record: ServerRecord
    child: ChildHandle
    facts: LaunchFacts
    stage_seconds: tuple[tuple[str, float], ...]


def launch(recipe: LaunchRecipe, paths: Paths, on_event: OnEvent, *, restarts: int = 0) -> Launched:
    """Raises UserError or LaunchFailed; what it had started is stopped then."""
    require_free_port(recipe.host, recipe.port)
    on_event(Step("Checking the engine"))
    runtime = provision_engine(engine_called(recipe.engine), paths, on_event, without_patches=recipe.without_patches)
    if recipe.scripted:
        on_event(Step("Making the rehearsal checkpoint"))
        provision_rehearsal(runtime, rehearsal_directory(paths))
    recipe = _with_weights(recipe, on_event)
    with child_ended_on_failure(paths, recipe.name):
        child = _start_child(recipe, runtime, paths)
        record = _record(recipe, child, restarts)
        save_record(paths.servers, record)
        ready = await_ready(record, child, paths, on_event, deadline_s=recipe.deadline_s)
    return Launched(ready.record, child, ready.facts, ready.stage_seconds)


def _with_weights(recipe: LaunchRecipe, on_event: OnEvent) -> LaunchRecipe:
    """SGLang is given folders, so it asks no network, and every restart serves the same commit."""
    folders = ensure_weights(tuple(Source(*each) for each in recipe.weights), on_event)
    arguments = list(recipe.child.sglang_argv)
    for flag, (position, value) in zip(arguments, enumerate(arguments[1:], 1), strict=False):
        if flag in _MODEL_FLAGS and value in folders:
            arguments[position] = str(folders[value])
    pinned = tuple((repository, folders[repository].name) for repository, _ in recipe.weights)
    return replace(recipe, weights=pinned, child=replace(recipe.child, sglang_argv=tuple(arguments)))


@contextmanager
def child_ended_on_failure(paths: Paths, name: str) -> Iterator[None]:
    """Whatever goes wrong, Ctrl-C included, also once more: the child does not outlive it, and the record says so."""
    try:
        yield
    except BaseException as error:
        with interrupts_make_haste() as in_haste:
            end_child(paths, name, in_haste)
            record = load_record(paths.servers, name).record
            if record is not None and record.state in (ServerState.STARTING, ServerState.RUNNING):
                note_record(paths.servers, _ended_record(record, error))
        raise


def end_child(paths: Paths, name: str, in_haste: Callable[[], bool] = lambda: False) -> None:
    """Found by its traces, because the error may have come before anybody held a handle of it."""
    deadline = time.monotonic() + _UNSEEN_CHILD_S
    while (found := survey(paths.servers, name)).alive:
        if found.child is not None:
            stop(found.child, deadline_s=FAILED_LAUNCH_STOP_S, in_haste=in_haste)
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


def _start_child(recipe: LaunchRecipe, runtime: EngineRuntime, paths: Paths) -> ChildHandle:
    directory = server_dir(paths.servers, recipe.name)
    if recipe.child.api_key_path is not None:
        ensure_api_key(paths.api_key)
    config_path = save_recipe(directory, recipe)
    return spawn(
        [str(runtime.python), "-m", "sgcx.server.child", str(config_path)],
        server_dir=directory,
        environment={**runtime.environment, **recipe.environment},
        cwd=directory,
    )


def _record(recipe: LaunchRecipe, child: ChildHandle, restarts: int) -> ServerRecord:
    return ServerRecord(
        name=recipe.name,
        profile=recipe.profile,
        served_model_name=recipe.child.served_model_name,
        state=ServerState.STARTING,
        pid=child.identity.pid,
        pid_create_time=child.identity.create_time,
        boot_id=child.identity.boot_id,
        host=recipe.host,
        port=recipe.port,
        base_url=f"{client_url(recipe.host, recipe.port)}/v1",
        engine=recipe.engine,
        sglang_version=recipe.sglang_version,
        started_at=time.time(),
        log_path=str(child.log_path),
        context_length=recipe.child.context_length,
        gpu_indices=recipe.gpu_indices,
        restarts=restarts,
    )


def await_ready(
    record: ServerRecord, child: ChildHandle, paths: Paths, on_event: OnEvent, *, deadline_s: float
) -> Launched:
    ready = wait_ready(
        child,
        log_path=child.log_path,
        health=lambda: probe(record.base_url),
        on_stage=on_event,
        deadline_s=deadline_s,
    )
    _check_endpoint(record, child, paths)
    reason = announced_gateway(record.server_dir)
    record = replace(record, state=ServerState.RUNNING, ready_at=time.time(), exit_reason=None, gateway_reason=reason)
    save_record(paths.servers, record)
    return Launched(record, child, ready.facts, tuple((stage.value, seconds) for stage, seconds in ready.stage_seconds))


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

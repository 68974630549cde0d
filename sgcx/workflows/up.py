"""`sgcx up`: is it there already, is something in the way, or is it to be launched? It can be run again at any time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from sgcx.errors import UserError
from sgcx.paths import Paths
from sgcx.planning.calibration import Difference
from sgcx.planning.plan import LaunchPlan
from sgcx.planning.profile import Profile
from sgcx.profiles import load_profile
from sgcx.server.child_config import CONFIG_NAME, load_child_config
from sgcx.server.launch_progress import LaunchFacts
from sgcx.server.locks import end_supervisor, hold_up_lock
from sgcx.server.ports import free_port
from sgcx.server.records import ServerRecord, ServerState, server_dir
from sgcx.server.supervisor import ChildHandle, stop, survey
from sgcx.workflows.calibration import learn
from sgcx.workflows.down import down_record
from sgcx.workflows.launch import (
    FAILED_LAUNCH_STOP_S,
    Launched,
    OnEvent,
    Step,
    await_ready,
    child_ended_on_failure,
    launch,
)
from sgcx.workflows.launch_command import DEFAULT_PORT, UpOptions, launch_recipe
from sgcx.workflows.neighbours import find_neighbours
from sgcx.workflows.provision import check_script
from sgcx.workflows.servers import Answer, ServerView, find_unrecorded, view_of
from sgcx.workflows.supervision import start_supervisor


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


def up(plan: LaunchPlan, options: UpOptions, *, paths: Paths, on_event: OnEvent) -> UpResult:
    """Raises UserError or LaunchFailed; what it had started is stopped then."""
    directory = server_dir(paths.servers, options.name)
    if options.script is not None:
        check_script(options.script)
    with hold_up_lock(directory):
        there = _already_there(plan.profile, options, paths, on_event)
        result = there or _launch(plan, options, directory, paths, on_event)
    _watch(options, paths)
    return result


def find_running(profile_name: str, options: UpOptions, *, paths: Paths, on_event: OnEvent) -> UpResult | None:
    """What `up` finds without a plan: one that is there already leaves no room to plan for it again."""
    directory = server_dir(paths.servers, options.name)
    if not survey(paths.servers, options.name).alive:
        return None
    with hold_up_lock(directory):
        there = _already_there(load_profile(profile_name, paths.user_profiles), options, paths, on_event)
    if there is not None:
        _watch(options, paths)
    return there


def _watch(options: UpOptions, paths: Paths) -> None:
    if options.restart:
        start_supervisor(paths, options.name)


def _launch(plan: LaunchPlan, options: UpOptions, directory: Path, paths: Paths, on_event: OnEvent) -> UpResult:
    end_supervisor(directory)  # of a server that waits for its restart, which this is
    options = replace(options, port=_choose_port(options, paths, on_event))
    launched = launch(launch_recipe(plan, options, paths), paths, on_event)
    difference = learn(plan, launched.facts, server_name=options.name, paths=paths)
    return replace(_result(launched, scripted=plan.profile.scripted), difference=difference)


def _choose_port(options: UpOptions, paths: Paths, on_event: OnEvent) -> int:
    if options.port == 0:
        return free_port(options.listen_host)
    if options.port is not None:
        return options.port
    port = find_neighbours(paths, beside=options.name).free_port_from(DEFAULT_PORT)
    if port != DEFAULT_PORT:
        on_event(Step(f"Another server has the port {DEFAULT_PORT}: this one takes {port}"))
    return port


def _already_there(profile: Profile, options: UpOptions, paths: Paths, on_event: OnEvent) -> UpResult | None:
    """The server, if an earlier `up` started it; also one that had no time to wait for it."""
    found = survey(paths.servers, options.name)
    if not found.alive:
        return None
    record, child = found.loaded.record, found.child
    unrecorded = find_unrecorded(found)
    if unrecorded is not None:
        _require_not_serving(unrecorded)
    if unrecorded is not None or record is None or child is None or not child.identity.is_alive():
        # An `up` that was killed between starting a child and recording it, or workers without their leader.
        on_event(Step("Stopping what an interrupted start left behind"))
        _stop_leftovers(child, record)
        return None
    now = view_of(paths, record, found)
    if _serves_no_more(now):
        on_event(Step("Waiting until the server that stops has stopped"))
        down_record(paths, now.record)
        return None
    if record.profile != profile.name:
        raise UserError(
            f"The server {record.name!r} is running the profile {record.profile!r}",
            hint=f"Stop it with `sgcx down {record.name}`, or start this one beside it with --name",
        )
    launched = Launched(now.record, child, LaunchFacts(), ())
    is_running = now.record.state is ServerState.RUNNING
    if not is_running:
        with child_ended_on_failure(paths, options.name):
            launched = await_ready(now.record, child, paths, on_event, deadline_s=options.deadline_s)
    result = replace(_result(launched, scripted=profile.scripted), already_running=is_running)
    return replace(result, ignored_options=_ignored_options(result, options))


def _result(launched: Launched, *, scripted: bool) -> UpResult:
    key_path = load_child_config(launched.record.server_dir / CONFIG_NAME).api_key_path
    return UpResult(
        record=launched.record,
        api_key_path=None if key_path is None else Path(key_path),
        already_running=False,
        scripted=scripted,
        facts=launched.facts,
        stage_seconds=launched.stage_seconds,
    )


def _require_not_serving(found: ServerView) -> None:
    if found.answer in (Answer.READY, Answer.SILENT):
        name = found.record.name
        raise UserError(
            f"The server {name!r} is running (pid {found.record.pid}), but {found.record.exit_reason}",
            hint=f"Stop it with `sgcx down {name}`, then start it again",
        )


def _serves_no_more(now: ServerView) -> bool:
    """It was told to stop, by us or by a signal. One that is only silent may be at work."""
    was_ready = now.record.ready_at is not None
    return now.record.state is ServerState.STOPPING or (was_ready and now.answer in (Answer.REFUSES, Answer.CLOSED))


def _stop_leftovers(child: ChildHandle | None, record: ServerRecord | None) -> None:
    target = child or record
    if target is None or stop(target, deadline_s=FAILED_LAUNCH_STOP_S).leftover_pids:
        raise UserError(
            "Processes of an interrupted start cannot be stopped", hint="`sgcx status` and `sgcx down` say more"
        )


def _ignored_options(result: UpResult, options: UpOptions) -> tuple[str, ...]:
    record = result.record
    differs = {
        "--host": options.host not in (None, record.host),
        "--port": options.port not in (None, 0, record.port),
        "--context": options.context_length not in (None, record.context_length),
        "--without-patch": bool(options.without_patches),
        "--no-auth": not options.authentication and result.api_key_path is not None,
    }
    return tuple(name for name, is_different in differs.items() if is_different)

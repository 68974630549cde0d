"""`sgcx up`: is it there already, is something in the way, or is it to be launched? It can be run again at any time."""

from __future__ import annotations

from dataclasses import replace

from sgcx.errors import UserError
from sgcx.paths import Paths
from sgcx.planning.plan import LaunchPlan
from sgcx.server.locks import hold_up_lock
from sgcx.server.records import ServerRecord, ServerState, server_dir
from sgcx.server.supervisor import ChildHandle, stop, survey
from sgcx.workflows.down import down_record
from sgcx.workflows.launch import (
    FAILED_LAUNCH_STOP_S,
    OnEvent,
    Step,
    UpResult,
    await_ready,
    child_ended_on_failure,
    launch,
    result_of,
)
from sgcx.workflows.launch_command import UpOptions
from sgcx.workflows.provision import check_script
from sgcx.workflows.servers import Answer, ServerView, find_unrecorded, view_of


def up(plan: LaunchPlan, options: UpOptions, *, paths: Paths, on_event: OnEvent) -> UpResult:
    """Raises UserError or LaunchFailed; what it had started is stopped then."""
    directory = server_dir(paths.servers, options.name)
    if options.script is not None:
        check_script(options.script)
    with hold_up_lock(directory):
        running = _already_there(plan, options, paths, on_event)
        if running is not None:
            return running
        return launch(plan, options, directory, paths, on_event)


def _already_there(plan: LaunchPlan, options: UpOptions, paths: Paths, on_event: OnEvent) -> UpResult | None:
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
    if record.profile != plan.profile.name:
        raise UserError(
            f"The server {record.name!r} is running the profile {record.profile!r}",
            hint=f"Stop it with `sgcx down {record.name}`, or start this one beside it with --name",
        )
    if now.record.state is ServerState.RUNNING:
        result = result_of(now.record, plan.profile, already_running=True)
    else:
        with child_ended_on_failure(paths, options.name):
            result = await_ready(now.record, child, plan.profile, options, paths, on_event)
    return replace(result, ignored_options=_ignored_options(result, options))


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

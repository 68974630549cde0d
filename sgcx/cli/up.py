"""`sgcx up`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sgcx.byte_sizes import gib
from sgcx.cli.options import Json, NewServerName, NoAuth, ProfileToServe, Yes
from sgcx.cli.plan_options import Concurrency, Context, Gpus, Hardware, HostCache, Prefer, Sglang, Variant, read_wishes

if TYPE_CHECKING:
    from sgcx.paths import Paths
    from sgcx.planning.calibration import Difference
    from sgcx.planning.plan import LaunchPlan, Wishes
    from sgcx.server.records import ServerRecord
    from sgcx.workflows.launch_command import UpOptions
    from sgcx.workflows.up import UpResult


Restart = Annotated[
    bool, typer.Option("--restart", help="Start it again when it ends by itself: at most 5 times in a row.")
]
Port = Annotated[
    int | None, typer.Option(min=0, max=65535, help="Port to listen on: 30000 unless given, 0 takes a free one.")
]
WithoutPatch = Annotated[
    list[str] | None, typer.Option("--without-patch", metavar="PATCH", help="Leave out a patch: `sgcx patch list`.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show plan, arguments and environment; start nothing.")]


def register(app: typer.Typer) -> None:
    app.command("up")(up)


def up(
    profile: ProfileToServe,
    name: NewServerName = None,
    context: Context = None,
    concurrency: Concurrency = None,
    gpus: Gpus = None,
    variant: Variant = None,
    prefer: Prefer = None,
    host_cache: HostCache = None,
    sglang: Sglang = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1 unless given.")] = None,
    port: Port = None,
    no_auth: NoAuth = False,
    script: Annotated[Path | None, typer.Option(help="Rules of your own for the rehearsal.")] = None,
    without_patch: WithoutPatch = None,
    deadline: Annotated[float, typer.Option(min=1, help="Seconds until it must be ready.")] = 3600,
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay, show the log, stop it on Ctrl-C.")] = False,
    restart: Restart = False,
    dry_run: DryRun = False,
    hardware: Hardware = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Plan, install what is missing, start the server and wait until it answers."""
    from sgcx.workflows.launch_command import UpOptions

    wishes = read_wishes(
        context=context,
        concurrency=concurrency,
        gpus=gpus,
        variant=variant,
        prefer=prefer,
        host_cache=host_cache,
        sglang=sglang,
    )
    options = UpOptions(
        name=name or profile,
        host=host,
        port=port,
        context_length=context,
        authentication=not no_auth,
        script=script,
        without_patches=tuple(without_patch or ()),
        deadline_s=deadline,
        restart=restart and not foreground,
    )
    _warn_of_no_key(options)
    if dry_run:
        _show_dry_run(profile, wishes, options, hardware, as_json=json)
    else:
        _require_this_machine(hardware)
        _start(profile, wishes, options, stay=foreground, restart=restart, yes=yes, as_json=json)


def _require_this_machine(hardware: Path | None) -> None:
    from sgcx.errors import UserError

    if hardware is not None:
        raise UserError("--hardware plans for another machine", hint="Add --dry-run")


def _start(
    profile: str, wishes: Wishes, options: UpOptions, *, stay: bool, restart: bool, yes: bool, as_json: bool
) -> None:
    import signal

    from sgcx.paths import Paths
    from sgcx.server.interrupts import take_for_interrupts

    take_for_interrupts(signal.SIGTERM)
    paths = Paths.from_environment()
    bring_up = partial(_bring_up, profile, wishes, options, paths, yes=yes, as_json=as_json)
    if stay:
        _stay(bring_up, paths, restart=restart, as_json=as_json)
    else:
        _show(bring_up(), as_json=as_json)


def _show_dry_run(profile: str, wishes: Wishes, options: UpOptions, hardware: Path | None, *, as_json: bool) -> None:
    from sgcx.cli import plan_view
    from sgcx.paths import Paths
    from sgcx.workflows.launch_command import launch_command

    paths = Paths.from_environment()
    plan = _plan(profile, wishes, paths, hardware, server=options.name)
    plan_view.show_dry_run(plan, launch_command(plan, options, paths), as_json=as_json)


def _bring_up(profile: str, wishes: Wishes, options: UpOptions, paths: Paths, *, yes: bool, as_json: bool) -> UpResult:
    from sgcx.cli.progress import LaunchDisplay
    from sgcx.cli.render import stderr
    from sgcx.workflows.up import find_running
    from sgcx.workflows.up import up as start

    with LaunchDisplay(stderr(), quiet=as_json) as display:
        running = find_running(profile, options, paths=paths, on_event=display.feed)
    if running is not None:
        return running
    plan = _plan(profile, wishes, paths, None, server=options.name)
    _tell_of_neighbours(plan, options, paths)
    _confirm(plan, yes=yes, as_json=as_json)
    with LaunchDisplay(stderr(), quiet=as_json) as display:
        return start(plan, options, paths=paths, on_event=display.feed)


def _tell_of_neighbours(plan: LaunchPlan, options: UpOptions, paths: Paths) -> None:
    from sgcx.cli import render
    from sgcx.workflows.neighbours import find_neighbours

    owners = find_neighbours(paths, beside=options.name).gpu_owners()
    for name in sorted(set(owners.values())):
        indices = [index for index, owner in sorted(owners.items()) if owner == name]
        gpus = ", ".join(map(str, indices))
        if set(indices) & set(plan.gpu_indices):
            render.warn(f"the server {name!r} serves on GPU {gpus} too: its memory is not free")
        else:
            render.note(f"The server {name!r} has GPU {gpus}: this one is planned for the others")


def _plan(profile: str, wishes: Wishes, paths: Paths, hardware: Path | None, *, server: str) -> LaunchPlan:
    from sgcx.workflows.planning import make_plan, require_plan

    return require_plan(make_plan(profile, wishes, paths=paths, hardware_file=hardware, server=server).outcome)


def _confirm(plan: LaunchPlan, *, yes: bool, as_json: bool) -> None:
    from sgcx.cli import plan_view
    from sgcx.cli.prompts import confirm

    if plan.profile.scripted:
        return
    plan_view.show_plan(plan, quiet=as_json)
    if not confirm("Start it?", yes=yes):
        raise typer.Exit(1)


def _warn_of_no_key(options: UpOptions) -> None:
    from sgcx.cli import render

    if not options.authentication and options.listen_host not in ("127.0.0.1", "localhost", "::1"):
        where = f"{options.listen_host}:{options.listen_port}"
        render.warn(f"without a key, everybody who reaches {where} can use this server")


def _show(result: UpResult, *, as_json: bool) -> None:
    from sgcx.cli import render

    record = result.record
    if as_json:
        render.print_json(
            {
                "name": record.name,
                "base_url": record.base_url,
                "model": record.served_model_name,
                "api_key_file": str(result.api_key_path) if result.api_key_path else None,
                "context_length": record.context_length,
                "already_running": result.already_running,
                "ignored_options": list(result.ignored_options),
                "scripted": result.scripted,
                "gateway_reason": record.gateway_reason,
                "pid": record.pid,
                "log": record.log_path,
                "prediction": result.difference.to_json() if result.difference else None,
                "stage_seconds": {stage: round(seconds, 1) for stage, seconds in result.stage_seconds},
            }
        )
        return
    if result.already_running:
        render.note(f"{record.name} is running already")
    if result.ignored_options:
        options, verb = " and ".join(result.ignored_options), "need" if len(result.ignored_options) > 1 else "needs"
        render.warn(f"it was started otherwise: {options} {verb} `sgcx down {record.name}` first")
    if record.gateway_reason:
        render.warn(f"{record.gateway_reason}. The gateway serves it, in front of SGLang")
    render.print_pairs(
        [
            ("Endpoint", record.base_url),
            ("Model", record.served_model_name),
            ("Key", f"in {result.api_key_path}" if result.api_key_path else "none is asked for"),
            *_truth(result.difference),
            ("Next", "sgcx codex-config, then sgcx codex"),
        ]
    )
    if result.scripted:
        render.note("The rehearsal model is scripted: it is no language model and knows only a few tasks")


def _truth(difference: Difference | None) -> list[tuple[str, str]]:
    """What the plan promised, as SGLang has it now."""
    if difference is None:
        return []
    predicted, observed = difference.prediction, difference.observation
    lines: list[tuple[str, str]] = []
    if observed.max_total_num_tokens is not None:
        tokens = f"{observed.max_total_num_tokens:,} tokens, planned {predicted.max_total_num_tokens:,}"
        lines.append(("Cache", tokens))
    if observed.weights_bytes is not None:
        weights = f"{gib(observed.weights_bytes)} on each GPU, planned {gib(predicted.weights_bytes)}"
        lines.append(("Weights", weights))
    return lines


def _stay(bring_up: Callable[[], UpResult], paths: Paths, *, restart: bool, as_json: bool) -> None:
    """Until Ctrl-C, SIGTERM, or the end of the terminal, which stop the server at whatever stage it is, or until it
    ends by itself."""
    import signal

    from sgcx.cli.logs import show_log
    from sgcx.errors import LaunchFailed
    from sgcx.server.interrupts import take_for_interrupts
    from sgcx.server.supervisor import Dead, liveness
    from sgcx.workflows.down import down_interrupted

    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell has put it into the background
    take_for_interrupts(signal.SIGHUP)
    result = bring_up()
    record = result.record
    try:
        _show(result, as_json=as_json)
        if restart:
            _watch(record, paths)
            return
        show_log(Path(record.log_path), follow=True, lines=0, until=lambda: isinstance(liveness(record), Dead))
    except KeyboardInterrupt:
        down_interrupted(paths, record)
        return
    except (OSError, SystemExit):  # nobody reads what it shows any more
        down_interrupted(paths, record)
        raise
    raise LaunchFailed(f"The server {record.name!r} ended by itself", hint="`sgcx status` says why")


def _watch(record: ServerRecord, paths: Paths) -> None:
    """Shows the log meanwhile, from one start to the next."""
    import threading

    from sgcx.cli import render
    from sgcx.cli.logs import show_log
    from sgcx.workflows.supervision import supervise

    log = Path(record.log_path)
    threading.Thread(target=lambda: show_log(log, follow=True, lines=0), daemon=True).start()
    supervise(record.name, paths, on_event=lambda _: None, on_note=render.note)

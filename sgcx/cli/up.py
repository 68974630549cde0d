"""`sgcx up`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sgcx.cli.completion import complete_profile
from sgcx.cli.options import Json, Yes
from sgcx.cli.plan_options import Concurrency, Context, Gpus, Hardware, HostCache, Prefer, Sglang, Variant, read_wishes

if TYPE_CHECKING:
    from sgcx.paths import Paths
    from sgcx.planning.calibration import Difference
    from sgcx.planning.plan import LaunchPlan, Wishes
    from sgcx.server.records import ServerRecord
    from sgcx.workflows.launch_command import UpOptions
    from sgcx.workflows.up import UpResult


ProfileToServe = Annotated[
    str, typer.Argument(help="What to serve: see `sgcx profiles`.", autocompletion=complete_profile)
]
Restart = Annotated[
    bool, typer.Option("--restart", help="Start it again when it ends by itself: at most 5 times in a row.")
]


def register(app: typer.Typer) -> None:
    app.command("up")(up)


def up(
    profile: ProfileToServe,
    name: Annotated[str | None, typer.Option(help="The server's name; the profile's unless given.")] = None,
    context: Context = None,
    concurrency: Concurrency = None,
    gpus: Gpus = None,
    variant: Variant = None,
    prefer: Prefer = None,
    host_cache: HostCache = None,
    sglang: Sglang = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1 unless given.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on: 30000 unless given, 0 takes a free one.")
    ] = None,
    no_auth: Annotated[bool, typer.Option("--no-auth", help="Serve without an API key.")] = False,
    script: Annotated[Path | None, typer.Option(help="Rules of your own for the rehearsal.")] = None,
    without_patch: Annotated[
        list[str] | None, typer.Option("--without-patch", metavar="PATCH", help="Leave out a patch: `sgcx patch list`.")
    ] = None,
    deadline: Annotated[float, typer.Option(min=1, help="Seconds until it must be ready.")] = 3600,
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay, show the log, stop it on Ctrl-C.")] = False,
    restart: Restart = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show plan, arguments and environment; start nothing.")
    ] = False,
    hardware: Hardware = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Plan, install what is missing, start the server and wait until it answers."""
    from sgcx.paths import Paths
    from sgcx.workflows.launch_command import UpOptions

    _require_dry_run(hardware, dry_run=dry_run)
    paths = Paths.from_environment()
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
        _show_dry_run(profile, wishes, options, paths, hardware, as_json=json)
        return
    bring_up = partial(_bring_up, profile, wishes, options, paths, yes=yes, as_json=json)
    if foreground:
        _stay(bring_up, paths, restart=restart, as_json=json)
    else:
        _show(bring_up(), as_json=json)


def _require_dry_run(hardware: Path | None, *, dry_run: bool) -> None:
    from sgcx.errors import UserError

    if hardware is not None and not dry_run:
        raise UserError("--hardware plans for another machine", hint="Add --dry-run")


def _show_dry_run(
    profile: str, wishes: Wishes, options: UpOptions, paths: Paths, hardware: Path | None, *, as_json: bool
) -> None:
    from sgcx.cli import plan_view
    from sgcx.workflows.launch_command import launch_command

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
    from sgcx.errors import UserError
    from sgcx.planning.plan import LaunchPlan
    from sgcx.workflows.planning import make_plan

    outcome = make_plan(profile, wishes, paths=paths, hardware_file=hardware, server=server).outcome
    if not isinstance(outcome, LaunchPlan):
        raise UserError(outcome.message, hint=outcome.hint)
    return outcome


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



"""`sgcx restart`: down, and up again as it was: the same plan, port and key. A new plan is what `sgcx up` makes."""

from __future__ import annotations

from sgcx.paths import Paths
from sgcx.server.launch_recipe import load_recipe, save_recipe
from sgcx.server.locks import hold_up_lock, supervisor_of
from sgcx.server.supervisor import STOP_DEADLINE_S
from sgcx.workflows.down import down_server
from sgcx.workflows.launch import Launched, OnEvent, Step, launch
from sgcx.workflows.servers import ServerView
from sgcx.workflows.supervision import start_supervisor


def restart_server(
    paths: Paths, view: ServerView, on_event: OnEvent, *, deadline_s: float = STOP_DEADLINE_S
) -> Launched:
    """Also of a server that has ended. One that was watched is watched again."""
    name = view.record.name
    directory = paths.servers / name
    recipe = load_recipe(directory)
    save_recipe(directory, recipe)  # a full disk shows before anything is stopped
    supervised = supervisor_of(directory) is not None
    on_event(Step(f"Stopping {name}"))
    down_server(paths, view, deadline_s=deadline_s)
    with hold_up_lock(directory):
        launched = launch(recipe, paths, on_event)
    if supervised:
        start_supervisor(paths, name)
    return launched

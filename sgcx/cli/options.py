"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from sgcx.cli.completion import complete_profile, complete_server

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
NoAuth = Annotated[bool, typer.Option("--no-auth", help="Serve without an API key.")]
StopDeadline = Annotated[float, typer.Option("--deadline", min=0, help="Seconds for running answers to finish.")]
ProfileToServe = Annotated[
    str, typer.Argument(help="What to serve: see `sgcx profiles`.", autocompletion=complete_profile)
]
NewServerName = Annotated[str | None, typer.Option("--name", help="The server's name; the profile's unless given.")]
ServerName = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]", help="The server; may be left out when there is only one.", autocompletion=complete_server
    ),
]

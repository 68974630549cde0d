"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from sgcx.cli.completion import complete_server

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
ServerName = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]", help="The server; may be left out when there is only one.", autocompletion=complete_server
    ),
]

"""Questions to the user. Without a terminal nothing is asked: the command says what to add instead."""

from __future__ import annotations

import sys

import typer

from sgcx.errors import UserError


def confirm(question: str, *, yes: bool) -> bool:
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UserError("This needs a yes, and there is no terminal to ask on", hint="Add --yes")
    return typer.confirm(question, default=True, err=True)

"""`sgcx gateway` and its page."""

from __future__ import annotations

import re
from pathlib import Path

import typer
import typer.main
from typer.testing import CliRunner

from sgcx.cli import gateway
from sgcx.errors import UserError

DOCUMENT = (Path(__file__).parents[2] / "docs" / "gateway.md").read_text(encoding="utf-8")

app = typer.Typer()
gateway.register(app)


def test_every_option_is_in_the_document() -> None:
    named = set(re.findall(r"--[a-z][a-z-]+", DOCUMENT))
    options = {
        option
        for parameter in typer.main.get_command(app).params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    assert options - named <= {"--json", "--help", "--reasoning-opened", "--install-completion", "--show-completion"}


def test_a_dialect_that_does_not_exist_is_refused() -> None:
    result = CliRunner().invoke(app, ["--upstream", "http://127.0.0.1:1/v1", "--dialect", "klingon"])
    assert isinstance(result.exception, UserError)
    assert "kimi_k2" in (result.exception.hint or "")

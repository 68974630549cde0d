"""docs/codex.md shows the config that sgcx writes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from sgcx.codex.config import CodexSettings, apply_settings, build_assignments

DOCUMENT = (Path(__file__).parents[2] / "docs" / "codex.md").read_text(encoding="utf-8")


def test_the_config_to_write_by_hand_is_the_one_that_sgcx_writes() -> None:
    by_hand = re.search(r"<<EOF\n(.*?)\nEOF\n", DOCUMENT, re.DOTALL)
    assert by_hand
    settings = CodexSettings(
        base_url="http://127.0.0.1:30000/v1",
        model="kimi-k2.6",
        catalog_path=Path("$HOME/.codex/sgcx-models.json"),
        bearer_token="$KEY",
    )
    assert tomllib.loads(by_hand.group(1)) == tomllib.loads(apply_settings("", settings))


def test_every_key_is_explained() -> None:
    table = DOCUMENT.split("### The keys and their reasons")[1].split("## Undo")[0]
    settings = CodexSettings(base_url="u", model="m", catalog_path=Path("/c"), bearer_token="t")
    assert [path for path in build_assignments(settings) if path[-1] not in table] == []

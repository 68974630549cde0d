"""The model catalog's entries."""

from __future__ import annotations

import json

import pytest

from sgcx.codex.catalog import CatalogModel, build_catalog, load_base_instructions

KIMI = CatalogModel(
    slug="kimi-k2.6",
    display_name="Kimi K2.6",
    description="On SGLang",
    context_window=262_144,
    input_modalities=("text", "image"),
    efforts=(("none", "Instant"), ("high", "Thinking")),
    default_effort="high",
)
PLAIN = CatalogModel(slug="plain", display_name="Plain", description="d", context_window=1000)

REQUIRED_BY_0_169 = {
    "slug", "display_name", "supported_reasoning_levels", "shell_type", "visibility", "supported_in_api", "priority",
    "support_verbosity", "truncation_policy", "experimental_supported_tools", "base_instructions",
}  # fmt: skip
REQUIRED_BY_0_130 = {
    "supports_reasoning_summaries", "supports_parallel_tool_calls", "description", "default_verbosity", "upgrade",
}  # fmt: skip


def entries(*models: CatalogModel) -> list[dict[str, object]]:
    listed = json.loads(json.dumps(build_catalog(models)))["models"]
    assert isinstance(listed, list)
    return listed


def test_every_field_that_codex_requires_is_there() -> None:
    for entry in entries(KIMI, PLAIN):
        assert entry.keys() >= REQUIRED_BY_0_169 | REQUIRED_BY_0_130


def test_the_first_model_is_listed_first() -> None:
    assert [(entry["slug"], entry["priority"]) for entry in entries(KIMI, PLAIN)] == [("kimi-k2.6", 1), ("plain", 2)]


def test_compaction_starts_at_four_fifths_of_the_window_unless_told_otherwise() -> None:
    told = CatalogModel(slug="a", display_name="A", description="d", context_window=1000, auto_compact_token_limit=700)
    assert [entry["auto_compact_token_limit"] for entry in entries(KIMI, PLAIN, told)] == [209_715, 800, 700]


def test_a_model_without_efforts_has_no_default() -> None:
    (entry,) = entries(PLAIN)
    assert (entry["supported_reasoning_levels"], entry["default_reasoning_level"]) == ([], None)


def test_a_default_effort_must_be_one_of_the_efforts() -> None:
    with pytest.raises(ValueError, match="'low'"):
        CatalogModel(slug="a", display_name="A", description="d", context_window=1, default_effort="low")


def test_the_prompt_ships_with_the_package_and_stays_short() -> None:
    instructions = load_base_instructions()
    assert "*** Begin Patch" in instructions
    assert len(instructions) < 3000
    assert entries(PLAIN)[0]["base_instructions"] == instructions

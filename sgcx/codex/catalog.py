"""The model catalog that Codex reads (`model_catalog_json`) and that `GET /v1/models` repeats under `models`.

Without an entry for its model, Codex warns about missing metadata, assumes a 272 000-token window and sends a
17 kB prompt written for another model. The fields below satisfy Codex 0.169 and, in the same file, 0.130.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal, TypeAlias

Modality: TypeAlias = Literal["text", "image"]
JsonObject: TypeAlias = dict[str, object]

AUTO_COMPACT_SHARE = 0.8
"""Compaction itself needs room: Codex's own limit is 90 %, which a long last answer can overrun."""

TOOL_OUTPUT_LIMIT_TOKENS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogModel:
    """`slug` is the name that requests carry; `efforts` are (effort, description) pairs as /model lists them."""

    slug: str
    display_name: str
    description: str
    context_window: int
    input_modalities: tuple[Modality, ...] = ("text",)
    efforts: tuple[tuple[str, str], ...] = ()
    default_effort: str | None = None
    auto_compact_token_limit: int | None = None

    def __post_init__(self) -> None:
        if self.default_effort is not None and self.default_effort not in dict(self.efforts):
            raise ValueError(f"default_effort {self.default_effort!r} of {self.slug!r} is not one of its efforts")


@cache
def load_base_instructions() -> str:
    return resources.files("sgcx.codex").joinpath("base_instructions.md").read_text(encoding="utf-8")


def build_catalog(models: Sequence[CatalogModel], *, base_instructions: str | None = None) -> JsonObject:
    return {"models": catalog_entries(models, base_instructions=base_instructions)}


def catalog_entries(models: Sequence[CatalogModel], *, base_instructions: str | None = None) -> list[JsonObject]:
    """The first model has the highest priority: Codex's picker lists it first."""
    instructions = load_base_instructions() if base_instructions is None else base_instructions
    return [_entry(model, priority, instructions) for priority, model in enumerate(models, start=1)]


def _entry(model: CatalogModel, priority: int, base_instructions: str) -> JsonObject:
    return {
        "slug": model.slug,
        "display_name": model.display_name,
        "description": model.description,
        "priority": priority,
        "visibility": "list",
        "supported_in_api": True,
        "upgrade": None,
        "availability_nux": None,
        "additional_speed_tiers": [],
        "service_tiers": [],
        **_window(model),
        **_reasoning(model),
        **_tools(),
        **_prompt(base_instructions),
    }


def _window(model: CatalogModel) -> JsonObject:
    limit = model.auto_compact_token_limit
    return {
        "context_window": model.context_window,
        "max_context_window": model.context_window,
        "auto_compact_token_limit": int(model.context_window * AUTO_COMPACT_SHARE) if limit is None else limit,
        "effective_context_window_percent": 95,
        "truncation_policy": {"mode": "tokens", "limit": TOOL_OUTPUT_LIMIT_TOKENS},
        "input_modalities": list(model.input_modalities),
        "supports_image_detail_original": False,
    }


def _reasoning(model: CatalogModel) -> JsonObject:
    levels = [{"effort": effort, "description": description} for effort, description in model.efforts]
    return {
        "supported_reasoning_levels": levels,
        "default_reasoning_level": model.default_effort,
        # The raw thinking is what the model wrote; a summary would be a second copy, stored and sent back too.
        "supports_reasoning_summary_parameter": False,
        "default_reasoning_summary": "none",
        # 0.130 sends no `reasoning.effort` without this.
        "supports_reasoning_summaries": bool(levels),
        "support_verbosity": False,
        "default_verbosity": None,
    }


def _tools() -> JsonObject:
    """Few tools, all of a kind that the server can show to an open model as plain functions."""
    return {
        "shell_type": "unified_exec",
        # Patches as a tool of their own: Codex draws the diff, and there is no shell quoting to get wrong.
        "apply_patch_tool_type": "freeform",
        "web_search_tool_type": "text",
        "supports_parallel_tool_calls": True,
        "supports_search_tool": False,
        "use_responses_lite": False,
        "tool_mode": "direct",
        "multi_agent_version": "disabled",
        "experimental_supported_tools": [],
    }


def _prompt(base_instructions: str) -> JsonObject:
    return {
        "base_instructions": base_instructions,
        "include_skills_usage_instructions": False,
        "include_plugin_usage_instructions": False,
        "include_apps_usage_instructions": False,
    }

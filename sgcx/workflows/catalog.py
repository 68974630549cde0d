"""A profile as Codex's model catalog describes it. The server repeats the same entry under `/v1/models`."""

from __future__ import annotations

from sgcx.codex.catalog import CatalogModel
from sgcx.planning.profile import Profile

_INSTANT = ("none", "Answers at once, without thinking")
_THINKING = ("high", "Thinks before it answers")


def catalog_model(profile: Profile, context_length: int) -> CatalogModel:
    """`context_length` is the server's: Codex compacts by it, so it must not be the model's larger one."""
    return CatalogModel(
        slug=profile.served_model_name,
        display_name=profile.title,
        description=f"{profile.title} on this machine, served by SGLang",
        context_window=context_length,
        input_modalities=profile.input_modalities,
        efforts=(_THINKING,) if profile.thinking == "always" else (_INSTANT, _THINKING),
        default_effort=_THINKING[0],
    )

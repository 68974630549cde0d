"""What is known of the model behind a gateway: from the profile of that model, else from its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sgcx.codex.catalog import CatalogModel
from sgcx.planning.profile import Dialect, HubCheckpoint, Profile, Sampling
from sgcx.profiles import list_profiles
from sgcx.workflows.gateway_upstream import UpstreamModel

_SAMPLING: dict[Dialect, tuple[Sampling, Sampling]] = {
    "kimi_k2": (Sampling(1.0, 0.95), Sampling(0.6, 0.95)),
    "deepseek_r1": (Sampling(0.6, 0.95), Sampling(0.6, 0.95)),
}
"""Thinking and instant, as the makers recommend."""

_INSTANT = ("none", "Answers at once, without thinking")
_THINKING = ("high", "Thinks before it answers")


@dataclass(frozen=True, slots=True)
class GatewayModel:
    """`name` is what clients ask for. `profile`: the one that the facts are from, if any."""

    name: str
    dialect: Dialect
    context_length: int
    images: bool
    always_thinks: bool
    thinking_sampling: Sampling
    instant_sampling: Sampling
    profile: str | None

    @property
    def catalog_model(self) -> CatalogModel:
        return CatalogModel(
            slug=self.name,
            display_name=self.name,
            description=f"{self.name} behind a gateway",
            context_window=self.context_length,
            input_modalities=("text", "image") if self.images else ("text",),
            efforts=(_THINKING,) if self.always_thinks else (_INSTANT, _THINKING),
            default_effort=_THINKING[0],
        )


def describe_model(
    found: UpstreamModel, *, served_model_name: str | None, dialect: Dialect | None, images: bool, profiles: Path
) -> GatewayModel:
    """A given `dialect` is meant; `images` adds to what the profile says."""
    profile = _profile_of(found.model, profiles)
    chosen = dialect or (profile.dialect if profile else _guess_dialect(found.model))
    thinking, instant = _SAMPLING[chosen]
    if profile is not None:
        thinking = profile.sampling_thinking
        instant = profile.sampling_instant or thinking
    return GatewayModel(
        name=served_model_name or found.model,
        dialect=chosen,
        context_length=found.context_length,
        images=images or (profile is not None and "image" in profile.input_modalities),
        always_thinks=profile.thinking == "always" if profile else chosen == "deepseek_r1",
        thinking_sampling=thinking,
        instant_sampling=instant,
        profile=profile.name if profile else None,
    )


def _profile_of(model: str, user_profiles: Path) -> Profile | None:
    """Engines call a model as they were told, or by its repository or path: the last part names it."""
    wanted = _last_part(model)
    for entry in list_profiles(user_profiles):
        profile = entry.profile
        if isinstance(profile, Profile) and wanted in _names(profile):
            return profile
    return None


def _names(profile: Profile) -> set[str]:
    names = {profile.name, _last_part(profile.served_model_name)}
    if isinstance(profile.checkpoint, HubCheckpoint):
        names.add(_last_part(profile.checkpoint.repository))
    return names


def _last_part(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2].lower()


def _guess_dialect(model: str) -> Dialect:
    return "deepseek_r1" if "deepseek" in model.lower() else "kimi_k2"

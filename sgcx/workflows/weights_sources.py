"""Which repositories of the hub a profile needs."""

from __future__ import annotations

from dataclasses import dataclass

from sgcx.planning.profile import HubCheckpoint, Profile


@dataclass(frozen=True, slots=True)
class Source:
    """`revision` None follows the repository's default branch."""

    repository: str
    revision: str | None


def sources_of(profile: Profile, *, with_draft: bool = True) -> tuple[Source, ...]:
    """The variant in use and its draft; none for what is made or kept on this machine."""
    checkpoint = profile.checkpoint
    if not isinstance(checkpoint, HubCheckpoint) or checkpoint.is_local:
        return ()
    weights, draft = Source(checkpoint.repository, checkpoint.revision), checkpoint.draft
    return (weights, Source(draft.repository, draft.revision)) if with_draft and draft is not None else (weights,)

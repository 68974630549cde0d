"""Which repositories of the hub a profile needs."""

from __future__ import annotations

from dataclasses import dataclass

from sgcx.planning.profile import HubCheckpoint, Profile


@dataclass(frozen=True, slots=True)
class Source:
    """`revision` None follows the repository's default branch."""

    repository: str
    revision: str | None


def sources_of(profile: Profile) -> tuple[Source, ...]:
    """The variant in use and its draft; none for what is made or kept on this machine."""
    checkpoint = profile.checkpoint
    if not isinstance(checkpoint, HubCheckpoint) or checkpoint.is_local:
        return ()
    draft = () if checkpoint.draft is None else (Source(checkpoint.draft.repository, checkpoint.draft.revision),)
    return (Source(checkpoint.repository, checkpoint.revision), *draft)

"""Weights: fetched and verified before anything starts, listed, removed. Interrupted anywhere, it can be run again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sgcx.byte_sizes import gib
from sgcx.errors import LaunchFailed, UserError
from sgcx.paths import Paths, weights_directory
from sgcx.planning.plan import LaunchPlan, Wishes
from sgcx.planning.profile import HubCheckpoint, Profile
from sgcx.profiles import list_profiles, load_profile
from sgcx.server.child_config import CONFIG_NAME, load_child_config
from sgcx.server.records import server_names
from sgcx.server.supervisor import survey
from sgcx.weights.cache import CachedModel, HubCache
from sgcx.weights.download import download
from sgcx.weights.listing import Listing, RepositoryFile, hub_error, list_repository
from sgcx.weights.progress import TransferProgress
from sgcx.weights.verification import verify
from sgcx.workflows.planning import make_plan
from sgcx.workflows.weights_sources import Source, sources_of

_SPARE = 0.05
"""Room for what else the disk must hold, as a share of what is fetched."""

OnProgress = Callable[[TransferProgress], None]


@dataclass(frozen=True, slots=True)
class Pulled:
    source: Source
    folder: Path
    commit: str
    total_bytes: int
    fetched_bytes: int


@dataclass(frozen=True, slots=True)
class ModelAtHand:
    model: CachedModel
    profiles: tuple[str, ...]
    """Those that use it, a draft included."""
    servers: tuple[str, ...]
    """Those that live and were started with it."""


def hub_cache() -> HubCache:
    return HubCache(weights_directory(os.environ))


def sources_to_pull(model: str, variant: str | None, revision: str | None, paths: Paths) -> tuple[Source, ...]:
    """`model`: a profile's name, or a repository. Of a profile the variant that this machine would serve."""
    if "/" in model:
        if variant is not None:
            raise UserError("--variant goes with the name of a profile", hint="`sgcx profiles` lists them")
        return (Source(model, revision),)
    if revision is not None:
        raise UserError("--revision goes with a repository", hint="A profile has its own, in its file")
    outcome = make_plan(model, Wishes(variant=variant), paths=paths).outcome
    profile = outcome.profile if isinstance(outcome, LaunchPlan) else _with_variant(model, variant, paths)
    if isinstance(profile.checkpoint, HubCheckpoint) and profile.checkpoint.is_local:
        raise UserError(f"The weights of {model} are a folder of yours: {profile.checkpoint.repository}")
    sources = sources_of(profile)
    if not sources:
        raise UserError(f"{model} has nothing to download", hint="`sgcx up` makes its checkpoint")
    return sources


def ensure_weights(sources: tuple[Source, ...], on_progress: OnProgress) -> dict[str, Path]:
    """The folder of each repository; fetched unless it is complete. What is complete needs no network."""
    folders: dict[str, Path] = {}
    for source in sources:
        at_hand = hub_cache().complete_snapshot(source.repository, source.revision)
        folders[source.repository] = at_hand or pull(source, on_progress).folder
    return folders


def pull(source: Source, on_progress: OnProgress, *, verify_all: bool = False) -> Pulled:
    """Fetches what is missing and verifies it; `verify_all`: also what was there before."""
    cache = hub_cache()
    if _is_offline():
        return _at_hand(source, cache)
    listing = list_repository(source.repository, source.revision)
    cache.remove_abandoned(source.repository)
    missing = cache.missing(listing)
    _require_room(listing, missing, cache)
    if missing:
        download(listing, source.revision, cache, on_progress)
    if suspects := listing.files if verify_all else missing:
        _verify(listing, suspects, cache, on_progress)
    folder = cache.snapshot(source.repository, listing.commit)
    if folder is None:
        raise LaunchFailed(f"{source.repository} has changed on the hub meanwhile", hint="Run this again")
    fetched_bytes = sum(file.size_bytes for file in missing)
    return Pulled(source, folder, listing.commit, listing.total_bytes, fetched_bytes)


def list_models(paths: Paths) -> tuple[ModelAtHand, ...]:
    users = _profiles_by_repository(paths)
    return tuple(
        ModelAtHand(model, users.get(model.repository, ()), _servers_with(model, paths))
        for model in hub_cache().models()
    )


def models_to_remove(model: str, paths: Paths) -> tuple[ModelAtHand, ...]:
    """All that is at hand of a repository or of a profile's variants. Raises UserError for what is in use."""
    at_hand = [each for each in list_models(paths) if model == each.model.repository or model in each.profiles]
    if not at_hand:
        raise UserError(f"Nothing of {model} is in the hub's cache", hint="`sgcx models` lists what is")
    for each in at_hand:
        if each.servers:
            name = each.servers[0]
            raise UserError(
                f"The server {name!r} runs with {each.model.repository}", hint=f"Stop it first: `sgcx down {name}`"
            )
        if hub_cache().is_being_downloaded(each.model.repository):
            raise UserError(f"{each.model.repository} is being downloaded", hint="End that first, or wait for it")
    return tuple(at_hand)


def remove_models(models: tuple[ModelAtHand, ...]) -> int:
    """The bytes that are free now. Pieces of interrupted downloads go too."""
    for each in models:
        hub_cache().remove(each.model.repository)
    return sum(each.model.size_bytes for each in models)


def _with_variant(name: str, variant: str | None, paths: Paths) -> Profile:
    """For a machine that cannot serve it: the named variant, or the file's first."""
    profile = load_profile(name, paths.user_profiles)
    if variant is None:
        return profile
    chosen = next((each for each in profile.variants if each.variant == variant), None)
    if chosen is None:
        known = ", ".join(each.variant for each in profile.variants)
        raise UserError(f"{name} has no variant {variant!r}", hint=f"It has {known}" if known else None)
    return profile.with_variant(chosen)


def _at_hand(source: Source, cache: HubCache) -> Pulled:
    folder = cache.complete_snapshot(source.repository, source.revision)
    if folder is None:
        raise hub_error("OfflineModeIsEnabled", source.repository)
    size_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Pulled(source, folder, folder.name, size_bytes, 0)


def _is_offline() -> bool:
    """As the hub's client reads it."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def _require_room(listing: Listing, missing: tuple[RepositoryFile, ...], cache: HubCache) -> None:
    wanted = int(sum({file.blob_name: file.size_bytes for file in missing}.values()) * (1 + _SPARE))
    place = next(folder for folder in (cache.directory, *cache.directory.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if wanted > free:
        raise UserError(
            f"{listing.repository} needs {gib(wanted)} in {cache.directory}, {gib(free)} are free: "
            f"{gib(wanted - free)} are missing",
            hint="Free space (`sgcx models` shows what is there), or put the cache elsewhere with HF_HOME",
        )


def _verify(listing: Listing, files: tuple[RepositoryFile, ...], cache: HubCache, on_progress: OnProgress) -> None:
    """A damaged file is removed, so that the next pull fetches it."""
    damaged = verify(listing, files, cache, on_progress)
    for file in damaged:
        cache.remove_file(listing, file)
    if damaged:
        names = ", ".join(file.path for file in damaged)
        raise LaunchFailed(
            f"Files of {listing.repository} were not what the hub has, and are removed: {names}",
            hint="`sgcx pull` fetches them again; if that does not help, the disk or a proxy changes them",
        )


def _profiles_by_repository(paths: Paths) -> dict[str, tuple[str, ...]]:
    users: dict[str, tuple[str, ...]] = {}
    for entry in list_profiles(paths.user_profiles):
        if not isinstance(entry.profile, Profile):
            continue
        for variant in entry.profile.variants:
            for source in sources_of(entry.profile.with_variant(variant)):
                names = users.get(source.repository, ())
                if entry.profile.name not in names:
                    users[source.repository] = (*names, entry.profile.name)
    return users


def _servers_with(model: CachedModel, paths: Paths) -> tuple[str, ...]:
    return tuple(name for name in server_names(paths.servers) if _uses(model, name, paths))


def _uses(model: CachedModel, server: str, paths: Paths) -> bool:
    if not survey(paths.servers, server).alive:
        return False
    try:
        arguments = load_child_config(paths.servers / server / CONFIG_NAME).sglang_argv
    except (UserError, KeyError, TypeError):
        return False
    return any(word == model.repository or word.startswith(f"{model.folder}/") for word in arguments)

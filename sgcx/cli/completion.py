"""What the shell offers after a Tab: names of profiles, servers and models. Silent about whatever goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable


def complete_profile(incomplete: str) -> list[str]:
    return _matching(_profiles, incomplete)


def complete_server(incomplete: str) -> list[str]:
    return _matching(_servers, incomplete)


def complete_model(incomplete: str) -> list[str]:
    return _matching(lambda: [*_profiles(), *_models()], incomplete)


def _matching(find: Callable[[], Iterable[str]], incomplete: str) -> list[str]:
    try:
        return sorted({name for name in find() if name.startswith(incomplete)})
    except Exception:  # a traceback in the middle of somebody's command line helps nobody
        return []


def _profiles() -> Iterable[str]:
    from sgcx.paths import Paths
    from sgcx.planning.profile import Profile
    from sgcx.profiles import list_profiles

    entries = list_profiles(Paths.from_environment().user_profiles)
    return [entry.name for entry in entries if isinstance(entry.profile, Profile)]


def _servers() -> Iterable[str]:
    from sgcx.paths import Paths
    from sgcx.server.records import list_records

    return [record.name for record in list_records(Paths.from_environment().servers).records]


def _models() -> Iterable[str]:
    import os

    from sgcx.paths import weights_directory
    from sgcx.weights.cache import HubCache

    return [model.repository for model in HubCache(weights_directory(os.environ)).models()]

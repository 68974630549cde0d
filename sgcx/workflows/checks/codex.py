"""Doctor on Codex: installed, new enough, pointed at the server that runs, and not behind a proxy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import httpx

from sgcx.codex.config import OUR_PROVIDER, TOKEN_KEY
from sgcx.codex.installation import FileChange, decode, profile_path, resolve_codex_home
from sgcx.codex.runner import INSTALL_HINT, MINIMUM_VERSION, CodexInstallation, build_environment
from sgcx.codex.toml_edit import find_value, is_same, parse_toml
from sgcx.errors import LaunchFailed
from sgcx.paths import Paths
from sgcx.server.records import ServerRecord
from sgcx.workflows.checks.check import Check, Fix, FixKind, Status
from sgcx.workflows.codex import plan_codex_config
from sgcx.workflows.responses_client import ResponsesClient

CODEX = "Codex"
_CONFIGURE = "sgcx codex-config"
_TIMEOUT_S = 5.0


def check_codex(installation: CodexInstallation | None) -> Check:
    if installation is None:
        why = "`sgcx codex` runs it; the endpoint serves other clients without"
        return Check(CODEX, "installed", Status.WARN, "there is no `codex` on the PATH", why, INSTALL_HINT)
    found = f"{installation.version} at {installation.path}"
    if not installation.is_supported:
        why = f"Profile files need {MINIMUM_VERSION} or later"
        return Check(CODEX, "installed", Status.FAIL, found, why, "npm install -g @openai/codex@latest")
    return Check(CODEX, "installed", Status.OK, found)


def check_config(running: tuple[ServerRecord, ...], paths: Paths, environ: Mapping[str, str]) -> Iterator[Check]:
    """In sync with any of the running servers is in sync."""
    path = profile_path(resolve_codex_home(environ))
    if not path.exists():
        status = Status.WARN if running else Status.SKIP
        why = "`sgcx codex` needs it" if running else None
        mend, fix = (_CONFIGURE, _write_config(running[0])) if running else (None, None)
        yield Check(CODEX, "config", status, f"{path} is not written", why, mend, fix)
    elif (elsewhere := _other_endpoint(path, running)) is not None:
        yield Check(CODEX, "config", Status.OK, f"{path} points at {elsewhere}, which answers")
    elif not running:
        yield Check(CODEX, "config", Status.SKIP, f"{path} is there, but no server runs to compare it with")
    else:
        yield _compare(path, running, paths)


def _other_endpoint(path: Path, running: tuple[ServerRecord, ...]) -> str | None:
    """Where `codex-config --url` pointed Codex, if the model that it names is served there."""
    settings = parse_toml(decode(path.read_bytes(), path), name=str(path))
    url, key = find_value(settings, (*OUR_PROVIDER, "base_url")), find_value(settings, TOKEN_KEY)
    if not isinstance(url, str) or url in {record.base_url for record in running}:
        return None
    try:
        with ResponsesClient(url, key if isinstance(key, str) else None, timeout_s=_TIMEOUT_S) as client:
            return url if settings.get("model") in client.models() else None
    except (LaunchFailed, httpx.InvalidURL):
        return None


def _compare(path: Path, running: tuple[ServerRecord, ...], paths: Paths) -> Check:
    differences: list[str] = []
    for record in running:
        changes = plan_codex_config(record, paths).changes.files
        if not changes:
            return Check(CODEX, "config", Status.OK, f"{path} points at {record.name!r}")
        differences.append(f"for {record.name!r}: {', '.join(_differing(changes))}")
    found = f"{path} is not what the server needs, {'; '.join(differences)}"
    why = "Codex would ask the wrong address, for the wrong model or with the wrong key"
    return Check(CODEX, "config", Status.FAIL, found, why, _CONFIGURE, _write_config(running[0]))


def _write_config(record: ServerRecord) -> Fix:
    return Fix(FixKind.WRITE_CODEX_CONFIG, record.name, f"write Codex's config for the server {record.name}")


def _differing(changes: Iterable[FileChange]) -> Iterator[str]:
    """Names of keys and files, never values: one of them is the API key."""
    for change in changes:
        if change.before is None or not change.keys:
            yield f"{change.path.name} {'is missing' if change.before is None else 'differs'}"
            continue
        current = parse_toml(decode(change.before, change.path), name=str(change.path))
        yield from (".".join(key) for key, value in change.keys.items() if not is_same(find_value(current, key), value))


def check_proxy(environ: Mapping[str, str]) -> Check:
    wanted = build_environment(environ)
    if all(wanted.get(name) == environ.get(name) for name in ("NO_PROXY", "no_proxy")):
        return Check(CODEX, "proxy", Status.OK, "requests to this machine go straight to it")
    found = "a proxy is set, and NO_PROXY leaves out this machine"
    why = "Codex would send requests for 127.0.0.1 to the proxy; `sgcx codex` sets NO_PROXY itself"
    return Check(CODEX, "proxy", Status.WARN, found, why, f"For `codex -p sgcx`: export NO_PROXY={wanted['NO_PROXY']}")

"""Doctor on models: which of them fit this machine, and whether weights can be had."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from sgcx.errors import UserError
from sgcx.planning.plan import LaunchPlan, Wishes
from sgcx.planning.planner import plan
from sgcx.planning.profile import HubCheckpoint, Profile
from sgcx.planning.snapshot import HardwareSnapshot
from sgcx.private_files import is_private
from sgcx.profiles import ProfileEntry
from sgcx.workflows.checks.check import Check, Status

MODELS = "Models"
_DEFAULT_HUB = "https://huggingface.co"
_TIMEOUT_S = 5.0


def check_fitting(hardware: HardwareSnapshot, profiles: Sequence[Profile]) -> Check:
    """The planner's own answer, for each profile as it is."""
    real = [profile for profile in profiles if isinstance(profile.checkpoint, HubCheckpoint)]
    if not hardware.gpus:
        return Check(MODELS, "fit", Status.SKIP, "without a GPU only the rehearsal")
    fitting = [one.name for one in real if isinstance(plan(hardware, one, Wishes()), LaunchPlan)]
    if fitting:
        return Check(MODELS, "fit", Status.OK, f"{len(fitting)} of {len(real)}: {', '.join(fitting)}")
    why = "Weights, or the least context, do not fit the GPUs' free memory"
    return Check(
        MODELS, "fit", Status.WARN, f"none of {len(real)}", why, "`sgcx up PROFILE --dry-run` says what is missing"
    )


def check_profiles(entries: Sequence[ProfileEntry]) -> Iterator[Check]:
    """Files that cannot be used: no list of models shows them."""
    for entry in entries:
        if isinstance(entry.profile, UserError):
            mend = f"Edit {entry.path}, then: sgcx profiles validate {entry.name}"
            yield Check(MODELS, f"profile {entry.name}", Status.FAIL, entry.profile.message, entry.profile.hint, mend)


def check_revisions(profiles: Sequence[Profile], *, has_gpus: bool) -> Iterator[Check]:
    """Code from a repository must be that which was looked at."""
    if not has_gpus:
        return
    open_ended = [
        profile.name
        for profile in profiles
        if isinstance(profile.checkpoint, HubCheckpoint)
        and profile.checkpoint.trust_remote_code
        and profile.checkpoint.revision is None
    ]
    if open_ended:
        why = "The repository's newest code runs with your rights; its tokenizer has changed before"
        mend = "Give the profile a `revision` (a commit of the repository): docs/profiles.md"
        yield Check(MODELS, "revision", Status.WARN, f"not pinned: {', '.join(open_ended)}", why, mend)


@dataclass(frozen=True, slots=True)
class HubAnswer:
    """What the model hub said. `error` is None when it answered."""

    address: str
    error: str | None
    skew_s: float | None = None
    """By how much this machine's clock is ahead of the hub's."""


def ask_hub(environ: Mapping[str, str]) -> HubAnswer | None:
    """None where it is not to be asked."""
    if environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "on", "yes", "true"):
        return None
    address = environ.get("HF_ENDPOINT") or _DEFAULT_HUB
    try:
        response = httpx.head(address, timeout=_TIMEOUT_S, follow_redirects=True)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return HubAnswer(address, f"{type(error).__name__}: {error}")
    return HubAnswer(address, None, _skew_s(response.headers.get("date")))


def _skew_s(date: str | None) -> float | None:
    try:
        return time.time() - parsedate_to_datetime(date).timestamp() if date else None
    except ValueError:
        return None


def check_hub(answer: HubAnswer | None, *, has_gpus: bool) -> Check:
    if not has_gpus:
        return Check(MODELS, "hub", Status.SKIP, "nothing is downloaded without a GPU")
    if answer is None:
        return Check(MODELS, "hub", Status.SKIP, "HF_HUB_OFFLINE is set: only weights that are here can be served")
    if answer.error is None:
        return Check(MODELS, "hub", Status.OK, f"{answer.address} answers")
    why = "Weights that are not here yet cannot be downloaded"
    mend = "Set HTTPS_PROXY, or HF_ENDPOINT for a mirror; with all weights here: export HF_HUB_OFFLINE=1"
    return Check(MODELS, "hub", Status.WARN, f"{answer.address} does not answer: {answer.error}", why, mend)


def check_hub_client(version: str | None, transfer: str | None, *, has_gpus: bool) -> Check:
    """`version` of huggingface_hub, `transfer` of hf-xet."""
    if version is None:
        found, mend = "huggingface_hub is not installed", "pip install huggingface_hub"
        return Check(MODELS, "hub client", Status.FAIL, found, "It downloads the weights", mend)
    if transfer is None and has_gpus:
        why = "Downloads of hundreds of GiB stall more often, and resume worse, without it"
        found = f"huggingface_hub {version}, without hf-xet"
        return Check(MODELS, "hub client", Status.WARN, found, why, "pip install hf-xet")
    return Check(MODELS, "hub client", Status.OK, f"huggingface_hub {version}, hf-xet {transfer or 'not there'}")


def check_hub_token(environ: Mapping[str, str], home: Path) -> Check:
    """Whether there is one; never which."""
    if environ.get("HF_TOKEN") or environ.get("HUGGING_FACE_HUB_TOKEN"):
        return Check(MODELS, "hub token", Status.OK, "in the environment")
    cache = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    token = Path(environ.get("HF_TOKEN_PATH") or Path(environ.get("HF_HOME") or cache / "huggingface") / "token")
    if not token.is_file():
        return Check(MODELS, "hub token", Status.SKIP, "none; only gated models need one (`hf auth login`)")
    if not is_private(token):
        why = "Others on this machine can use it"
        return Check(MODELS, "hub token", Status.WARN, f"{token} can be read by others", why, f"chmod 600 {token}")
    return Check(MODELS, "hub token", Status.OK, f"in {token}")

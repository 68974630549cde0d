"""Doctor on models: which fit, and whether weights can be had."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from recorded_machines import recorded_machine

from sgcx.planning.profile import HubCheckpoint, Profile
from sgcx.profiles import list_profiles
from sgcx.server.ports import free_port
from sgcx.workflows.checks.check import Status
from sgcx.workflows.checks.models import (
    HubAnswer,
    ask_hub,
    check_fitting,
    check_hub,
    check_hub_client,
    check_hub_token,
    check_revisions,
)

PROFILES = [entry.profile for entry in list_profiles(Path("/absent")) if isinstance(entry.profile, Profile)]


def test_the_models_that_fit_are_named() -> None:
    large = check_fitting(recorded_machine("8xH200"), PROFILES)
    assert large.status is Status.OK
    assert "kimi-k2.6" in large.found
    assert check_fitting(recorded_machine("cpu_only"), PROFILES).status is Status.SKIP
    none = check_fitting(recorded_machine("1xV100"), PROFILES)
    assert (none.status, none.mend) == (Status.WARN, "`sgcx up PROFILE --dry-run` says what is missing")


def test_code_that_is_not_pinned_is_told() -> None:
    kimi = next(profile for profile in PROFILES if profile.name == "kimi-k2.6")
    assert isinstance(kimi.checkpoint, HubCheckpoint)
    loose = replace(kimi, checkpoint=replace(kimi.checkpoint, trust_remote_code=True, revision=None))
    pinned = replace(kimi, checkpoint=replace(kimi.checkpoint, trust_remote_code=True, revision="0" * 40))
    (check,) = check_revisions([loose, pinned], has_gpus=True)
    assert (check.status, check.found) == (Status.WARN, "not pinned: kimi-k2.6")
    assert [*check_revisions([pinned], has_gpus=True)] == []
    assert [*check_revisions([loose], has_gpus=False)] == []


@pytest.fixture
def hub() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def date_time_string(self, timestamp: float | None = None) -> str:
            return "Sun, 06 Nov 1994 08:49:37 GMT"

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_hub_that_answers_tells_the_time(hub: str) -> None:
    answer = ask_hub({"HF_ENDPOINT": hub})
    assert answer is not None
    assert (answer.address, answer.error) == (hub, None)
    assert answer.skew_s is not None
    assert answer.skew_s > 1e8
    assert check_hub(answer, has_gpus=True).status is Status.OK


def test_a_hub_that_does_not_answer_is_a_warning() -> None:
    answer = ask_hub({"HF_ENDPOINT": f"http://127.0.0.1:{free_port('127.0.0.1')}"})
    assert answer is not None
    check = check_hub(answer, has_gpus=True)
    assert check.status is Status.WARN
    assert "ConnectError" in check.found


def test_a_hub_that_is_not_to_be_asked_is_not() -> None:
    assert ask_hub({"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:1"}) is None
    assert check_hub(None, has_gpus=True).status is Status.SKIP
    assert check_hub(HubAnswer("x", "y"), has_gpus=False).status is Status.SKIP


def test_the_client_of_the_hub_is_judged() -> None:
    assert check_hub_client("2.4.0", "1.8.0", has_gpus=True).status is Status.OK
    assert check_hub_client("2.4.0", None, has_gpus=True).status is Status.WARN
    assert check_hub_client("2.4.0", None, has_gpus=False).status is Status.OK
    assert check_hub_client(None, None, has_gpus=True).status is Status.FAIL


def test_a_token_is_found_and_never_shown(tmp_path: Path) -> None:
    assert check_hub_token({}, tmp_path).status is Status.SKIP
    assert check_hub_token({"HF_TOKEN": "hf_secretsecret"}, tmp_path).found == "in the environment"
    token = tmp_path / ".cache" / "huggingface" / "token"
    token.parent.mkdir(parents=True)
    token.write_text("hf_secretsecret")
    token.chmod(0o644)
    loose = check_hub_token({}, tmp_path)
    assert (loose.status, loose.mend) == (Status.WARN, f"chmod 600 {token}")
    token.chmod(0o600)
    assert check_hub_token({}, tmp_path).found == f"in {token}"

"""`sgcx pull` with the hub's real client: what arrives, what is kept, what is refused."""

from __future__ import annotations

import hashlib
import json
import signal
import time
from pathlib import Path

import pytest
from weights_hub import COMMIT, SHARDS, safetensors

SHARD_BYTES = 300_000


def pull(puller, *arguments: str) -> dict[str, object]:
    code, out, error = puller.sgcx("pull", "owner/model", "--json", *arguments)
    assert code == 0, out + error
    [pulled] = json.loads(out)
    return dict(pulled)


def test_a_model_is_pulled_once_and_without_other_copies_of_its_weights(puller) -> None:
    pulled = pull(puller)
    folder = Path(str(pulled["folder"]))
    wanted = {name: content for name, content in puller.hub.files.items() if not name.endswith((".pth", ".bin"))}
    assert {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == wanted
    assert pulled["revision"] == COMMIT
    assert pulled["fetched_bytes"] == pulled["total_bytes"] == sum(map(len, wanted.values()))
    before = len(puller.hub.downloads())
    assert pull(puller)["fetched_bytes"] == 0
    assert len(puller.hub.downloads()) == before


def test_a_connection_that_breaks_is_continued_where_it_broke(puller) -> None:
    puller.hub.files[SHARDS[0]] = safetensors(0, 12_000_000)
    puller.hub.cut_after_bytes, puller.hub.cuts = 11_000_000, 1
    pull(puller)
    [ranged] = [ranged for _, ranged in puller.hub.downloads() if ranged]
    assert 10_000_000 <= int(ranged.removeprefix("bytes=").split("-")[0]) <= 11_000_000


def test_an_interrupted_pull_keeps_complete_files_and_no_pieces_that_nobody_can_continue(puller) -> None:
    puller.hub.held_bodies = len(SHARDS)
    process = puller.start("pull", "owner/model")
    deadline = time.monotonic() + 60
    blobs = puller.repository / "blobs"
    while not any(path.name.endswith(".incomplete") for path in blobs.glob("*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert not list(blobs.glob("*.*.incomplete")), "older clients continue <hash>.incomplete, newer ones name each anew"
    puller.hub.held_bodies = 0
    pull(puller)
    code, out, _ = puller.sgcx("models", "--json")
    assert (code, [model["complete"] for model in json.loads(out)]) == (0, [True])


def test_a_file_that_is_not_what_the_hub_says_is_removed_and_named(puller) -> None:
    folder = Path(str(pull(puller)["folder"]))
    shard = (folder / "model-00002-of-00003.safetensors").resolve()
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    assert pull(puller)["fetched_bytes"] == 0, "its length is right, so only --verify sees it"
    code, _, error = puller.sgcx("pull", "owner/model", "--verify")
    assert code == 1
    assert "model-00002-of-00003.safetensors" in error
    pull(puller, "--verify")
    assert hashlib.sha256(shard.read_bytes()).hexdigest() == shard.name


@pytest.mark.parametrize(
    ("status", "error_code", "says"),
    [
        (404, "RepoNotFound", "has no repository owner/model"),
        (404, "RevisionNotFound", "has no revision"),
        (503, "", "did not answer"),
    ],
)
def test_what_the_hub_refuses_is_said_without_its_words(puller, status: int, error_code: str, says: str) -> None:
    puller.hub.status, puller.hub.error_code = status, error_code
    code, out, error = puller.sgcx("pull", "owner/model")
    assert (code, out) == (2, "")
    assert says in error
    assert puller.hub.url not in error


def test_a_gated_model_needs_the_token_which_is_never_shown(puller) -> None:
    puller.hub.token = "hf_secretsecretsecret"
    code, _, error = puller.sgcx("pull", "owner/model")
    assert code == 2
    assert "HF_TOKEN" in error
    puller.environment["HF_TOKEN"] = puller.hub.token
    code, out, error = puller.sgcx("pull", "owner/model")
    assert code == 0, error
    assert puller.hub.token not in out + error


def test_offline_what_is_complete_is_found_and_what_is_not_is_refused(puller) -> None:
    puller.environment["HF_HUB_OFFLINE"] = "1"
    code, _, error = puller.sgcx("pull", "owner/model")
    assert code == 2
    assert "HF_HUB_OFFLINE" in error
    del puller.environment["HF_HUB_OFFLINE"]
    folder = pull(puller)["folder"]
    asked = len(puller.hub.requests)
    puller.environment["HF_HUB_OFFLINE"] = "1"
    assert pull(puller)["folder"] == folder
    assert len(puller.hub.requests) == asked


def test_models_are_listed_and_removed_after_a_yes(puller) -> None:
    pull(puller)
    code, out, _ = puller.sgcx("models", "--json")
    [model] = json.loads(out)
    assert (code, model["repository"], model["complete"], model["servers"]) == (0, "owner/model", True, [])
    assert model["size_bytes"] > 3 * SHARD_BYTES
    assert "owner/model" in puller.sgcx("models")[1]
    code, _, error = puller.sgcx("rm", "owner/model")
    assert (code, "--yes" in error) == (2, True)
    assert puller.repository.exists()
    assert puller.sgcx("rm", "owner/model", "--yes")[0] == 0
    assert list(puller.cache.glob("*model*")) == []
    assert "sgcx models" in puller.sgcx("rm", "owner/model", "--yes")[2]


def test_a_model_that_lacks_a_shard_is_incomplete(puller) -> None:
    folder = Path(str(pull(puller)["folder"]))
    (folder / "model-00003-of-00003.safetensors").resolve().unlink()
    assert json.loads(puller.sgcx("models", "--json")[1])[0]["complete"] is False
    assert pull(puller)["fetched_bytes"] > SHARD_BYTES


def test_names_that_cannot_be_pulled(puller) -> None:
    assert "nothing to download" in puller.sgcx("pull", "rehearsal")[2]
    assert "No profile is called" in puller.sgcx("pull", "nonesuch")[2]
    assert "--variant" in puller.sgcx("pull", "owner/model", "--variant", "int4")[2]
    assert "--revision" in puller.sgcx("pull", "kimi-k2.6", "--revision", "main")[2]

"""Speeds, formats and room: what needs no network."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

import pytest
from weights_hub import COMMIT, safetensors, serve_hub

from sgcx.errors import UserError
from sgcx.weights.cache import HubCache
from sgcx.weights.download import Patience, download
from sgcx.weights.listing import Listing, RepositoryFile, hub_error, wanted_files
from sgcx.weights.progress import TransferMeter
from sgcx.workflows import weights


def file(path: str, size_bytes: int = 1) -> RepositoryFile:
    return RepositoryFile(path, size_bytes, sha256=None, git_hash=path)


def test_the_speed_is_that_of_the_last_seconds_and_says_when_it_is_done() -> None:
    meter = TransferMeter("download", "owner/model", 1000)
    first = meter.feed(500, 0.0)
    assert (first.bytes_per_s, first.eta_s) == (None, None)
    meter.feed(510, 10.0)
    assert meter.feed(530, 20.0).eta_s == pytest.approx(470 / 1.5)
    stalled = [meter.feed(530, 20.0 + second) for second in range(1, 41)][-1]
    assert (stalled.bytes_per_s, stalled.eta_s) == (None, None)


def test_only_one_copy_of_the_weights_is_wanted() -> None:
    both = [file("a.safetensors"), file("a.bin"), file("original/x.pth"), file("onnx/model.json"), file("config.json")]
    assert [each.path for each in wanted_files(both)] == ["a.safetensors", "config.json"]
    assert [each.path for each in wanted_files([file("a.bin"), file("config.json")])] == ["a.bin", "config.json"]


def test_a_transfer_that_stands_still_is_begun_again(tmp_path, monkeypatch) -> None:
    content = safetensors(1, 300_000)
    shard = RepositoryFile("a.safetensors", len(content), hashlib.sha256(content).hexdigest(), "")
    listing, cache = Listing("owner/model", COMMIT, (shard,)), HubCache(tmp_path)
    with serve_hub({"a.safetensors": content}) as hub:
        hub.held_bodies = 1
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
        download(listing, COMMIT, cache, lambda _: None, patience=Patience(stall_s=12, pause_s=0))
        assert [name for name, _ in hub.downloads()] == ["a.safetensors"] * 2
    assert cache.missing(listing) == ()


def test_only_offline_mode_is_called_that() -> None:
    """The hub's client raises LocalEntryNotFoundError also when the network is down."""
    assert "HF_HUB_OFFLINE" in hub_error("OfflineModeIsEnabled", "owner/model").message
    assert "did not answer" in hub_error("LocalEntryNotFoundError", "owner/model").message


def test_a_disk_that_is_too_small_is_named_with_what_is_missing(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(weights.shutil, "disk_usage", lambda _: SimpleNamespace(free=100 << 30))
    monkeypatch.setattr(weights, "hub_cache", lambda: HubCache(tmp_path / "not" / "yet"))
    listing = Listing("owner/model", "c", (file("a.safetensors", 200 << 30),))
    monkeypatch.setattr(weights, "list_repository", lambda *_: listing)
    with pytest.raises(UserError, match=r"needs 210\.0 GiB in .*/yet, 100\.0 GiB are free: 110\.0 GiB are missing"):
        weights.pull(weights.Source("owner/model", None), lambda _: None)

"""Sealed content: only what was sealed here, for this model, and arrives unchanged, opens again."""

from __future__ import annotations

import base64
import stat
import threading
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgcx.errors import UserError
from sgcx.store import sealing
from sgcx.store.sealing import MAX_PLAINTEXT_BYTES, PREFIX, AesGcmSeal, ensure_sealing_key

KEY = bytes(range(32))
SEAL = AesGcmSeal(KEY, model="kimi-k2.6")


def flipped(blob, position):
    frame = bytearray(base64.urlsafe_b64decode(blob.removeprefix(PREFIX)))
    frame[position] ^= 1
    return PREFIX + base64.urlsafe_b64encode(frame).decode()


@given(st.binary(max_size=4000))
def test_what_was_sealed_opens_to_the_same_bytes(plaintext):
    assert SEAL.open(SEAL.seal(plaintext, "reasoning"), "reasoning") == plaintext


def test_equal_content_seals_to_different_blobs_and_none_shows_it():
    first, second = SEAL.seal(b"the plan " * 20, "reasoning"), SEAL.seal(b"the plan " * 20, "reasoning")
    assert first != second
    assert b"the plan" not in base64.urlsafe_b64decode(first.removeprefix(PREFIX))


@pytest.mark.parametrize("position", [0, 7, 8, 19, 20, -1])
def test_a_single_changed_bit_is_noticed(position):
    """In the key's id, the nonce, the ciphertext and the tag."""
    assert SEAL.open(flipped(SEAL.seal(b"x", "reasoning"), position), "reasoning") is None


def test_another_key_or_another_model_does_not_open_it():
    blob = SEAL.seal(b"x", "reasoning")
    assert AesGcmSeal(bytes(32), model="kimi-k2.6").open(blob, "reasoning") is None
    assert AesGcmSeal(KEY, model="deepseek-r1").open(blob, "reasoning") is None


def test_what_was_sealed_as_reasoning_does_not_open_as_a_compaction_nor_the_other_way_round():
    assert SEAL.open(SEAL.seal(b"x", "reasoning"), "compaction") is None
    assert SEAL.open(SEAL.seal(b"x", "compaction"), "reasoning") is None
    assert SEAL.open(SEAL.seal(b"x", "compaction"), "compaction") == b"x"


CUT = st.integers(0, 60).map(lambda length: SEAL.seal(b"abc", "reasoning")[:length])


@given(st.one_of(st.text(), st.text().map(PREFIX.__add__), CUT))
def test_any_other_text_is_none_and_never_an_error(blob):
    assert SEAL.open(blob, "reasoning") is None


def test_a_blob_that_is_too_long_is_refused_before_it_is_decoded(monkeypatch):
    blob = SEAL.seal(bytes(1000), "reasoning")
    monkeypatch.setattr(sealing, "_MAX_BLOB_CHARACTERS", len(blob) - 1)
    monkeypatch.setattr(base64, "b64decode", lambda *_, **__: pytest.fail("decoded"))
    assert SEAL.open(blob, "reasoning") is None


def test_decompression_stops_at_the_limit():
    def sealed(size):
        nonce = bytes(12)
        ciphertext = SEAL._cipher.encrypt(nonce, zlib.compress(bytes(size), 9), SEAL._bound("reasoning"))
        return PREFIX + base64.urlsafe_b64encode(SEAL._key_id + nonce + ciphertext).decode()

    assert SEAL.open(sealed(MAX_PLAINTEXT_BYTES), "reasoning") == bytes(MAX_PLAINTEXT_BYTES)
    assert SEAL.open(sealed(MAX_PLAINTEXT_BYTES + 1), "reasoning") is None
    with pytest.raises(ValueError, match="more than"):
        SEAL.seal(bytes(MAX_PLAINTEXT_BYTES + 1), "reasoning")


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path):
    path = tmp_path / "state" / "sealing-key"
    key = ensure_sealing_key(path)
    assert len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ensure_sealing_key(path) == key
    assert [file.name for file in path.parent.iterdir()] == ["sealing-key"]


def test_servers_that_start_together_share_one_key(tmp_path):
    path = tmp_path / "sealing-key"
    barrier, keys = threading.Barrier(8), []

    def start():
        barrier.wait()
        keys.append(ensure_sealing_key(path))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(keys)) == 1
    assert len(keys) == 8


def test_a_key_that_others_can_read_or_that_is_no_key_is_an_error(tmp_path):
    path = tmp_path / "sealing-key"
    ensure_sealing_key(path)
    path.chmod(0o644)
    with pytest.raises(UserError, match="read by others"):
        ensure_sealing_key(path)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(UserError, match="5 bytes"):
        ensure_sealing_key(path)

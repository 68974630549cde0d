"""Sealed content: AES-256-GCM over compressed bytes.

A blob is `sgcx2.` and then, in URL-safe base64, the key's id (8 bytes), a nonce (12), the ciphertext and its tag (16).
Prefix, key id, the model's name and the purpose are authenticated with it: a blob from elsewhere does not open, and one
that was changed in a single bit does not either. Sizes are bounded before anything is decoded, and while it is
decompressed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
import tempfile
import zlib
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sgcx.byte_sizes import MIB
from sgcx.errors import UserError
from sgcx.private_files import read_private
from sgcx.responses.seal import Purpose

PREFIX = "sgcx2."
MAX_PLAINTEXT_BYTES = 32 * MIB
_KEY_BYTES = 32
_KEY_ID_BYTES = 8
_NONCE_BYTES = 12
_TAG_BYTES = 16
_FRAME_BYTES = _KEY_ID_BYTES + _NONCE_BYTES + _TAG_BYTES
_MAX_FRAME_BYTES = _FRAME_BYTES + MAX_PLAINTEXT_BYTES + (64 << 10)
"""What does not compress grows a little: five bytes in every 16 kB."""
_MAX_BLOB_CHARACTERS = len(PREFIX) + (_MAX_FRAME_BYTES + 2) // 3 * 4
_COMPRESSION_LEVEL = 1
"""Text halves at every level, and the lowest costs least of a turn."""


class AesGcmSeal:
    """`Seal` with one key for one model. Nonces are random: good for four billion blobs per key."""

    def __init__(self, key: bytes, *, model: str) -> None:
        self._cipher = AESGCM(key)
        self._key_id = hashlib.sha256(b"sgcx sealing key id" + key).digest()[:_KEY_ID_BYTES]
        self._model = model

    def seal(self, plaintext: bytes, purpose: Purpose) -> str:
        if len(plaintext) > MAX_PLAINTEXT_BYTES:
            raise ValueError(f"{len(plaintext)} bytes are more than the {MAX_PLAINTEXT_BYTES} that a blob may hold")
        nonce = secrets.token_bytes(_NONCE_BYTES)
        ciphertext = self._cipher.encrypt(nonce, zlib.compress(plaintext, _COMPRESSION_LEVEL), self._bound(purpose))
        return PREFIX + base64.urlsafe_b64encode(self._key_id + nonce + ciphertext).decode()

    def open(self, blob: str, purpose: Purpose) -> bytes | None:
        frame = _frame(blob)
        if frame is None or frame[:_KEY_ID_BYTES] != self._key_id:
            return None
        nonce, ciphertext = frame[_KEY_ID_BYTES:][:_NONCE_BYTES], frame[_KEY_ID_BYTES + _NONCE_BYTES :]
        try:
            return _decompressed(self._cipher.decrypt(nonce, ciphertext, self._bound(purpose)))
        except InvalidTag:
            return None

    def _bound(self, purpose: Purpose) -> bytes:
        return b"\0".join((PREFIX.encode(), self._key_id, purpose.encode(), self._model.encode()))


def _frame(blob: str) -> bytes | None:
    if not blob.startswith(PREFIX) or len(blob) > _MAX_BLOB_CHARACTERS or not blob.isascii():
        return None
    try:
        frame = base64.b64decode(blob[len(PREFIX) :], altchars=b"-_", validate=True)
    except binascii.Error:
        return None
    return frame if len(frame) > _FRAME_BYTES else None


def _decompressed(data: bytes) -> bytes | None:
    """None for more than may be sealed: even our own blobs do not fill the memory."""
    decompressor = zlib.decompressobj()
    try:
        plaintext = decompressor.decompress(data, MAX_PLAINTEXT_BYTES)
        # At the limit the end may not be seen yet.
        plaintext += decompressor.decompress(decompressor.unconsumed_tail, 1)
    except zlib.error:
        return None
    return plaintext if decompressor.eof and len(plaintext) <= MAX_PLAINTEXT_BYTES else None


def ensure_sealing_key(path: Path) -> bytes:
    """The stored key; a new one, readable by its owner alone, where there is none. Raises UserError.

    Several servers may start at once: the first key that is there whole is everyone's.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        _create(path, secrets.token_bytes(_KEY_BYTES))
    hint = f"If nobody else has seen it: chmod 600 {path}; otherwise delete it"
    key = read_private(path, "The sealing key", hint=hint) or b""
    if len(key) != _KEY_BYTES:
        raise UserError(
            f"The sealing key {path} has {len(key)} bytes instead of {_KEY_BYTES}",
            hint="Delete it: a new one is made, and what the old one sealed falls back to what clients hold in clear",
        )
    return key


def _create(path: Path, key: bytes) -> None:
    """Linked into place when it is whole, unless there is one by then."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        Path(temporary).unlink()

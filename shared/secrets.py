"""Secrets: made, hashed for look-up, and sealed where they have to be shown again."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.errors import Permanent

_FORMAT: Final = b"\x01"
_KEY_ID_BYTES: Final = 4
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32


class SealError(Permanent):
    """A master key cannot be read, or something sealed cannot be opened with the keys at hand."""


def new_token(prefix: str) -> str:
    """A new secret with 256 random bits, `<prefix>_…`, safe in a URL; the prefix tells what it is when it leaks."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def hash_token(token: str) -> bytes:
    """SHA-256 of a secret, for look-up: a random secret needs no salt, and nobody can aim at a hash by timing."""
    return hashlib.sha256(token.encode()).digest()


def equal(left: str, right: str) -> bool:
    """Whether two secrets are the same, in a time that does not tell where they differ."""
    return hmac.compare_digest(left.encode(), right.encode())


class Sealer:
    """Seals with the first of its keys and opens with any, so that the master key can be rotated.

    What is sealed says where it belongs (`place`, as "channel_keys/7/key"): moved elsewhere it does not open.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != _KEY_BYTES for key in keys):
            raise SealError(f"a master key has {_KEY_BYTES} bytes")
        self._current = _key_id(keys[0])
        self._ciphers: Mapping[bytes, AESGCM] = {_key_id(key): AESGCM(key) for key in keys}

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Keys of a file, base64, one a line, the current one first. Raises `SealError`."""
        try:
            lines = path.read_text(encoding="ascii").split()
            return cls([base64.b64decode(line, validate=True) for line in lines])
        except (OSError, UnicodeDecodeError, binascii.Error) as error:
            raise SealError(f"cannot read the master key file {path}: {error}") from None

    @staticmethod
    def new_key() -> str:
        """A line for a new key file."""
        return base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()

    def seal(self, plain: str, place: str) -> bytes:
        """`plain`, encrypted and bound to `place`."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        head = _FORMAT + self._current
        return head + nonce + self._ciphers[self._current].encrypt(nonce, plain.encode(), head + place.encode())

    def open(self, sealed: bytes, place: str) -> str:
        """What was sealed for `place`. Raises `SealError` for another place, an unknown key, or changed bytes."""
        head_end = len(_FORMAT) + _KEY_ID_BYTES
        head, nonce, text = (
            sealed[:head_end],
            sealed[head_end : head_end + _NONCE_BYTES],
            sealed[head_end + _NONCE_BYTES :],
        )
        cipher = self._ciphers.get(head[len(_FORMAT) :])
        if head[: len(_FORMAT)] != _FORMAT or cipher is None:
            raise SealError(f"{place} was sealed with a key that is not in the master key file")
        try:
            return cipher.decrypt(nonce, text, head + place.encode()).decode()
        except (InvalidTag, ValueError):
            raise SealError(f"what is sealed for {place} cannot be opened") from None


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"key id" + key).digest()[:_KEY_ID_BYTES]

"""Links to recordings that need no token: what they allow is in them, signed."""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlencode
from uuid import UUID

from shared.recordings._keys import key_of
from shared.recordings.errors import ExpiredLink, InvalidLink

_SHORTEST_KEY: Final = 16
_ACCOUNT = re.compile(r"[1-9]\d{0,18}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_EXPIRES = re.compile(r"\d{1,11}", re.ASCII)


class Links:
    """Signs links to recordings, and tells the signed from others.

    A link can be checked without asking anybody: whoever has the key serves it from the store.
    """

    def __init__(self, key: bytes, base_url: str) -> None:
        if len(key) < _SHORTEST_KEY:
            raise ValueError(f"the key that signs links has fewer than {_SHORTEST_KEY} bytes")
        self._key = key
        self._base_url = base_url.rstrip("/")

    @classmethod
    def from_file(cls, path: Path, base_url: str) -> Self:
        """Read the key from `path`. Raises `OSError`, and `ValueError` where it is too short to be a secret."""
        return cls(path.read_bytes().strip(), base_url)

    def link(self, account: int, uid: UUID, sha256: str, expires_at: datetime) -> str:
        """Return the URL of one recording of a call, good until `expires_at`."""
        expires = str(int(expires_at.timestamp()))
        signature = self._signature(str(account), uid, sha256, expires)
        query = urlencode({"account": account, "sha256": sha256, "expires": expires, "signature": signature})
        return f"{self._base_url}/api/v1/calls/{uid}/recording?{query}"

    def link_of(self, key: str, expires_at: datetime) -> str:
        """Return the URL of what is kept under `key`."""
        account, uid, sha256 = key.split("/")
        return self.link(int(account), UUID(uid), sha256, expires_at)

    def verify(self, uid: UUID, query: Mapping[str, str], now: datetime) -> str:
        """Return the store's key of the recording that a link to call `uid` with `query` names.

        Raises `InvalidLink`, and `ExpiredLink` for one that was good until some time before `now`.
        """
        account, sha256 = query.get("account", ""), query.get("sha256", "")
        expires, signature = query.get("expires", ""), query.get("signature", "")
        if not (_ACCOUNT.fullmatch(account) and _SHA256.fullmatch(sha256) and _EXPIRES.fullmatch(expires)):
            raise InvalidLink("the link is not complete")
        expected = self._signature(account, uid, sha256, expires)
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), expected.encode()):
            raise InvalidLink("the link's signature is not ours")
        if int(expires) <= now.timestamp():
            raise ExpiredLink("the link is over")
        return key_of(int(account), uid, sha256)

    def _signature(self, account: str, uid: UUID, sha256: str, expires: str) -> str:
        signed = "\n".join(("callbus recording", account, str(uid), sha256, expires))
        digest = hmac.digest(self._key, signed.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

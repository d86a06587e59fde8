"""Names in the store. Only what these patterns match ever reaches it."""

import re
from typing import Final
from uuid import UUID, uuid4

INCOMING: Final = "incoming"
"""Where uploads are until they are kept or refused."""

_KEY = re.compile(r"[1-9]\d{0,18}/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/[0-9a-f]{64}", re.ASCII)
_UPLOAD = re.compile(rf"{INCOMING}/[0-9a-f]{{32}}", re.ASCII)


def key_of(account: int, uid: UUID, sha256: str) -> str:
    """Return the key of a recording. Raises `ValueError` where these can't be what they should."""
    key = f"{account}/{uid}/{sha256}"
    if not is_key(key):
        raise ValueError("this makes no key of a recording")
    return key


def is_key(text: str) -> bool:
    """Whether `text` can be the key of a recording."""
    return _KEY.fullmatch(text) is not None


def new_upload() -> str:
    """Return the path of a new upload, which nobody can guess."""
    return f"{INCOMING}/{uuid4().hex}"


def is_upload(path: str) -> bool:
    """Whether `path` can be that of an upload."""
    return _UPLOAD.fullmatch(path) is not None

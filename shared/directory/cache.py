"""The last snapshot on disk, so that ingest starts while its database is away. It holds hashes only."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from shared.directory.parts import Part
from shared.directory.snapshot import Snapshot, parse_rows

_FORMAT: Final = "callbus-directory-1"


class Cached(NamedTuple):
    """A snapshot from disk and when it was read from the database (later confirmations are not noted)."""

    snapshot: Snapshot
    read_at: datetime


def write(path: Path, parts: Collection[Part], document: bytes, read_at: datetime) -> None:
    """Replace the file in one step, readable by its owner only. Raises `OSError`."""
    digest = hashlib.sha256(document).hexdigest()
    head = f"{_FORMAT} {digest} {_names(parts)} {read_at.isoformat()}\n".encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=path.name, dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(head + document)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


def read(path: Path, parts: Collection[Part]) -> Cached:
    """What was written for the same `parts`. Raises `OSError`, and `ValueError` for a torn, foreign or other file."""
    head, _, document = path.read_bytes().partition(b"\n")
    words = head.decode(errors="replace").split(" ")
    if len(words) != 4 or words[0] != _FORMAT:
        raise ValueError("not a directory cache of this version")
    _, digest, names, read_at = words
    if digest != hashlib.sha256(document).hexdigest():
        raise ValueError("torn")
    if names != _names(parts):
        raise ValueError(f"holds {names}, not {_names(parts)}")
    return Cached(Snapshot.of(parse_rows(document)), datetime.fromisoformat(read_at))


def _names(parts: Collection[Part]) -> str:
    return ",".join(sorted(parts))

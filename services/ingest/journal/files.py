"""One file of the journal: its format, its lock, and what is left of it after a crash. Everything here blocks.

    "callbus-journal-1\\n"   18 bytes
    position                8 bytes: up to here all is with the broker; a hint, so that a crash repeats little
    entries                 each: length of the payload (4), CRC-32 of it (4), payload

Numbers are big-endian. A payload is a message (kind 0: three lengths of 2 bytes, then exchange, routing key, message id
and body) or something deferred (kind 1: one length, then its name and body). The file is held under flock for as long
as a process works with it, whether it writes or forwards; a file that nobody holds is anybody's to forward.
"""

import fcntl
import os
import struct
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self
from uuid import uuid4

from shared.bus import Message

SUFFIX: Final = ".journal"
DAMAGED_SUFFIX: Final = ".damaged"

_MAGIC: Final = b"callbus-journal-1\n"
_POSITION: Final = struct.Struct(">Q")
_HEAD: Final = struct.Struct(">II")
_MESSAGE: Final = struct.Struct(">BHHH")
_DEFERRED: Final = struct.Struct(">BH")
FIRST: Final = len(_MAGIC) + _POSITION.size
"""Where the first entry begins."""
_LONGEST: Final = 64 * 1024 * 1024
_READ_BYTES: Final = 256 * 1024


class Deferred(NamedTuple):
    """Work that is done when it is forwarded: `name` says who knows how, `body` is for him."""

    name: str
    body: bytes


Entry = Message | Deferred


class Damaged(Exception):
    """An entry in the middle of the file can't be read; what is before it is forwarded, the file is kept aside."""


class JournalFile:
    """One file, held under its lock. Made by `create` and `adopt`; ends with `remove`, `release` or `set_aside`."""

    def __init__(self, path: Path, descriptor: int, size: int, position: int) -> None:
        self.path = path
        self.size = size
        self.position = position
        """Everything before it is forwarded."""
        self._descriptor = descriptor

    @classmethod
    def create(cls, folder: Path) -> Self:
        """Return a new, empty file. Raises `OSError`."""
        name = f"{time.time_ns():020d}-{uuid4().hex}"
        temporary = folder / f".{name}.new"
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            # Under its final name it is never seen unlocked: else another process could take it before us.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(descriptor, _MAGIC + _POSITION.pack(FIRST))
            os.fsync(descriptor)
            path = folder / (name + SUFFIX)
            temporary.rename(path)
            _sync_folder(folder)
        except BaseException:
            os.close(descriptor)
            temporary.unlink(missing_ok=True)
            raise
        return cls(path, descriptor, FIRST, FIRST)

    @classmethod
    def adopt(cls, path: Path) -> Self | None:
        """Return a file that nobody holds; None where somebody does, or it is gone. Raises `OSError` and `Damaged`."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it may have forwarded and unlinked it between our opening and our locking.
            if not _is(path, descriptor):
                os.close(descriptor)
                return None
            size = os.fstat(descriptor).st_size
            head = os.pread(descriptor, FIRST, 0)
            if size < FIRST or not head.startswith(_MAGIC):
                raise Damaged("this is no journal, or its head is torn")
            (position,) = _POSITION.unpack(head[len(_MAGIC) :])
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor, size, position if FIRST <= position <= size else FIRST)

    @property
    def is_done(self) -> bool:
        """Whether all of it is forwarded."""
        return self.position >= self.size

    @property
    def age_seconds(self) -> float:
        """Since it was created, which is when its first entry came."""
        created = self.path.name.partition("-")[0]
        return max(0.0, time.time() - int(created) / 1e9) if created.isdecimal() else 0.0

    def append(self, data: bytes) -> None:
        """Add entries, as `pack` writes them; on disk when this returns. Raises `OSError`: then none counts."""
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(self._descriptor, data[written:], self.size + written)
            os.fdatasync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, self.size)
            raise
        self.size += len(data)

    def read(self) -> tuple[list[Entry], int]:
        """Return the next entries behind `position`, and where they end. Raises `Damaged` where the next can't be read.

        What is torn at the very end was never promised to anybody: it is cut off.
        """
        data = os.pread(self._descriptor, _READ_BYTES, self.position)
        if len(data) >= _HEAD.size:
            needed = _HEAD.size + _HEAD.unpack_from(data)[0]
            if len(data) < needed <= _LONGEST:
                data = os.pread(self._descriptor, needed, self.position)
        found = list(_unpack(data))
        if not found:
            if self._is_torn_tail(data):
                self.size = self.position
                return [], self.position
            raise Damaged(f"the entry at byte {self.position} can't be read")
        return [entry for entry, _ in found], self.position + found[-1][1]

    def forwarded(self, position: int) -> None:
        """Note that everything before `position` is with the broker."""
        self.position = position
        os.pwrite(self._descriptor, _POSITION.pack(position), len(_MAGIC))

    def remove(self) -> None:
        """Delete it, while it is locked, and let it go."""
        self.path.unlink(missing_ok=True)
        os.close(self._descriptor)

    def release(self) -> None:
        """Let it go as it is: the next who looks may take it."""
        os.close(self._descriptor)

    def set_aside(self) -> Path:
        """Keep it under another name, which nobody forwards, and let it go; return that name."""
        kept = self.path.with_suffix(DAMAGED_SUFFIX)
        self.path.rename(kept)
        os.close(self._descriptor)
        return kept

    def _is_torn_tail(self, data: bytes) -> bool:
        """Whether the entry that begins `data` was being written when all stopped: it reaches the end or beyond."""
        if len(data) < _HEAD.size:
            return True
        length, _ = _HEAD.unpack_from(data)
        return self.position + _HEAD.size + length >= self.size or not any(data)


def pack(entries: Sequence[Entry]) -> bytes:
    """Return `entries` as they are appended."""
    packed = []
    for entry in entries:
        payload = _payload(entry)
        packed += [_HEAD.pack(len(payload), zlib.crc32(payload)), payload]
    return b"".join(packed)


def _payload(entry: Entry) -> bytes:
    if isinstance(entry, Deferred):
        name = entry.name.encode()
        return _DEFERRED.pack(1, len(name)) + name + entry.body
    parts = [text.encode() for text in (entry.exchange, entry.routing_key, entry.message_id)]
    return _MESSAGE.pack(0, *map(len, parts)) + b"".join(parts) + entry.body


def _unpack(data: bytes) -> Iterator[tuple[Entry, int]]:
    """Yield the whole and sound entries that `data` begins with, each with its end."""
    start = 0
    while start + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, start)
        end = start + _HEAD.size + length
        payload = data[start + _HEAD.size : end]
        if len(payload) < length or length < _DEFERRED.size or zlib.crc32(payload) != checksum:
            return
        yield _entry(payload), end
        start = end


def _entry(payload: bytes) -> Entry:
    if payload[0] == 1:
        _, length = _DEFERRED.unpack_from(payload)
        end = _DEFERRED.size + length
        return Deferred(payload[_DEFERRED.size : end].decode(), payload[end:])
    _, exchange, key, identity = _MESSAGE.unpack_from(payload)
    texts, start = [], _MESSAGE.size
    for length in (exchange, key, identity):
        texts.append(payload[start : start + length].decode())
        start += length
    return Message(texts[0], texts[1], payload[start:], texts[2])


def _is(path: Path, descriptor: int) -> bool:
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    held = os.fstat(descriptor)
    return (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

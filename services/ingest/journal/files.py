"""One file of the journal: its lock, its head, and what is left of it after a crash. Everything here blocks.

    "callbus-journal-2\\n"   18 bytes
    position                8 bytes: up to here all is with the broker; a hint, so that a crash repeats little
    its checksum            4 bytes: CRC-32 of the position
    entries                 as in entries.py

The file is held under flock for as long as a process works with it, whether it writes or forwards; a file that nobody
holds is anybody's to forward.
"""

import errno
import fcntl
import os
import struct
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self
from uuid import uuid4

from services.ingest.journal.entries import HEAD_BYTES, MARK, Entry, pack, read_head, unpack
from shared.disk import sync

SUFFIX: Final = ".journal"
DAMAGED_SUFFIX: Final = ".damaged"
REFUSED_SUFFIX: Final = ".refused"

# Other entries take another mark too: by the entries behind it a damaged head is told from that of another release.
_MAGIC: Final = b"callbus-journal-2\n"
_POSITION: Final = struct.Struct(">Q")
_CHECKSUM: Final = struct.Struct(">I")
FIRST: Final = len(_MAGIC) + _POSITION.size + _CHECKSUM.size
"""Where the first entry begins."""
_READ_BYTES: Final = 256 * 1024


class Damaged(Exception):
    """The next entry can't be read."""


class Strange(Exception):
    """This is no journal, or one of another release."""


class JournalFile:
    """One file, held under its lock. Made by `create` and `adopt`; ends with `finish` or `release`."""

    def __init__(self, path: Path, descriptor: int, size: int, position: int) -> None:
        self.path = path
        self.size = size
        self.position = position
        """Everything before it is forwarded, or can't be read."""
        self.is_damaged = False
        """Whether something in it can't be read: then it is kept when it is done."""
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
            _write(descriptor, _head(FIRST), 0)
            os.fsync(descriptor)
            path = folder / (name + SUFFIX)
            temporary.rename(path)
            sync(folder)
        except BaseException:
            os.close(descriptor)
            temporary.unlink(missing_ok=True)
            raise
        return cls(path, descriptor, FIRST, FIRST)

    @classmethod
    def adopt(cls, path: Path) -> Self | None:
        """Return a file that nobody holds; None where somebody does, or it is gone. Raises `OSError` and `Strange`."""
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
            file = cls(path, descriptor, os.fstat(descriptor).st_size, FIRST)
            file._read_head()
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        return file

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever written to it."""
        return self.size <= FIRST

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
            _write(self._descriptor, data, self.size)
            os.fdatasync(self._descriptor)
            if not os.fstat(self._descriptor).st_nlink:
                raise OSError(errno.ENOENT, "deleted beneath us: what is in it would not survive us")
        except OSError:
            os.ftruncate(self._descriptor, self.size)
            raise
        self.size += len(data)

    def read(self) -> list[tuple[Entry, int]]:
        """Return the next entries, each with its end. Raises `Damaged` where the first of them can't be read.

        What is torn at the very end was never promised to anybody: it is cut off.
        """
        data = self._pread(self.position, _READ_BYTES)
        head = read_head(data)
        if head is not None and HEAD_BYTES + head.length > len(data):
            data = self._pread(self.position, HEAD_BYTES + head.length)
        found = [(entry, self.position + end) for entry, end in unpack(data)]
        if not found:
            if not self._is_torn_tail(data):
                raise Damaged(f"the entry at byte {self.position} can't be read")
            self.size = self.position
        return found

    def skip_damage(self) -> int:
        """Go on with the next entry that can be read, or else to the end; return how many bytes that leaves out."""
        self.is_damaged = True
        start = self._next_sound(self.position + 1)
        skipped = start - self.position
        self.position = start
        return skipped

    def forwarded(self, position: int) -> None:
        """Note that everything before `position` is with the broker.

        Of a damaged file only we know: who takes it over after a crash shall find the damage too, and keep the file.
        """
        self.position = position
        if not self.is_damaged:
            with suppress(OSError):  # a disk that does not take it costs a repetition, should we crash
                _write(self._descriptor, _head(position)[len(_MAGIC) :], len(_MAGIC))

    def finish(self) -> Path | None:
        """Delete it and let it go. A damaged one is kept under another name, which is returned. Raises `OSError`."""
        try:
            if not self.is_damaged:
                self.path.unlink(missing_ok=True)
                return None
            kept = self.path.with_suffix(DAMAGED_SUFFIX)
            self.path.rename(kept)
            return kept
        finally:
            self.release()

    def release(self) -> None:
        """Let it go as it is: the next who looks may take it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def keep_aside(self, entries: Sequence[Entry]) -> Path:
        """Keep `entries`, which can't be forwarded, in a file that nobody looks at; on disk when this returns.

        That file is a journal like any other: renamed to one, it is forwarded. Raises `OSError`.
        """
        path = self.path.with_name(f"{self.path.stem}-kept{REFUSED_SUFFIX}")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            _write(descriptor, pack(entries) if size else _head(FIRST) + pack(entries), size)
            os.fsync(descriptor)
            sync(path.parent)
        finally:
            os.close(descriptor)
        return path

    def _read_head(self) -> None:
        head = os.pread(self._descriptor, FIRST, 0)
        if head.startswith(_MAGIC) and len(head) == FIRST:
            (position,) = _POSITION.unpack_from(head, len(_MAGIC))
            # One that is damaged is no loss: all of it is forwarded once more.
            if head == _head(position) and FIRST <= position <= self.size:
                self.position = position
        elif self._next_sound(FIRST) < self.size:
            self.is_damaged = True
        else:
            raise Strange("this is no journal, or one of another release")

    def _pread(self, start: int, count: int) -> bytes:
        return os.pread(self._descriptor, min(count, self.size - start), start)

    def _is_torn_tail(self, data: bytes) -> bool:
        """Whether the entry that begins `data` was being written when all stopped: it reaches beyond the end, or what
        is left was never written at all."""
        left = self.size - self.position
        head = read_head(data)
        if left < HEAD_BYTES or (head is not None and HEAD_BYTES + head.length > left):
            return True
        return all(not any(self._pread(start, _READ_BYTES)) for start in range(self.position, self.size, _READ_BYTES))

    def _next_sound(self, start: int) -> int:
        """Return where the first entry begins that is at `start` or behind it and can be read; else the end."""
        while start < self.size:
            data = self._pread(start, _READ_BYTES)
            found = data.find(MARK)
            if found < 0:
                start += max(1, len(data) - len(MARK) + 1)
                continue
            start += found
            if self._is_sound(start):
                return start
            start += 1
        return self.size

    def _is_sound(self, start: int) -> bool:
        head = read_head(self._pread(start, HEAD_BYTES))
        if head is None or start + HEAD_BYTES + head.length > self.size:
            return False
        return zlib.crc32(self._pread(start + HEAD_BYTES, head.length)) == head.checksum


def _head(position: int) -> bytes:
    number = _POSITION.pack(position)
    return _MAGIC + number + _CHECKSUM.pack(zlib.crc32(number))


def _write(descriptor: int, data: bytes, start: int) -> None:
    written = 0
    while written < len(data):
        written += os.pwrite(descriptor, data[written:], start + written)


def _is(path: Path, descriptor: int) -> bool:
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    held = os.fstat(descriptor)
    return (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)

"""The journal of one process: writes what the broker does not take, and forwards it when the broker does again.

At most one file is written at a time. As soon as there is something in it and the broker is there, writing goes on in a
new one, and the old one is forwarded and deleted: no file is both. New events go around all of it, straight to the
broker; order is kept within a file. Files of a process that is gone are taken over by any other on the same folder.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Never

import structlog

from services.ingest.journal import metrics
from services.ingest.journal.backlog import Backlog, Handle
from services.ingest.journal.entries import Entry, pack
from services.ingest.journal.files import DAMAGED_SUFFIX, REFUSED_SUFFIX, SUFFIX, JournalFile
from services.ingest.journal.threads import in_thread, to_the_end
from shared.bus import Publisher
from shared.disk import make_folder
from shared.errors import Transient

log = structlog.get_logger(__name__)

_LOOK_SECONDS: Final = 30.0
_RETRY_FIRST_SECONDS: Final = 0.1
_RETRY_CAP_SECONDS: Final = 5.0
_RETRY_AFTER_SECONDS: Final = 5.0
_MOST_UNWRITTEN_BYTES: Final = 16 * 1024 * 1024
"""What waits in memory for a disk that is slow."""

Waiting = tuple[bytes, int, asyncio.Future[None]]
"""Packed entries, how many, and who waits for them to be on disk."""


class JournalFull(Transient):
    """The journal holds as much as it may."""


class Unwritable(Transient):
    """The disk does not take it."""


class Journal:
    """See the module. `run` has to be running for anything to be written or forwarded."""

    def __init__(
        self,
        folder: Path,
        publisher: Publisher,
        *,
        limit_bytes: int,
        deferred: Mapping[str, Handle] | None = None,
    ) -> None:
        self.name = folder.name
        self._folder = folder
        self._publisher = publisher
        self._limit_bytes = limit_bytes
        self._backlog = Backlog(self.name, publisher, deferred or {})
        self._current: JournalFile | None = None
        self._waiting: list[Waiting] = []
        self._waiting_bytes = 0
        self._wanted = asyncio.Event()
        self._writing = asyncio.Lock()
        self._filled = asyncio.Event()
        self._look = asyncio.Event()
        self._trouble = "not started"
        self._ended = False

    def on_forwarded(self, tell: Callable[[], None]) -> None:
        """Call `tell` whenever the broker has taken something from the journal."""
        self._backlog.on_forwarded = tell

    @property
    def size_bytes(self) -> int:
        """What is on disk and not yet with the broker, of this process and of those that it took over."""
        return sum(file.size - file.position for file in self._files)

    @property
    def oldest_seconds(self) -> float:
        """Age of the oldest file; 0 where there is none."""
        return max((file.age_seconds for file in self._files), default=0.0)

    @property
    def _files(self) -> list[JournalFile]:
        return [*self._backlog.files, *([self._current] if self._current else [])]

    def readiness(self) -> tuple[bool, str]:
        """Return (ready, reason): not ready while it could take nothing."""
        if self._trouble:
            return False, self._trouble
        return self.size_bytes < self._limit_bytes, f"{self.size_bytes} of {self._limit_bytes} bytes"

    def status(self) -> dict[str, Any]:
        """Return what operators want to know: what this process holds, and what else is in the folder. Blocks."""
        files = self._files
        ours = {file.path.name for file in files} | set(self._backlog.strange)
        return {
            "name": self.name,
            "bytes": self.size_bytes,
            "limit_bytes": self._limit_bytes,
            "oldest_seconds": round(self.oldest_seconds, 3),
            "files": [
                {
                    "name": file.path.name,
                    "bytes": file.size,
                    "forwarded_bytes": file.position,
                    "age_seconds": round(file.age_seconds, 3),
                }
                for file in files
            ],
            "of_others": [name for name in self._names(SUFFIX) if name not in ours],
            "not_adopted": sorted(self._backlog.strange),
            "damaged": self._names(DAMAGED_SUFFIX),
            "refused": self._names(REFUSED_SUFFIX),
        }

    def _names(self, suffix: str) -> list[str]:
        return sorted(path.name for path in self._folder.glob(f"*{suffix}"))

    async def append(self, entries: Sequence[Entry]) -> None:
        """Return when `entries` are on disk. Raises `JournalFull` and `Unwritable`."""
        data = pack(entries)
        if self._ended:
            raise Unwritable("the process is stopping", _RETRY_AFTER_SECONDS)
        if self.size_bytes + self._waiting_bytes + len(data) > self._limit_bytes:
            metrics.REFUSED.labels(self.name, "full").inc()
            raise JournalFull("the journal is full", _RETRY_AFTER_SECONDS)
        if self._waiting and self._waiting_bytes + len(data) > _MOST_UNWRITTEN_BYTES:
            metrics.REFUSED.labels(self.name, "slow").inc()
            raise Unwritable("the disk is too slow for the journal", _RETRY_AFTER_SECONDS)
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((data, len(entries), written))
        self._waiting_bytes += len(data)
        self._wanted.set()
        await written

    async def run(self) -> Never:
        """Write, forward and look for files that nobody holds, until cancelled; what is left stays on disk."""
        try:
            await self._try_out()
            metrics.BYTES.labels(self.name).set_function(lambda: self.size_bytes)
            metrics.OLDEST_SECONDS.labels(self.name).set_function(lambda: self.oldest_seconds)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._write_forever())
                tasks.create_task(self._forward_forever())
                tasks.create_task(self._look_forever())
        finally:
            self._let_go()
        raise AssertionError("unreachable")

    # --- writing

    async def _write_forever(self) -> Never:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            async with self._writing:
                waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
                if waiting:
                    await to_the_end(self._write(waiting))

    async def _write(self, waiting: Sequence[Waiting]) -> None:
        """One write and one fsync for all who wait."""
        try:
            with metrics.WRITE_SECONDS.time():
                await asyncio.to_thread(self._append, b"".join(data for data, _, _ in waiting))
        except (OSError, RuntimeError) as error:  # the latter: there is no thread to be had
            self._trouble = _cannot_be_written(error)
            metrics.REFUSED.labels(self.name, "disk").inc(len(waiting))
            for _, _, written in waiting:
                _fail(written, Unwritable("the journal can't be written", _RETRY_AFTER_SECONDS))
            # After a failed fsync nothing is known of a file's last pages: nothing more is written to this one.
            await self._retire()
            return
        self._trouble = ""
        metrics.WRITTEN.labels(self.name).inc(sum(count for _, count, _ in waiting))
        for _, _, written in waiting:
            if not written.done():
                written.set_result(None)
        self._filled.set()

    def _append(self, data: bytes) -> None:
        if self._current is None:
            self._current = JournalFile.create(self._folder)
        self._current.append(data)

    async def _retire(self) -> None:
        """Write no more to the current file: what is in it is to be forwarded."""
        file, self._current = self._current, None
        if file is None:
            return
        if not file.is_empty:
            self._backlog.take(file)
            return
        try:  # a disk that takes nothing must not leave a file, and a descriptor, for each time it was tried
            await in_thread(file.finish)
        except (OSError, RuntimeError) as error:
            log.warning("journal_file_left", file=file.path.name, reason=str(error))
            file.release()

    # --- forwarding

    async def _forward_forever(self) -> Never:
        pause = _RETRY_FIRST_SECONDS
        while True:
            await self._something_to_forward()
            if await self._backlog.forward():
                pause = _RETRY_FIRST_SECONDS
            else:
                await asyncio.sleep(pause)
                pause = min(pause * 2, _RETRY_CAP_SECONDS)

    async def _something_to_forward(self) -> None:
        """Return when there is a file to forward; the one being written becomes one once the broker is there."""
        while not self._backlog.files:
            if self._backlog.left_some:
                self._look.set()
            async with self._writing:
                self._filled.clear()
                if self._publisher.ready:
                    await self._retire()
            if self._backlog.files:
                return
            with suppress(TimeoutError):  # then it is time to see whether the broker is there
                async with asyncio.timeout(_RETRY_CAP_SECONDS if self._current is None else _RETRY_FIRST_SECONDS):
                    await self._filled.wait()

    # --- taking over

    async def _look_forever(self) -> Never:
        """Look for files that nobody holds, and whether what could not be written can be by now."""
        while True:
            await in_thread(self._backlog.adopt, self._folder)
            self._filled.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._look.wait()
            self._look.clear()
            if self._trouble:
                await self._try_out()

    async def _try_out(self) -> None:
        """Find out whether the folder can be written. Where it can't, the broker alone can take anything."""
        try:
            await in_thread(make_folder, self._folder)
            await in_thread(lambda: JournalFile.create(self._folder).finish())
        except (OSError, RuntimeError) as error:
            self._trouble = _cannot_be_written(error)
        else:
            self._trouble = ""

    def _let_go(self) -> None:
        self._ended = True
        for _, _, written in self._waiting:
            _fail(written, Unwritable("the process is stopping", _RETRY_AFTER_SECONDS))
        self._waiting = []
        if self._current is not None:
            self._current.release()
        self._backlog.let_go()


def _cannot_be_written(error: Exception) -> str:
    """Return why, as readiness says it; and tell it."""
    log.error("journal_unwritable", reason=str(error))
    return f"can't be written ({getattr(error, 'strerror', None) or type(error).__name__})"


def _fail(waiting: asyncio.Future[None], error: Exception) -> None:
    if not waiting.done():
        waiting.set_exception(error)

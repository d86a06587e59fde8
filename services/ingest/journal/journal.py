"""The journal of one process: writes what the broker does not take, and forwards it when the broker does again.

At most one file is written at a time. As soon as there is something in it and the broker is there, writing goes on in a
new one, and the old one is forwarded and deleted: no file is both. New events go around all of it, straight to the
broker; order is kept within a file. Files of a process that is gone are taken over by any other on the same folder.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Never, Protocol

import structlog

from services.ingest.journal import metrics
from services.ingest.journal.files import DAMAGED_SUFFIX, SUFFIX, Damaged, Deferred, Entry, JournalFile, pack
from shared.bus import Message, Publisher
from shared.errors import Transient

log = structlog.get_logger(__name__)

_LOOK_SECONDS: Final = 30.0
_CONFIRM_SECONDS: Final = 30.0
_RETRY_FIRST_SECONDS: Final = 0.1
_RETRY_CAP_SECONDS: Final = 5.0
_RETRY_AFTER_SECONDS: Final = 5.0

Handle = Callable[[bytes], Awaitable[Sequence[Message]]]
"""Turns the body of something deferred into messages. Raises `Transient` where that can't be done yet."""


class JournalFull(Transient):
    """The journal holds as much as it may."""


class Unwritable(Transient):
    """The disk does not take it."""


class Ready(Protocol):
    """A publisher that knows whether it could send now."""

    @property
    def ready(self) -> bool: ...


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
        self._deferred = dict(deferred or {})
        self._current: JournalFile | None = None
        self._waiting: list[tuple[bytes, int, asyncio.Future[None]]] = []
        self._waiting_bytes = 0
        self._written = asyncio.Event()
        self._wanted = asyncio.Event()
        self._backlog: list[JournalFile] = []
        self._writing = asyncio.Lock()
        self._trouble = "not started"
        self.on_forwarded: Callable[[], None] = lambda: None
        """Called whenever the broker has taken something from the journal."""

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
        return [*self._backlog, *([self._current] if self._current else [])]

    def readiness(self) -> tuple[bool, str]:
        """Return (ready, reason): not ready while it could take nothing."""
        if self._trouble:
            return False, self._trouble
        return self.size_bytes < self._limit_bytes, f"{self.size_bytes} of {self._limit_bytes} bytes"

    def status(self) -> dict[str, Any]:
        """Return what operators want to know: what this process holds, and what else is in the folder."""
        files = self._files
        held = {file.path for file in files}
        others = sorted(path for path in self._folder.glob(f"*{SUFFIX}") if path not in held)
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
            "of_others": [path.name for path in others],
            "set_aside": sorted(path.name for path in self._folder.glob(f"*{DAMAGED_SUFFIX}")),
        }

    async def append(self, entries: Sequence[Entry]) -> None:
        """Return when `entries` are on disk. Raises `JournalFull` and `Unwritable`."""
        data = pack(entries)
        if self.size_bytes + self._waiting_bytes + len(data) > self._limit_bytes:
            metrics.REFUSED.labels(self.name, "full").inc()
            raise JournalFull("the journal is full", _RETRY_AFTER_SECONDS)
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((data, len(entries), written))
        self._waiting_bytes += len(data)
        self._wanted.set()
        await written

    async def run(self) -> Never:
        """Write, forward and look for files that nobody holds, until cancelled; what is left stays on disk."""
        await self._try_out()
        metrics.BYTES.labels(self.name).set_function(lambda: self.size_bytes)
        metrics.OLDEST_SECONDS.labels(self.name).set_function(lambda: self.oldest_seconds)
        await self._adopt()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._write_forever())
                tasks.create_task(self._forward_forever())
                tasks.create_task(self._adopt_forever())
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
                # Shielded: what has begun to be written is answered, also while the process stops.
                await asyncio.shield(self._write(waiting))

    async def _write(self, waiting: Sequence[tuple[bytes, int, asyncio.Future[None]]]) -> None:
        """One write and one fsync for all who wait."""
        try:
            with metrics.WRITE_SECONDS.time():
                await asyncio.to_thread(self._append, b"".join(data for data, _, _ in waiting))
        except OSError as error:
            log.error("journal_unwritable", reason=str(error))
            self._trouble = f"can't be written ({error.strerror})"
            metrics.REFUSED.labels(self.name, "disk").inc(len(waiting))
            # After a failed fsync nothing is known of a file's last pages: nothing more is written to this one.
            self._retire()
            for _, _, written in waiting:
                _fail(written, Unwritable("the journal can't be written", _RETRY_AFTER_SECONDS))
            return
        self._trouble = ""
        metrics.WRITTEN.labels(self.name).inc(sum(count for _, count, _ in waiting))
        for _, _, written in waiting:
            if not written.done():
                written.set_result(None)
        self._written.set()

    def _append(self, data: bytes) -> None:
        if self._current is None:
            self._current = JournalFile.create(self._folder)
        self._current.append(data)

    def _retire(self) -> None:
        if self._current is not None:
            self._backlog.append(self._current)
            self._current = None

    # --- forwarding

    async def _forward_forever(self) -> Never:
        pause = _RETRY_FIRST_SECONDS
        while True:
            file = await self._next_file()
            try:
                if not file.is_done:
                    await self._forward_some(file)
                if file.is_done:
                    await asyncio.to_thread(file.remove)
                    self._backlog.remove(file)
                pause = _RETRY_FIRST_SECONDS
            except Damaged as damage:
                self._backlog.remove(file)
                kept = await asyncio.to_thread(file.set_aside)
                metrics.DAMAGED.inc()
                log.error("journal_damaged", file=kept.name, reason=str(damage))
            except (Transient, TimeoutError, OSError) as error:
                log.warning("journal_waits", reason=str(error) or type(error).__name__, bytes=self.size_bytes)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _RETRY_CAP_SECONDS)

    async def _next_file(self) -> JournalFile:
        """Return the oldest file, the one being written last of all; wait until there is one."""
        while not self._backlog:
            async with self._writing:
                self._written.clear()
                if getattr(self._publisher, "ready", True):
                    self._retire()
            if self._backlog:
                break
            try:
                async with asyncio.timeout(_RETRY_CAP_SECONDS if self._current is None else _RETRY_FIRST_SECONDS):
                    await self._written.wait()
            except TimeoutError:
                pass  # time to see whether the broker is there
        return self._backlog[0]

    async def _forward_some(self, file: JournalFile) -> None:
        """Forward the next entries."""
        entries, end = await asyncio.to_thread(file.read)
        if not entries:
            return
        messages: list[Message] = []
        for entry in entries:
            messages += await self._messages_of(entry)
        async with asyncio.timeout(_CONFIRM_SECONDS):
            await self._publisher.publish(messages)
        file.forwarded(end)
        metrics.FORWARDED.labels(self.name).inc(len(entries))
        self.on_forwarded()

    async def _messages_of(self, entry: Entry) -> Sequence[Message]:
        if isinstance(entry, Deferred):
            return await self._deferred[entry.name](entry.body)
        return (entry,)

    # --- taking over

    async def _adopt_forever(self) -> Never:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if self._trouble:
                await self._try_out()
            await self._adopt()

    async def _try_out(self) -> None:
        """Find out whether the folder can be written. Where it can't, the broker alone can take anything."""
        try:
            await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
            await asyncio.to_thread(lambda: JournalFile.create(self._folder).remove())
        except OSError as error:
            self._trouble = f"can't be written ({error.strerror})"
            log.error("journal_unwritable", reason=str(error))
        else:
            self._trouble = ""

    async def _adopt(self) -> None:
        """Take over files that nobody holds; what goes wrong with one is told and tried again."""
        held = {file.path for file in self._backlog} | ({self._current.path} if self._current else set())
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            if path in held:
                continue
            try:
                file = await asyncio.to_thread(JournalFile.adopt, path)
            except (OSError, Damaged) as error:
                log.error("journal_not_adopted", file=path.name, reason=str(error))
                continue
            if file is not None:
                log.info("journal_adopted", file=path.name, bytes=file.size - file.position)
                self._backlog.append(file)
                self._written.set()

    def _let_go(self) -> None:
        for _, _, written in self._waiting:
            _fail(written, Unwritable("the process is stopping", _RETRY_AFTER_SECONDS))
        self._waiting = []
        self._retire()
        for file in self._backlog:
            file.remove() if file.is_done else file.release()
        self._backlog = []


def _fail(waiting: asyncio.Future[None], error: Exception) -> None:
    if not waiting.done():
        waiting.set_exception(error)

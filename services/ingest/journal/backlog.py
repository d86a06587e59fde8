"""Files that wait for the broker, whoever wrote them: taken over where nobody holds them, forwarded, deleted.

One file that can't be forwarded now never holds up another, and one entry that can't be forwarded at all never holds up
the rest of its file.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import structlog

from services.ingest.journal import metrics
from services.ingest.journal.entries import Entry, Foreign
from services.ingest.journal.files import SUFFIX, Damaged, JournalFile, Strange
from services.ingest.journal.threads import in_thread
from shared.bus import Message, Publisher
from shared.bus.messages import Unavailable
from shared.errors import Permanent, Transient

log = structlog.get_logger(__name__)

MOST_FILES: Final = 64
"""So many are held at a time: each takes a descriptor, and other replicas forward too."""
_CONFIRM_SECONDS: Final = 30.0
_TRIES: Final = 10
"""Of an entry that fails for no reason that is known to pass."""
_PASSING: Final = (Transient, OSError)  # TimeoutError is an OSError

Handle = Callable[[bytes], Awaitable[Sequence[Message]]]
"""Turns the body of something deferred into messages. Raises `Transient` where that can't be done yet, and `Permanent`
where it never can."""


class Unknown(Permanent):
    """Another release knows what this is."""


class Backlog:
    """The files that this process forwards."""

    def __init__(self, name: str, publisher: Publisher, deferred: Mapping[str, Handle]) -> None:
        self.files: list[JournalFile] = []
        self.strange: list[str] = []
        """Files in the folder that are no journals that we know."""
        self.left_some = False
        """Whether there were more to take over than are held at a time."""
        self.on_forwarded: Callable[[], None] = lambda: None
        self._name = name
        self._publisher = publisher
        self._deferred = dict(deferred)
        self._failures: dict[Path, tuple[int, int]] = {}
        """Of a file, where it fails for no reason that is known to pass, and how often it has."""

    def take(self, file: JournalFile) -> None:
        """Forward `file` from now on; or let it go, for whoever looks next, where enough are held."""
        if len(self.files) < MOST_FILES:
            self.files.append(file)
        else:
            file.release()
            self.left_some = True

    def adopt(self, folder: Path) -> None:
        """Take over files that nobody holds; what goes wrong with one is told and tried again. Blocks."""
        strange = []
        self.left_some = False
        for path in _journals(folder):
            if len(self.files) >= MOST_FILES:
                self.left_some = True
                break
            try:
                file = JournalFile.adopt(path)
            except (OSError, Strange) as error:
                strange.append(path.name)
                log.error("journal_not_adopted", file=path.name, reason=str(error))
                continue
            if file is not None:
                log.info("journal_adopted", file=path.name, bytes=file.size - file.position)
                self.files.append(file)
        self.strange = strange

    async def forward(self) -> bool:
        """Forward the next entries of the first file; return whether that went well. If not, another comes first."""
        file = self.files[0]
        try:
            await self._get_on_with(file)
        except Exception as error:  # whatever it is: the others must be forwarded
            _tell("journal_waits", file.path, error)
            if file in self.files:
                self.files.remove(file)
                self.files.append(file)
            return False
        return True

    def let_go(self) -> None:
        """Leave what is not forwarded to others."""
        for file in self.files:
            file.release()
        self.files = []

    async def _get_on_with(self, file: JournalFile) -> None:
        try:
            if not file.is_done:
                await self._forward_some(file)
        except Damaged as damage:
            skipped = await in_thread(file.skip_damage)
            log.error("journal_damaged", file=file.path.name, reason=str(damage), skipped_bytes=skipped)
        if file.is_done:
            self.files.remove(file)
            self._failures.pop(file.path, None)
            kept = await in_thread(file.finish)
            if kept is not None:
                metrics.DAMAGED.inc()
                log.error("journal_set_aside", file=kept.name)

    async def _forward_some(self, file: JournalFile) -> None:
        """Forward the next entries, as many as can be; the first by itself where it is the one that can't."""
        if not self._publisher.ready:
            raise Unavailable("the broker is away")
        messages: list[Message] = []
        count, end = 0, file.position
        for entry, after in await in_thread(file.read):
            try:
                messages += await self._messages_of(entry)
            except Exception as error:
                if count:
                    break  # first what is before it: it is the first of the next
                await self._set_aside(file, entry, after, error)
                return
            count, end = count + 1, after
        if messages:
            async with asyncio.timeout(_CONFIRM_SECONDS):
                await self._publisher.publish(messages)
        await in_thread(file.forwarded, end)
        metrics.FORWARDED.labels(self._name).inc(count)
        if messages:
            self.on_forwarded()

    async def _messages_of(self, entry: Entry) -> Sequence[Message]:
        if isinstance(entry, Message):
            return (entry,)
        if isinstance(entry, Foreign) or entry.name not in self._deferred:
            raise Unknown("an entry of another release")
        return await self._deferred[entry.name](entry.body)

    async def _set_aside(self, file: JournalFile, entry: Entry, after: int, error: Exception) -> None:
        """Keep what will never be forwarded, and go on behind it. Raises `error` where it may yet be."""
        if isinstance(error, _PASSING) or not (isinstance(error, Permanent) or self._failed_often(file)):
            raise error
        kept = await in_thread(file.keep_aside, [entry])
        await in_thread(file.forwarded, after)
        metrics.SET_ASIDE.labels(self._name).inc()
        _tell("journal_entry_set_aside", kept, error)

    def _failed_often(self, file: JournalFile) -> bool:
        """Note that the entry at the file's position failed; return whether it has failed often enough by now."""
        position, failures = self._failures.get(file.path, (file.position, 0))
        failures = failures + 1 if position == file.position else 1
        self._failures[file.path] = file.position, failures
        return failures >= _TRIES


def _journals(folder: Path) -> list[Path]:
    """Return the files in the folder, oldest first; none where it can't be read."""
    try:
        return sorted(folder.glob(f"*{SUFFIX}"))
    except OSError as error:
        log.error("journal_unreadable", reason=str(error))
        return []


def _tell(event: str, path: Path, error: Exception) -> None:
    """Log what went wrong; with the traceback where it should never have."""
    reason = str(error) or type(error).__name__
    if isinstance(error, _PASSING):
        log.warning(event, file=path.name, reason=reason)
    else:
        log.error(event, file=path.name, reason=reason, exc_info=None if isinstance(error, Permanent) else error)

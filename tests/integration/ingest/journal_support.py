"""A journal under test, and what came of what was written to it."""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from structlog.testing import capture_logs

from services.ingest.journal import Journal
from services.ingest.journal.backlog import Handle
from services.ingest.journal.files import SUFFIX
from shared.bus import Broker, Message
from tests.integration.ingest.support import eventually, take
from tests.support.story import read

LIMIT = 10_000_000
STORY = "\n".join(f"{second} ring 101" for second in range(300))
EVENTS = read(STORY)[0]
MESSAGES = [Message("calls", "call.ringing.v1.00", event.to_json(), str(event.id)) for event in EVENTS]


@asynccontextmanager
async def running(
    folder: Path, broker: Broker, limit_bytes: int = LIMIT, deferred: Mapping[str, Handle] | None = None
) -> AsyncIterator[Journal]:
    journal = Journal(folder, broker.publisher(), limit_bytes=limit_bytes, deferred=deferred)
    task = asyncio.create_task(journal.run())
    try:
        yield journal
        assert not task.done()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def arrived(amqp_url: str) -> Counter[str]:
    return Counter(str(event.id) for event in await take(amqp_url, "history.calls"))


async def emptied(folder: Path, but: int = 0) -> None:
    async def left() -> int:
        return len(list(folder.glob(f"*{SUFFIX}")))

    await eventually(left, but)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file may grow beyond `size`: as on a full disk, a write is taken in part and then fails. Nothing is logged."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        with capture_logs():
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

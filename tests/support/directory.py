"""A migrated database with a directory to write to, and waiting for what a reader will see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from services.routing.store import Store
from shared.db import migrations
from shared.directory import DirectoryReader, Part
from shared.secrets import Sealer
from tests.support.nodes import Postgres

SEALER = Sealer([bytes(range(32))])


async def migrate(dsn: str, services: Iterable[str] = ("routing",)) -> None:
    """Bring an empty database up, each role's password its service's name."""
    names = list(services)
    await migrations.migrate(dsn, names, {name: f"password of {name}" for name in names})


@contextmanager
def migrated_database(postgres: Postgres, services: Iterable[str] = ("routing",)) -> Iterator[str]:
    """DSN of a migrated database that the tests of a module share: each works in accounts of its own."""
    database = postgres.new_database()
    asyncio.run(migrate(postgres.dsn(database), services))
    yield postgres.dsn(database)
    postgres.drop_database(database)


def role_dsn(dsn: str, service: str) -> str:
    """The DSN of a service's role, from an administrator's."""
    parts = urlsplit(dsn)
    netloc = f"{parts.path[1:]}_{service}:password%20of%20{service}@{parts.netloc.rpartition('@')[2]}"
    return urlunsplit(parts._replace(netloc=netloc))


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection, closed at the end."""
    conn = await asyncpg.connect(dsn)
    try:
        yield conn
    finally:
        await conn.close()


@asynccontextmanager
async def writing(dsn: str) -> AsyncIterator[Store]:
    """The write side, over a connection of its own."""
    async with connected(dsn) as conn:
        yield Store(conn, SEALER)


@asynccontextmanager
async def reading(dsn: str, parts: Iterable[Part] = tuple(Part), **options: Any) -> AsyncIterator[DirectoryReader]:
    """A running reader; not yet loaded."""
    reader = DirectoryReader(dsn, list(parts), **options)
    task = asyncio.create_task(reader.run())
    try:
        yield reader
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(holds: Callable[[], bool], deadline_seconds: float = 20) -> None:
    """Return as soon as `holds()`; fails after a generous deadline."""
    async with asyncio.timeout(deadline_seconds):
        while not holds():
            await asyncio.sleep(0.01)

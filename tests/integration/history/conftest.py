"""History's database as its own role sees it: migrated once per module, empty for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import asyncpg
import pytest
import pytest_asyncio

from services.history.writer import Writer
from shared.db import create_pool
from tests.integration.history.support import history_dsn
from tests.support.nodes import Postgres


class Migrated(NamedTuple):
    """A database with its superuser's DSN and that of history's own role."""

    admin: str
    history: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def migrated(postgres: Postgres) -> AsyncIterator[Migrated]:
    """A migrated database, for all tests of a module."""
    database = postgres.new_database()
    admin = postgres.dsn(database)
    yield Migrated(admin, await history_dsn(admin))
    postgres.drop_database(database)


@pytest.fixture
async def admin(migrated: Migrated) -> AsyncIterator[asyncpg.Connection[Any]]:
    """The superuser's connection to the database, emptied."""
    connection = await asyncpg.connect(migrated.admin)
    await connection.execute("TRUNCATE history.events, history.calls, history.suspects")
    yield connection
    await connection.close()


@pytest.fixture
def dsn(migrated: Migrated, admin: asyncpg.Connection[Any]) -> str:
    """DSN of history's own role; the database is empty."""
    return migrated.history


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[asyncpg.Pool[Any]]:
    """Connections of history's own role."""
    pool = await create_pool(dsn, application_name="test")
    yield pool
    await pool.close()


@pytest.fixture
async def writer(pool: asyncpg.Pool[Any]) -> AsyncIterator[Writer]:
    """A writer on the database."""
    writer = Writer(pool)
    yield writer
    await writer.close()

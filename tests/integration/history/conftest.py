"""History's database, empty and migrated, as its own role sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from services.history.writer import Writer
from shared.db import create_pool
from tests.integration.history.support import history_dsn


@pytest.fixture
async def dsn(database_dsn: str) -> str:
    """DSN of history's own role in a migrated database."""
    return await history_dsn(database_dsn)


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[asyncpg.Pool[Any]]:
    """Connections of history's own role."""
    pool = await create_pool(dsn, application_name="test")
    yield pool
    await pool.close()


@pytest.fixture
async def writer(pool: asyncpg.Pool[Any]) -> AsyncIterator[Writer]:
    """A writer on the migrated database."""
    writer = Writer(pool)
    yield writer
    await writer.close()

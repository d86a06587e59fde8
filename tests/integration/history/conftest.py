"""History's database as its own role sees it: migrated once per module, empty for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import asyncpg
import pytest
import pytest_asyncio

from services.history.app import create
from services.history.settings import Settings
from services.history.writer import Writer
from shared.db import create_pool
from shared.http import serving
from tests.integration.history.support import BASE_URL, LINK_KEY, Api, history_dsn, seed, until
from tests.support.nodes import Postgres

NOWHERE = "amqp://guest:guest@127.0.0.1:1/"


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
    await connection.execute(
        "TRUNCATE history.events, history.calls, history.tickets, history.requests, history.repeats, history.suspects"
    )
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


@pytest.fixture
async def api(dsn: str, admin: asyncpg.Connection[Any], writer: Writer, tmp_path: Path) -> AsyncIterator[Api]:
    """The service on a free port; its broker is away, which hurts no reader. Recordings are in `tmp_path`."""
    await seed(admin)
    (tmp_path / "link.key").write_bytes(LINK_KEY)
    settings = Settings(
        amqp_url=NOWHERE,
        postgres_dsn=dsn,
        listen_port=0,
        base_url=BASE_URL,
        recordings_url=(tmp_path / "recordings").as_uri(),
        link_key_file=tmp_path / "link.key",
    )
    async with serving(create(settings), settings) as port, aiohttp.ClientSession() as session:
        api = Api(session, f"http://127.0.0.1:{port}", writer)

        async def answers() -> bool:
            return (await api.get("/voip/calls"))[0] == 200

        await until(answers, "the directory is read")
        yield api

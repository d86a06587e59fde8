"""Ingest in this process, against the shared broker and database, with a faulty network between them."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from services.ingest.settings import Settings
from shared.bus import Broker
from tests.integration.ingest.channel_key_support import Desk, World, make_world
from tests.integration.ingest.support import Ids, add_account, ingest_dsn, running, settings
from tests.support.proxy import Proxy


@pytest.fixture
async def dsn(database_dsn: str) -> str:
    return await ingest_dsn(database_dsn)


@pytest.fixture
async def ids(database_dsn: str, dsn: str) -> Ids:
    return await add_account(database_dsn)


@pytest.fixture
async def broker_network(amqp_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(amqp_url) as proxy:
        yield proxy


@pytest.fixture
async def database_network(dsn: str) -> AsyncIterator[Proxy]:
    async with Proxy(dsn) as proxy:
        yield proxy


@pytest.fixture
def configured(broker_network: Proxy, database_network: Proxy, ids: Ids, tmp_path: Path) -> Settings:
    return settings(broker_network.url, database_network.url, tmp_path, body_limit_bytes=50_000, body_read_seconds=1)


@pytest.fixture
async def client(configured: Settings) -> AsyncIterator[aiohttp.ClientSession]:
    async with running(configured) as client:
        yield client


@pytest.fixture
async def world(database_dsn: str, dsn: str) -> World:
    """Accounts with people and channels of the channel-key API."""
    return await make_world(database_dsn)


@pytest.fixture
async def desk(world: World, client: aiohttp.ClientSession) -> Desk:
    return Desk(client, world.key)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a journal."""
    return tmp_path / "events"


@pytest.fixture
async def broker(broker_network: Proxy) -> AsyncIterator[Broker]:
    async with Broker(broker_network.url, name="journal test") as broker:
        yield broker

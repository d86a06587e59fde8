"""Ingest under test: its database with one channel, and what it published."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import aiormq
import asyncpg
from aiohttp import web

from services.ingest.app import build
from services.ingest.settings import Settings
from shared.db.migrations import migrate
from shared.events import Event, RequestRejected, parse
from shared.http import serving
from shared.secrets import hash_token

DEADLINE_SECONDS = 40.0
PASSWORD = "not-a-secret"
KEY = "key_of_the_channel_hunter2"
OFF_KEY = "key_of_the_disabled_channel"
OTHER_KEY = "key_of_another_provider"
VOIPNOW_KEY = "key_of_a_voipnow_channel"


class Ids(NamedTuple):
    """Rows that the tests need to know."""

    account: int
    channel: int


async def ingest_dsn(database_dsn: str) -> str:
    """Migrate the database; return the DSN of ingest's own role."""
    await migrate(database_dsn, ["routing", "ingest"], passwords={"ingest": PASSWORD})
    url = urlsplit(database_dsn)
    return urlunsplit(url._replace(netloc=f"{url.path[1:]}_ingest:{PASSWORD}@{url.hostname}:{url.port}"))


async def add_account(database_dsn: str) -> Ids:
    """Create an account with channels: SuperVoIP's, one that is switched off, Telecube's, VoipNow's."""
    connection = await asyncpg.connect(database_dsn)
    try:
        account: int = await connection.fetchval(
            "INSERT INTO directory.accounts (name) VALUES ('A') RETURNING account_id"
        )
        channels = [
            await _add_channel(connection, account, "supervoip", True, KEY),
            await _add_channel(connection, account, "supervoip", False, OFF_KEY),
            await _add_channel(connection, account, "telecube", True, OTHER_KEY),
            await _add_channel(connection, account, "voipnow", True, VOIPNOW_KEY),
        ]
    finally:
        await connection.close()
    return Ids(account, channels[0])


async def _add_channel(
    connection: asyncpg.Connection[asyncpg.Record], account: int, provider: str, enabled: bool, key: str
) -> int:
    channel: int = await connection.fetchval(
        "INSERT INTO directory.channels (account_id, provider, name, enabled) VALUES ($1, $2, 'C', $3)"
        " RETURNING channel_id",
        account,
        provider,
        enabled,
    )
    await connection.execute(
        "INSERT INTO directory.channel_keys (account_id, channel_id, kind, key_hash, key_sealed)"
        " VALUES ($1, $2, 'key', $3, ''::bytea)",
        account,
        channel,
        hash_token(key),
    )
    return channel


def settings(amqp_url: str, dsn: str, data_dir: Path, **more: Any) -> Settings:
    data_dir.mkdir(exist_ok=True)
    link_key = data_dir / "link.key"
    link_key.write_text("the key that signs links, of the tests")
    values = {
        "amqp_url": amqp_url,
        "postgres_dsn": dsn,
        "data_dir": data_dir,
        "recordings_url": (data_dir / "recordings").as_uri(),
        "link_key_file": link_key,
        "journal_dir": data_dir / "journal",
        "listen_port": 0,
        **more,
    }
    return Settings.model_validate(values)


@asynccontextmanager
async def running(
    configured: Settings, *, until_ready: bool = True, app: web.Application | None = None
) -> AsyncIterator[aiohttp.ClientSession]:
    """Serve ingest (or `app`) in this process; yield a client of it."""
    async with (
        serving(app or build(configured), configured) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client,
    ):
        if until_ready:
            await eventually(lambda: status(client, "/readyz"), 200)
        yield client


async def status(client: aiohttp.ClientSession, path: str, data: Any = None) -> int:
    async with client.request("GET" if data is None else "POST", path, data=data) as answer:
        await answer.read()
        return answer.status


async def eventually(ask: Callable[[], Awaitable[object]], expected: object) -> None:
    """Return when `ask` answers what is expected."""
    answer: object = "nothing"
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while (answer := await ask()) != expected:
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"still {answer!r} instead of {expected!r}") from None


async def take(amqp_url: str, queue: str) -> list[Event]:
    """Return the events in `queue` and remove them."""
    connection = await aiormq.connect(amqp_url)
    events = []
    try:
        channel = await connection.channel()
        while (message := await channel.basic_get(queue, no_ack=True)).body:
            event = parse(message.body)
            assert message.header.properties.message_id == str(event.id)
            assert message.header.properties.delivery_mode == 2
            events.append(event)
    finally:
        await connection.close()
    return events


async def rejected(amqp_url: str) -> list[RequestRejected]:
    events = await take(amqp_url, "history.requests")
    return [event for event in events if isinstance(event, RequestRejected)]

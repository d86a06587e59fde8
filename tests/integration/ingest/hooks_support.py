"""Ingest with channels of any provider, for tests that share one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import asyncpg

from shared.secrets import hash_token
from tests.integration.ingest.support import ingest_dsn, running, settings
from tests.support.nodes import Postgres, RabbitMQ

_FIRST_ID = 1000  # metrics are the process's: those of other tests' channels are not ours to raise


class World(NamedTuple):
    """A running ingest with one account."""

    client: aiohttp.ClientSession
    port: int
    amqp_url: str
    database_dsn: str
    account: int
    channels: Mapping[str, int]
    """Ids of the channels by their keys."""
    faults_before: Sequence[str] = ()
    """What the process had counted as faults of ours when it was made: other tests leave some on purpose."""


class NewChannel(NamedTuple):
    provider: str
    key: str
    columns: Mapping[str, Any] = {}
    """More columns of the row; `mapping` as an object."""


@asynccontextmanager
async def ingest_with(
    channels: list[NewChannel], rabbitmq: RabbitMQ, postgres: Postgres, data_dir: Path, **more: Any
) -> AsyncIterator[World]:
    """Serve ingest with `channels` on a virtual host and a database of its own; settings are `more`."""
    vhost, database = rabbitmq.new_vhost(), postgres.new_database()
    amqp_url, database_dsn = rabbitmq.amqp_url(vhost), postgres.dsn(database)
    try:
        dsn = await ingest_dsn(database_dsn)
        account, ids = await _add(database_dsn, channels)
        async with running(settings(amqp_url, dsn, data_dir, **more)) as client:
            assert client._base_url is not None
            assert client._base_url.port is not None
            yield World(client, client._base_url.port, amqp_url, database_dsn, account, ids)
    finally:
        rabbitmq.delete_vhost(vhost)
        postgres.drop_database(database)


async def _add(database_dsn: str, channels: list[NewChannel]) -> tuple[int, dict[str, int]]:
    connection = await asyncpg.connect(database_dsn)
    try:
        account: int = await connection.fetchval(
            "INSERT INTO directory.accounts (name) VALUES ('A') RETURNING account_id"
        )
        return account, {
            channel.key: await _add_channel(connection, account, id_, channel)
            for id_, channel in enumerate(channels, _FIRST_ID)
        }
    finally:
        await connection.close()


async def _add_channel(
    connection: asyncpg.Connection[asyncpg.Record], account: int, id_: int, channel: NewChannel
) -> int:
    await connection.execute(
        "INSERT INTO directory.channels (channel_id, account_id, provider, name, mapping, trust_clock)"
        " VALUES ($1, $2, $3, 'C', $4::text::jsonb, $5)",
        id_,
        account,
        channel.provider,
        json.dumps(channel.columns["mapping"]) if "mapping" in channel.columns else None,
        channel.columns.get("trust_clock", True),
    )
    await connection.execute(
        "INSERT INTO directory.channel_keys (account_id, channel_id, kind, key_hash, key_sealed)"
        " VALUES ($1, $2, 'key', $3, ''::bytea)",
        account,
        id_,
        hash_token(channel.key),
    )
    return id_

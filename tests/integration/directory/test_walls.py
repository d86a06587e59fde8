"""Rows of two accounts can never be tied to one another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from services.routing.errors import Invalid, NotFound
from services.routing.store import NewChannel, Store
from tests.support.directory import connected, migrated_database, writing
from tests.support.nodes import Postgres


@pytest.fixture(scope="module")
def dsn(postgres: Postgres) -> Iterator[str]:
    with migrated_database(postgres) as dsn:
        yield dsn


@pytest.fixture
async def store(dsn: str) -> AsyncIterator[Store]:
    async with writing(dsn) as store:
        yield store


async def test_every_reference_to_a_row_of_an_account_names_the_account(dsn: str) -> None:
    async with connected(dsn) as conn:
        rows = await conn.fetch(
            """
            SELECT conrelid::regclass::text AS source, confrelid::regclass::text AS target,
                ARRAY(
                    SELECT attname::text FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY(conkey)
                ) AS columns
            FROM pg_constraint WHERE contype = 'f' AND connamespace = 'directory'::regnamespace
            """
        )
    free = {"directory.accounts", "directory.partners"}
    assert len(rows) > 30
    assert [dict(row) for row in rows if row["target"] not in free and "account_id" not in row["columns"]] == []


async def test_nothing_of_one_account_can_be_given_to_another(store: Store) -> None:
    mine, other = await store.create_account("Mine"), await store.create_account("Other")
    user = await store.create_user(other, "Other")
    location = await store.create_location(other, "Other", "UTC")
    group = await store.create_group(other, "Other", [user])
    department = await store.create_department(other, "Other")
    channel, _ = await store.create_channel(NewChannel(account_id=other, provider="supervoip", name="Other"))
    own_channel, _ = await store.create_channel(NewChannel(account_id=mine, provider="supervoip", name="Mine"))
    attempts = [
        store.create_user(mine, "x", location_ids=[location]),
        store.create_group(mine, "x", [user]),
        store.create_channel(NewChannel(account_id=mine, provider="generic", name="x", department_id=department)),
        store.create_channel(NewChannel(account_id=mine, provider="generic", name="x", location_id=location)),
        store.create_pbx_user(mine, own_channel, "101", user),
        store.create_pbx_user(mine, channel, "101", user),
        store.create_extension(mine, "0001*101", user_id=user),
        store.create_extension(mine, "0001*101", channel_id=channel),
        store.create_sip_account(mine, "x", channel_id=channel),
        store.create_sip_account(mine, "x", user_id=user),
        store.create_route(mine, "user", "101", user_ids=[user]),
        store.create_route(mine, "user", "101", group_ids=[group]),
        store.create_route(mine, "user", "101", location_ids=[location]),
        store.create_route(mine, "user", "101", channel_id=channel),
        store.create_token(mine, "x", user_id=user),
        store.create_oauth_client(mine, user, "x"),
    ]
    for attempt in attempts:
        with pytest.raises(Invalid, match="the account has no such"):
            await attempt


async def test_a_user_who_leaves_takes_what_is_his_and_leaves_the_rest(dsn: str, store: Store) -> None:
    account = await store.create_account("Mine")
    user = await store.create_user(account, "Anna")
    await store.create_extension(account, "0001*101", user_id=user)
    await store.create_route(account, "user", "101", user_ids=[user])
    await store.create_token(account, "hers", user_id=user)
    async with connected(dsn) as conn:
        await conn.execute("DELETE FROM directory.users WHERE user_id = $1", user)
        assert await conn.fetchval("SELECT user_id FROM directory.extensions WHERE account_id = $1", account) is None
        left = "SELECT (SELECT count(*) FROM directory.{} WHERE account_id = $1)"
        counts = [await conn.fetchval(left.format(table), account) for table in ("extensions", "routes", "tokens")]
        assert counts == [1, 1, 0]


async def test_every_table_raises_the_version(dsn: str) -> None:
    async with connected(dsn) as conn:
        silent = await conn.fetch(
            """
            SELECT tablename FROM pg_tables
            WHERE schemaname = 'directory' AND tablename NOT IN ('version', 'schema_version') AND NOT EXISTS (
                SELECT FROM pg_trigger
                WHERE tgname = 'changed' AND tgrelid = format('directory.%I', tablename)::regclass
            )
            """
        )
        assert silent == []
        before = await conn.fetchval("SELECT version FROM directory.version")
        await conn.execute("INSERT INTO directory.accounts (name) VALUES ('a')")
        assert await conn.fetchval("SELECT version FROM directory.version") == before + 1


async def test_a_channel_has_at_most_two_live_keys(dsn: str, store: Store) -> None:
    account = await store.create_account("Mine")
    channel, _ = await store.create_channel(NewChannel(account_id=account, provider="supervoip", name="x"))
    insert = (
        "INSERT INTO directory.channel_keys (account_id, channel_id, kind, key_hash, key_sealed, valid_until)"
        " VALUES ($1, $2, 'key', sha256($3), '', now())"
    )
    async with connected(dsn) as conn:
        await conn.execute(insert, account, channel, b"one")
        with pytest.raises(asyncpg.UniqueViolationError):
            await conn.execute(insert, account, channel, b"two")


async def test_what_the_directory_does_not_take_is_told(store: Store) -> None:
    account = await store.create_account("Mine")
    with pytest.raises(Invalid, match="time zone"):
        await store.create_location(account, "x", "Europe/Nowhere")
    with pytest.raises(Invalid, match="unknown provider"):
        await store.create_channel(NewChannel(account_id=account, provider="manual", name="x"))
    with pytest.raises(Invalid, match="country"):
        await store.create_channel(NewChannel(account_id=account, provider="generic", name="x", country="Poland"))
    with pytest.raises(Invalid, match="country"):
        await store.create_channel(NewChannel(account_id=account, provider="generic", name="x", country="ZZ"))
    with pytest.raises(NotFound):
        await store.revoke_token(99)
    with pytest.raises(NotFound):
        await store.set_channel_enabled(99, enabled=True)
    await store.create_extension(account, "0001*101")
    with pytest.raises(Invalid, match="already"):
        await store.create_extension(account, "0001*101")

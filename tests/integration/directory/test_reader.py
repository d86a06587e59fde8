"""The reader: current while the database can be reached, of use while it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.routing.store import NewChannel, Store
from shared.directory import Audience, DirectoryReader, DirectoryUnavailable, Part
from tests.support.directory import connected, migrate, reading, role_dsn, until, writing
from tests.support.nodes import Postgres
from tests.support.proxy import Proxy

INGEST = (Part.PEOPLE, Part.CHANNELS, Part.KEYS, Part.PARTNERS, Part.ROUTES)
NEVER = 3600.0


class Clock:
    """The time, moved by hand."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
async def dsn(database_dsn: str) -> str:
    await migrate(database_dsn)
    return database_dsn


@pytest.fixture
async def store(dsn: str) -> AsyncIterator[Store]:
    async with writing(dsn) as store:
        yield store


async def new_channel(store: Store, provider: str = "supervoip") -> tuple[int, str]:
    account_id = await store.create_account("Salon")
    return await store.create_channel(NewChannel(account_id=account_id, provider=provider, name="Warsaw"))


async def loaded(reader: DirectoryReader) -> None:
    async with asyncio.timeout(20):
        await reader.wait_loaded()
    await until(lambda: "away" not in reader.reason and "not read" not in reader.reason)


async def test_every_part_is_read_whole(dsn: str, store: Store) -> None:
    account_id = await store.create_account("Salon")
    location_id = await store.create_location(account_id, "Centre", "Europe/Warsaw", {"mon": [["09:00", "17:00"]]})
    department_id = await store.create_department(account_id, "Desk")
    user_id = await store.create_user(account_id, "Anna", role="admin", location_ids=[location_id])
    group_id = await store.create_group(account_id, "Front", [user_id])
    channel_id, key = await store.create_channel(
        NewChannel(
            account_id=account_id,
            provider="generic",
            name="Hook",
            department_id=department_id,
            location_id=location_id,
            mapping={"fields": {"event": "state", "call": "id"}},
        )
    )
    await store.create_pbx_user(account_id, channel_id, "101", user_id)
    extension_id = await store.create_extension(account_id, "0001*101", short="101", user_id=user_id)
    sip_id = await store.create_sip_account(account_id, "Phone", sip="101", channel_id=channel_id, password="secret")
    route_id = await store.create_route(account_id, "user", "101", group_ids=[group_id], location_ids=[location_id])
    partner_id = await store.create_partner("PBX", [account_id])
    partner_token = (await store.rotate_partner_token(partner_id)).secret
    token = (await store.create_token(account_id, "t", scopes=["calls"], user_id=user_id)).secret
    await store.create_oauth_client(account_id, user_id, "client")
    async with connected(dsn) as conn:
        await conn.execute("INSERT INTO directory.agent_states VALUES ($1, $2, true, true)", account_id, user_id)
        await conn.execute(
            "INSERT INTO directory.contacts (account_id, name, phones) VALUES ($1, 'Client', '{+48601234567}')",
            account_id,
        )
        await conn.execute("UPDATE directory.accounts SET fallback = true")
        await conn.execute("INSERT INTO directory.account_fallback_users VALUES ($1, $2)", account_id, user_id)
    async with reading(role_dsn(dsn, "routing")) as reader:
        await loaded(reader)
        snapshot = reader.snapshot
        assert snapshot.accounts[account_id].fallback == Audience(user_ids=(user_id,))
        assert snapshot.locations[location_id].hours == {"mon": [["09:00", "17:00"]]}
        assert snapshot.users[user_id].location_ids == (location_id,)
        assert snapshot.agent_states[user_id].do_not_disturb
        assert snapshot.groups[group_id].user_ids == (user_id,)
        assert snapshot.departments[department_id].name == "Desk"
        assert snapshot.channels[channel_id].mapping == {"fields": {"event": "state", "call": "id"}}
        assert snapshot.channels[channel_id].audience is None
        assert snapshot.pbx_users == {(channel_id, "101"): user_id}
        assert [row.id for row in snapshot.extensions_of[account_id]] == [extension_id]
        assert [row.id for row in snapshot.sip_accounts_of[account_id]] == [sip_id]
        assert [(row.id, row.group_ids) for row in snapshot.routes_of[account_id]] == [(route_id, (group_id,))]
        assert snapshot.oauth_clients["client"].user_id == user_id
        assert [row.name for row in snapshot.contacts_by_phone[account_id, "+48601234567"]] == ["Client"]
        found = reader.token(token)
        assert found is not None
        assert (found.account_id, found.user_id, found.scopes) == (account_id, user_id, ("calls",))
        channel, partner = await reader.channel_by_key(key), await reader.partner_by_token(partner_token)
        assert channel == snapshot.channels[channel_id]
        assert partner is not None
        assert partner.may_use(snapshot.channels[channel_id])


async def test_a_change_is_seen_at_once_by_notification(dsn: str, store: Store) -> None:
    async with reading(dsn, poll_seconds=NEVER) as reader:
        await loaded(reader)
        account_id = await store.create_account("New")
        await until(lambda: account_id in reader.snapshot.accounts)


async def test_a_change_whose_notification_was_lost_is_seen_by_polling(dsn: str, store: Store) -> None:
    async with connected(dsn) as conn:
        await conn.execute(
            "CREATE OR REPLACE FUNCTION directory.changed() RETURNS trigger LANGUAGE plpgsql AS $$"
            " BEGIN UPDATE directory.version SET version = version + 1; RETURN NULL; END $$"
        )
    async with reading(dsn, poll_seconds=0.1) as reader:
        await loaded(reader)
        account_id = await store.create_account("New")
        await until(lambda: account_id in reader.snapshot.accounts)


async def test_a_half_open_connection_is_noticed_and_replaced(dsn: str, store: Store) -> None:
    async with Proxy(dsn) as proxy, reading(proxy.url, poll_seconds=0.1, answer_timeout_seconds=0.5) as reader:
        await loaded(reader)
        proxy.swallow()
        account_id = await store.create_account("Meanwhile")
        await until(lambda: "away" in reader.reason)
        proxy.heal()
        await until(lambda: account_id in reader.snapshot.accounts)


async def test_a_cut_connection_is_replaced_and_what_changed_meanwhile_is_read(dsn: str, store: Store) -> None:
    async with Proxy(dsn) as proxy, reading(proxy.url, poll_seconds=NEVER) as reader:
        await loaded(reader)
        proxy.cut()
        account_id = await store.create_account("Meanwhile")
        await until(lambda: account_id in reader.snapshot.accounts)


async def test_a_new_key_is_found_by_a_direct_look_up_before_any_notification(dsn: str, store: Store) -> None:
    async with connected(dsn) as conn:
        await conn.execute(
            "CREATE OR REPLACE FUNCTION directory.changed() RETURNS trigger LANGUAGE plpgsql AS $$"
            " BEGIN UPDATE directory.version SET version = version + 1; RETURN NULL; END $$"
        )
    async with reading(dsn, poll_seconds=NEVER) as reader:
        await loaded(reader)
        channel_id, key = await new_channel(store)
        token = (await store.create_token(1, "t")).secret
        channels = await asyncio.gather(*(reader.channel_by_key(key) for _ in range(100)))
        assert {channel and channel.id for channel in channels} == {channel_id}
        assert await reader.find_token(token) is not None


async def test_an_unknown_key_is_no_and_no_is_remembered_for_five_seconds(dsn: str) -> None:
    clock = Clock()
    async with Proxy(dsn) as proxy, reading(proxy.url, poll_seconds=NEVER, clock=clock) as reader:
        await loaded(reader)
        assert await reader.channel_by_key("unknown") is None
        asked = proxy.received
        clock.pass_seconds(4.9)
        assert [await reader.channel_by_key("unknown") for _ in range(10)] == [None] * 10
        assert proxy.received == asked
        clock.pass_seconds(0.2)
        assert await reader.channel_by_key("unknown") is None
        assert proxy.received > asked


async def test_a_flood_of_unknown_keys_costs_few_questions(dsn: str) -> None:
    async with Proxy(dsn) as proxy, reading(proxy.url, poll_seconds=NEVER) as reader:
        await loaded(reader)
        before = proxy.received
        await reader.channel_by_key("first")
        one = proxy.received - before
        answers = await asyncio.gather(*(reader.channel_by_key(f"unknown {n}") for n in range(2000)))
        assert answers == [None] * 2000
        assert proxy.received - before <= 5 * one


async def test_a_key_created_while_no_is_remembered_works_with_its_notification(dsn: str, store: Store) -> None:
    async with reading(dsn) as reader:
        await loaded(reader)
        channel_id, key = await new_channel(store)
        async with connected(dsn) as conn:
            kept = await conn.fetchrow("DELETE FROM directory.channel_keys RETURNING *")
            assert kept is not None
            await until(lambda: not reader.snapshot.channel_keys)
            assert await reader.channel_by_key(key) is None
            columns = ", ".join(kept.keys())
            values = ", ".join(f"${n}" for n in range(1, len(kept) + 1))
            await conn.execute(f"INSERT INTO directory.channel_keys ({columns}) VALUES ({values})", *kept.values())
        await until(lambda: bool(reader.snapshot.channel_keys))
        channel = await reader.channel_by_key(key)
        assert channel is not None
        assert channel.id == channel_id


async def test_without_the_database_keys_are_honoured_unknown_ones_unsettled_and_old_tokens_refused(
    own_postgres: Postgres,
) -> None:
    clock = Clock()
    dsn = own_postgres.dsn()
    await migrate(dsn)
    async with writing(dsn) as store:
        channel_id, key = await new_channel(store, "partner")
        token = (await store.create_token(1, "t")).secret
        partner_token = (await store.rotate_partner_token(await store.create_partner("PBX", [1]))).secret
    async with reading(dsn, poll_seconds=0.1, clock=clock) as reader:
        await loaded(reader)
        own_postgres.kill()
        await until(lambda: "away" in reader.reason)
        assert reader.ready

        async def check_keys() -> None:
            channel, partner = (
                await reader.channel_by_key(key, "crm_token"),
                await reader.partner_by_token(partner_token),
            )
            assert channel is not None
            assert partner is not None
            assert channel.id == channel_id
            with pytest.raises(DirectoryUnavailable):
                await reader.channel_by_key("unknown")

        await check_keys()
        clock.pass_seconds(599)
        assert reader.token(token) is not None
        with pytest.raises(DirectoryUnavailable):
            await reader.find_token("unknown")
        clock.pass_seconds(2)
        await check_keys()
        assert not reader.ready
        assert "601 s old; database away" in reader.reason
        for known_or_not in (token, "unknown"):
            with pytest.raises(DirectoryUnavailable):
                reader.token(known_or_not)
            with pytest.raises(DirectoryUnavailable):
                await reader.find_token(known_or_not)

        await asyncio.to_thread(own_postgres.start)
        await until(lambda: reader.ready)
        assert reader.token(token) is not None
        assert await reader.channel_by_key("unknown") is None


async def test_clock_that_goes_back_does_not_make_an_old_snapshot_young(dsn: str) -> None:
    clock = Clock()
    async with Proxy(dsn) as proxy, reading(proxy.url, clock=clock, stale_after_seconds=1.0) as reader:
        await loaded(reader)
        proxy.swallow()
        proxy.cut()
        clock.pass_seconds(-3600)
        await until(lambda: not reader.ready)
        with pytest.raises(DirectoryUnavailable):
            reader.token("any")


async def test_ingest_starts_from_its_cache_while_the_database_is_away(dsn: str, store: Store, tmp_path: Path) -> None:
    cache = tmp_path / "directory"
    channel_id, key = await new_channel(store)
    async with reading(dsn, INGEST, cache_file=cache) as reader:
        await loaded(reader)
        await until(cache.exists)
    written = cache.read_bytes()
    assert key.encode() not in written
    assert b"sealed" not in written
    away = "postgres://nobody@127.0.0.1:1/none"
    async with reading(away, INGEST, cache_file=cache) as reader:
        await reader.wait_loaded()
        channel = await reader.channel_by_key(key)
        assert channel is not None
        assert channel.id == channel_id
        with pytest.raises(DirectoryUnavailable):
            await reader.channel_by_key("unknown")

    cache.write_bytes(written[: len(written) // 2])
    async with reading(away, INGEST, cache_file=cache) as reader:
        await until(lambda: "away" in reader.reason)
        assert not reader.ready
        with pytest.raises(DirectoryUnavailable):
            await reader.channel_by_key(key)
    async with reading(dsn, INGEST, cache_file=cache) as reader:
        await loaded(reader)
        assert await reader.channel_by_key(key) is not None


async def test_revoked_and_expired_tokens_are_nothing(dsn: str, store: Store) -> None:
    clock = Clock()
    account_id = await store.create_account("Salon")
    revoked = await store.create_token(account_id, "revoked")
    expiring = await store.create_token(account_id, "expiring", expires_at=clock.now + timedelta(seconds=60))
    async with reading(dsn, clock=clock) as reader:
        await loaded(reader)
        assert reader.token(revoked.secret) is not None
        assert reader.token(expiring.secret) is not None
        await store.revoke_token(revoked.id)
        await until(lambda: reader.token(revoked.secret) is None)
        clock.pass_seconds(61)
        assert reader.token(expiring.secret) is None


async def test_both_keys_work_while_they_are_rotated_and_never_three(dsn: str, store: Store) -> None:
    clock = Clock()
    channel_id, first = await new_channel(store)
    second = await store.rotate_channel_key(channel_id, timedelta(hours=1))
    async with reading(dsn, clock=clock) as reader:
        await loaded(reader)

        async def work(*keys: str) -> list[bool]:
            return [await reader.channel_by_key(key) is not None for key in keys]

        assert await work(first, second) == [True, True]
        third = await store.rotate_channel_key(channel_id, timedelta(hours=1))
        assert await work(third, second, first) == [True, True, False]
        clock.pass_seconds(3700)
        assert await work(third, second) == [True, False]
        assert [key.key for key in await store.channel_keys(channel_id)] == [third, second]


async def test_contacts_are_read_again_only_when_they_changed(dsn: str, store: Store) -> None:
    account_id = await store.create_account("Salon")
    insert = "INSERT INTO directory.contacts (account_id, name, phones) VALUES ($1, $2, '{}')"
    async with connected(dsn) as conn, reading(dsn) as reader:
        await conn.execute(insert, account_id, "One")
        await until(lambda: reader.ready and len(reader.snapshot.rows.contacts) == 1)
        before = reader.snapshot.rows
        await store.create_account("Another")
        await until(lambda: reader.snapshot.version > before.version)
        assert reader.snapshot.rows.contacts is before.contacts
        await conn.execute(insert, account_id, "Two")
        await until(lambda: len(reader.snapshot.rows.contacts) == 2)


async def test_a_refresh_sees_what_was_written_before_it_and_says_so_where_it_can_not(dsn: str, store: Store) -> None:
    account_id = await store.create_account("Salon")
    async with Proxy(dsn) as network, reading(network.url, INGEST, poll_seconds=NEVER) as reader:
        await loaded(reader)
        for name in ("Anna", "Maria"):
            user_id = await store.create_user(account_id, name)

            assert user_id in (await reader.refresh()).users

        network.swallow()
        with pytest.raises(DirectoryUnavailable):
            await reader.refresh()

"""The boundary between the services is held by PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from shared.db.grants import SECRET_READERS
from tests.support.directory import connected, migrate, migrated_database, role_dsn, writing
from tests.support.nodes import Postgres

SERVICES = ("routing", "ingest", "history")
DENIED = asyncpg.InsufficientPrivilegeError


@pytest.fixture(scope="module")
def dsn(postgres: Postgres) -> Iterator[str]:
    with migrated_database(postgres, SERVICES) as dsn:
        for schema in ("ingest", "history"):  # stands for tables that later migrations bring
            table = f"CREATE TABLE {schema}.later (x integer GENERATED ALWAYS AS IDENTITY, y text)"
            postgres.execute(table, urlsplit(dsn).path[1:])
        yield dsn


@pytest.mark.parametrize(("service", "other"), [("ingest", "history"), ("history", "ingest"), ("routing", "history")])
async def test_a_service_can_neither_read_nor_write_anothers_schema(dsn: str, service: str, other: str) -> None:
    async with connected(role_dsn(dsn, service)) as conn:
        for statement in (
            f"SELECT * FROM {other}.later",
            f"INSERT INTO {other}.later (y) VALUES ('x')",
            f"SELECT * FROM {other}.schema_version",
            f"CREATE TABLE {other}.mine (x int)",
        ):
            with pytest.raises(DENIED):
                await conn.execute(statement)


@pytest.mark.parametrize("service", ["ingest", "history"])
async def test_a_service_works_in_its_own_schema_and_leaves_its_shape_alone(dsn: str, service: str) -> None:
    async with connected(role_dsn(dsn, service)) as conn:
        await conn.execute(f"INSERT INTO {service}.later (y) VALUES ('a')")
        await conn.execute(f"UPDATE {service}.later SET y = 'b'")
        assert await conn.fetchval(f"SELECT y FROM {service}.later") == "b"
        await conn.execute(f"DELETE FROM {service}.later")
        for statement in (
            f"CREATE TABLE {service}.mine (x int)",
            f"DROP TABLE {service}.later",
            f"DELETE FROM {service}.schema_version",
            f"UPDATE {service}.schema_version SET checksum = ''",
        ):
            with pytest.raises(DENIED):
                await conn.execute(statement)


@pytest.mark.parametrize("service", ["ingest", "history"])
async def test_a_service_reads_the_directory_and_cannot_write_it(dsn: str, service: str) -> None:
    async with connected(role_dsn(dsn, service)) as conn:
        await conn.fetch("SELECT * FROM directory.accounts")
        for statement in (
            "INSERT INTO directory.accounts (name) VALUES ('x')",
            "UPDATE directory.version SET version = 0",
            "DELETE FROM directory.tokens",
        ):
            with pytest.raises(DENIED):
                await conn.execute(statement)


@pytest.mark.parametrize("service", ["ingest", "history"])
async def test_secrets_and_hashes_are_read_only_by_whom_they_are_needed(dsn: str, service: str) -> None:
    allowed = set()
    async with connected(role_dsn(dsn, service)) as conn:
        for table, column in SECRET_READERS:
            try:
                await conn.fetch(f"SELECT {column} FROM directory.{table}")
            except DENIED:
                continue
            allowed.add((table, column))
    assert allowed == {column for column, readers in SECRET_READERS.items() if service in readers}
    assert not any(column.endswith("_sealed") for _, column in allowed)


async def test_every_secret_column_of_the_directory_has_its_readers_named(dsn: str) -> None:
    async with connected(dsn) as conn:
        rows = await conn.fetch(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'directory' "
            "AND (column_name LIKE '%\\_hash' OR column_name LIKE '%\\_sealed')"
        )
    assert {(row[0], row[1]) for row in rows} == set(SECRET_READERS)


async def test_routing_writes_the_directory_by_its_own_role(dsn: str) -> None:
    async with writing(role_dsn(dsn, "routing")) as store:
        assert await store.create_account("a") > 0


async def test_a_column_and_a_cross_grant_that_come_later_are_covered_by_the_next_run(database_dsn: str) -> None:
    dsn = database_dsn
    await migrate(dsn, SERVICES)
    async with connected(dsn) as conn:
        await conn.execute("ALTER TABLE directory.accounts ADD COLUMN pin_hash bytea, ADD COLUMN colour text")
        # As if a later migration had made it.
        await conn.execute("DROP TABLE ingest.integrations; CREATE TABLE ingest.integrations (channel_id bigint)")
    await migrate(dsn, SERVICES)
    async with connected(role_dsn(dsn, "history")) as conn:
        await conn.fetch("SELECT account_id, colour FROM directory.accounts")
        with pytest.raises(DENIED):
            await conn.fetch("SELECT pin_hash FROM directory.accounts")
    async with connected(role_dsn(dsn, "routing")) as conn:
        await conn.fetch("SELECT * FROM ingest.integrations")
        with pytest.raises(DENIED):
            await conn.execute("DELETE FROM ingest.integrations")


async def test_the_dialer_leaves_identities_with_ingest_and_can_not_read_them(database_dsn: str) -> None:
    await migrate(database_dsn, [*SERVICES, "dialer"])
    async with connected(role_dsn(database_dsn, "dialer")) as conn:
        await conn.execute(
            "INSERT INTO ingest.identities (uid, account_id, channel_id, direction, phone, opened_at, opened_by)"
            " VALUES (gen_random_uuid(), 1, 1, 'outgoing', '+48220000101', now(), 'dialer')"
        )
        for statement in ("SELECT * FROM ingest.identities", "DELETE FROM ingest.identities"):
            with pytest.raises(DENIED):
                await conn.execute(statement)

"""Migrations: once each, whoever starts them and however often; a schema that is not known is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from shared.db.errors import UnknownSchema
from shared.db.migrations import Applied, check, migrate
from tests.support.directory import connected


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Services of our own: routing and desk with a migration each, and one without tables."""
    write(tmp_path, "routing", "0001_directory", "CREATE TABLE directory.version (x int);")
    write(tmp_path, "desk", "0001_first", "CREATE TABLE desk.first (x int); INSERT INTO desk.first VALUES (1);")
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "__init__.py").touch()
    return tmp_path


def write(root: Path, service: str, name: str, sql: str) -> None:
    folder = root / service / "sql" / "migrations"
    folder.mkdir(parents=True, exist_ok=True)
    (root / service / "__init__.py").touch()
    (folder / f"{name}.sql").write_text(sql)


def names(applied: list[Applied]) -> list[tuple[str, str]]:
    return [(done.service, done.migration.name) for done in applied]


async def refused(dsn: str, root: Path, service: str = "desk") -> str:
    async with connected(dsn) as conn:
        with pytest.raises(UnknownSchema) as error:
            await check(conn, service, root=root)
    return str(error.value)


async def test_twice_is_once(database_dsn: str, root: Path) -> None:
    assert names(await migrate(database_dsn, root=root)) == [("routing", "directory"), ("desk", "first")]
    assert await migrate(database_dsn, root=root) == []
    async with connected(database_dsn) as conn:
        await check(conn, "desk", root=root)
        await check(conn, "plain", root=root)
        assert await conn.fetchval("SELECT count(*) FROM desk.first") == 1


async def test_several_at_once_apply_each_migration_once(database_dsn: str, root: Path) -> None:
    runs = await asyncio.gather(*(migrate(database_dsn, root=root, passwords={"desk": "x"}) for _ in range(4)))
    assert sorted(len(run) for run in runs) == [0, 0, 0, 2]


async def test_a_later_migration_is_applied_alone(database_dsn: str, root: Path) -> None:
    await migrate(database_dsn, root=root)
    write(root, "desk", "0002_second", "ALTER TABLE desk.first ADD y int;")
    assert "is at 1, this code needs 2" in await refused(database_dsn, root)
    assert names(await migrate(database_dsn, root=root)) == [("desk", "second")]


async def test_one_that_fails_leaves_nothing_and_the_next_run_goes_on(database_dsn: str, root: Path) -> None:
    write(root, "desk", "0002_second", "CREATE TABLE desk.second (x int); SELECT 1/0;")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(database_dsn, root=root)
    write(root, "desk", "0002_second", "CREATE TABLE desk.second (x int);")
    assert names(await migrate(database_dsn, root=root)) == [("desk", "second")]


async def test_a_missing_schema_is_refused(database_dsn: str, root: Path) -> None:
    assert "directory is missing: run 'callbus migrate'" in await refused(database_dsn, root)


async def test_a_migration_changed_after_it_was_applied_is_refused(database_dsn: str, root: Path) -> None:
    await migrate(database_dsn, root=root)
    write(root, "desk", "0001_first", "CREATE TABLE desk.first (x bigint);")
    assert "never changed" in await refused(database_dsn, root)
    with pytest.raises(UnknownSchema):
        await migrate(database_dsn, root=root)


async def test_a_schema_newer_than_the_code_is_refused(database_dsn: str, root: Path) -> None:
    write(root, "desk", "0002_second", "CREATE TABLE desk.second (x int);")
    await migrate(database_dsn, root=root)
    (root / "desk" / "sql" / "migrations" / "0002_second.sql").unlink()
    assert "newer than this code" in await refused(database_dsn, root)
    with pytest.raises(UnknownSchema):
        await migrate(database_dsn, root=root)


async def test_a_service_refuses_a_directory_that_it_does_not_know(database_dsn: str, root: Path) -> None:
    await migrate(database_dsn, root=root)
    write(root, "routing", "0002_more", "SELECT 1;")
    assert "schema directory is at 1" in await refused(database_dsn, root)
    assert "schema directory is at 1" in await refused(database_dsn, root, "plain")


async def test_an_administrator_who_is_no_superuser_will_do(database_dsn: str) -> None:
    parts = urlsplit(database_dsn)
    admin, database = f"{parts.path[1:]}_admin", parts.path[1:]
    async with connected(database_dsn) as conn:
        await conn.execute(f"CREATE ROLE {admin} LOGIN CREATEROLE PASSWORD 'x'")
        await conn.execute(f"GRANT CREATE ON DATABASE {database} TO {admin}")
    dsn = urlunsplit(parts._replace(netloc=f"{admin}:x@{parts.netloc.rpartition('@')[2]}"))
    assert names(await migrate(dsn, ["routing"], {"routing": "secret"})) == [("routing", "directory")]
    assert await migrate(dsn, ["routing"], {"routing": "changed"}) == []
    routing = urlunsplit(parts._replace(netloc=f"{database}_routing:changed@{parts.netloc.rpartition('@')[2]}"))
    async with connected(routing) as conn:
        await check(conn, "routing")

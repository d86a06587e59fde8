"""Plain numbered SQL files per service, applied once each, in order.

`services/<name>/sql/migrations/NNNN_what.sql` change the schema that the service owns. Everything runs under one
advisory lock, each file in a transaction of its own together with its row in `<schema>.schema_version`, so that any
number of processes may start `migrate` at once and an aborted run is simply run again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import asyncpg
import structlog

from shared.db import grants
from shared.db.errors import MigrationError, UnknownSchema
from shared.db.grants import quote, schema_of

SERVICES_DIR: Final = Path(__file__).resolve().parents[2] / "services"
_LOCK_KEY = int.from_bytes(hashlib.sha256(b"callbus migrations").digest()[:8], signed=True)
_LOCK_WAIT_SECONDS = 120.0
_FILE = re.compile(r"(\d{4})_(\w+)\.sql")

if TYPE_CHECKING:
    Queryable = asyncpg.Connection[asyncpg.Record] | asyncpg.Pool[asyncpg.Record]

log = structlog.get_logger(__name__)


class Migration(NamedTuple):
    """One file, or the row about it in the database (then without SQL)."""

    version: int
    name: str
    checksum: str
    sql: str = ""


class Applied(NamedTuple):
    """What one run of `migrate` did."""

    service: str
    migration: Migration


def all_services(root: Path = SERVICES_DIR) -> list[str]:
    """Names of the services in the tree, routing first: the others read its schema."""
    names = sorted(path.parent.name for path in root.glob("*/__init__.py"))
    return sorted(names, key=lambda name: name != "routing")


def load(service: str, root: Path = SERVICES_DIR) -> list[Migration]:
    """Migrations of `service` by version; empty when it owns no tables. Raises `MigrationError` on a gap."""
    files = sorted((root / service / "sql" / "migrations").glob("*.sql"))
    migrations = []
    for number, path in enumerate(files, start=1):
        match = _FILE.fullmatch(path.name)
        if match is None or int(match[1]) != number:
            raise MigrationError(f"{service}: {path.name} is not migration {number:04d}_<name>.sql")
        text = path.read_text(encoding="utf-8")
        migrations.append(Migration(number, match[2], hashlib.sha256(text.encode()).hexdigest(), text))
    return migrations


async def migrate(
    dsn: str,
    services: Iterable[str] | None = None,
    passwords: Mapping[str, str] | None = None,
    *,
    root: Path = SERVICES_DIR,
) -> list[Applied]:
    """Bring roles, schemas and grants of `services` (default: all) up to date; returns what was applied now.

    `dsn` is an administrator's: superuser, or a role with CREATEROLE that may create schemas in the database; it owns
    them. `passwords` are by service; a service without one gets a role without a password. Raises `MigrationError`,
    and `UnknownSchema` when the database is newer than this code.
    """
    names = all_services(root) if services is None else list(services)
    conn = await asyncpg.connect(dsn, timeout=10, server_settings={"application_name": "callbus migrate"})
    try:
        await _lock(conn)
        database = await conn.fetchval("SELECT current_database()")
        for service in names:
            await grants.ensure_role(conn, grants.role_of(database, service), (passwords or {}).get(service))
        applied = []
        for service in names:
            applied += [Applied(service, done) for done in await _migrate_service(conn, service, load(service, root))]
        await grants.apply(conn, names)
        return applied
    finally:
        await conn.close(timeout=5)


async def check(conn: Queryable, service: str, *, root: Path = SERVICES_DIR) -> None:
    """Raise `UnknownSchema` unless the schema of `service` and the directory, which it reads, are the known ones."""
    for name in dict.fromkeys(("routing", service)):
        known = load(name, root)
        if known:
            await _check_one(conn, schema_of(name), known)


async def _check_one(conn: Queryable, schema: str, known: Sequence[Migration]) -> None:
    if not await conn.fetchval("SELECT to_regclass($1) IS NOT NULL", f"{schema}.schema_version"):
        raise UnknownSchema(f"schema {schema} is missing: run 'callbus migrate'")
    found = await _applied(conn, schema)
    _compare(schema, known, found)
    if len(found) < len(known):
        raise UnknownSchema(f"schema {schema} is at {len(found)}, this code needs {len(known)}: run 'callbus migrate'")


def _compare(schema: str, known: Sequence[Migration], found: Sequence[Migration]) -> None:
    """Raise unless `found` is a beginning of `known`, or all of it."""
    for ours, theirs in zip(known, found, strict=False):
        if (ours.version, ours.checksum) != (theirs.version, theirs.checksum):
            raise UnknownSchema(
                f"schema {schema}: migration {theirs.version:04d}_{theirs.name} was applied from another file "
                f"than this code's {ours.version:04d}_{ours.name}; a merged migration is never changed"
            )
    if len(found) > len(known):
        raise UnknownSchema(f"schema {schema} is at {len(found)}, newer than this code, which knows {len(known)}")


async def _lock(conn: asyncpg.Connection[asyncpg.Record]) -> None:
    await conn.execute(f"SET lock_timeout = '{round(_LOCK_WAIT_SECONDS)}s'")
    try:
        await conn.execute("SELECT pg_advisory_lock($1)", _LOCK_KEY)
    except asyncpg.LockNotAvailableError:
        raise MigrationError(f"another migration has been running for {_LOCK_WAIT_SECONDS:.0f} s") from None


async def _migrate_service(
    conn: asyncpg.Connection[asyncpg.Record], service: str, known: Sequence[Migration]
) -> Sequence[Migration]:
    if not known:
        return []
    schema = schema_of(service)
    await _create_schema(conn, schema)
    found = await _applied(conn, schema)
    _compare(schema, known, found)
    for migration in known[len(found) :]:
        await _apply(conn, schema, migration)
        log.info("migration_applied", schema=schema, version=migration.version, name=migration.name)
    return known[len(found) :]


async def _create_schema(conn: asyncpg.Connection[asyncpg.Record], schema: str) -> None:
    if await conn.fetchval("SELECT to_regclass($1) IS NOT NULL", f"{schema}.schema_version"):
        return
    async with conn.transaction():
        await conn.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}")
        await conn.execute(
            f"""
            CREATE TABLE {quote(schema)}.schema_version (
                version integer PRIMARY KEY CHECK (version > 0),
                name text NOT NULL,
                checksum text NOT NULL,
                applied_at timestamptz NOT NULL DEFAULT now()
            );
            COMMENT ON TABLE {quote(schema)}.schema_version IS
                'Migrations applied to this schema; checksum is the SHA-256 of the file.';
            """
        )


async def _applied(conn: Queryable, schema: str) -> list[Migration]:
    rows = await conn.fetch(f"SELECT version, name, checksum FROM {quote(schema)}.schema_version ORDER BY version")  # noqa: S608 - our own schema's name, quoted
    return [Migration(row["version"], row["name"], row["checksum"]) for row in rows]


async def _apply(conn: asyncpg.Connection[asyncpg.Record], schema: str, migration: Migration) -> None:
    async with conn.transaction():
        await conn.execute("SET LOCAL lock_timeout = '4s'")  # never queue the services' traffic behind us for longer
        await conn.execute(migration.sql)
        await conn.execute(
            f"INSERT INTO {quote(schema)}.schema_version (version, name, checksum) VALUES ($1, $2, $3)",  # noqa: S608 - our own schema's name, quoted
            migration.version,
            migration.name,
            migration.checksum,
        )

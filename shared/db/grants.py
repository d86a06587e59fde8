"""What each service's role may touch: its own schema, and reading the directory.

Grants are computed anew after every migration, in one transaction, so that a table or column added later is covered.
Columns of the directory that end in `_hash` or `_sealed` are withheld from everyone but those named here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import asyncpg

from shared.db.errors import MigrationError

DIRECTORY: Final = "directory"
_ITERATIONS = 4096  # what PostgreSQL itself uses for SCRAM; passwords of services are random and long

SECRET_READERS: Final[Mapping[tuple[str, str], frozenset[str]]] = {
    # history serves /hooks/requests/<id>, which takes the channel's key; showing a key again is routing's alone
    ("channel_keys", "key_hash"): frozenset({"ingest", "history"}),
    ("channel_keys", "key_sealed"): frozenset(),
    # the dialer places calls through a channel and names a SIP account there
    ("channels", "credentials_sealed"): frozenset({"dialer"}),
    ("sip_accounts", "password_sealed"): frozenset({"dialer"}),
    ("partner_tokens", "token_hash"): frozenset({"ingest", "history"}),
    # ingest knows channels' keys only
    ("tokens", "token_hash"): frozenset({"history", "notifier", "webhooks", "dialer"}),
    ("oauth_clients", "secret_hash"): frozenset({"webhooks"}),
}
"""(table, column) of the directory: the services that may read it, beside routing, which owns it."""


class Grant(NamedTuple):
    """A right on one table of another service's schema, given as soon as that table exists."""

    service: str
    privilege: str
    schema: str
    table: str


CROSS_GRANTS: Final = (
    Grant("routing", "SELECT", "ingest", "integrations"),
    Grant("dialer", "INSERT", "ingest", "identities"),
)


def schema_of(service: str) -> str:
    """The schema that `service` owns; routing's is called for what is in it."""
    return DIRECTORY if service == "routing" else service


def role_of(database: str, service: str) -> str:
    """The name of a service's role. Raises `MigrationError` when PostgreSQL would cut it."""
    role = f"{database}_{service}"
    if len(role.encode()) > 63:
        raise MigrationError(f"the role name {role} is too long for PostgreSQL: use a shorter database name")
    return role


async def ensure_role(conn: asyncpg.Connection[asyncpg.Record], role: str, password: str | None) -> None:
    """Create `role` where it is missing and give it `password` (None: it keeps the one it has, or none)."""
    quoted = quote(role)
    if not await conn.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role):
        await conn.execute(f"CREATE ROLE {quoted} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE")
    if password is not None:
        # The verifier rather than the password: the statement may end up in the server's log.
        await conn.execute(f"ALTER ROLE {quoted} LOGIN PASSWORD '{scram_verifier(password, os.urandom(16))}'")
    database = await conn.fetchval("SELECT current_database()")
    if not await conn.fetchval("SELECT has_database_privilege($1, $2, 'CONNECT')", role, database):
        await conn.execute(f"GRANT CONNECT ON DATABASE {quote(database)} TO {quoted}")


async def apply(conn: asyncpg.Connection[asyncpg.Record], services: Sequence[str]) -> None:
    """Give every role of `services` exactly its rights on all schemas that exist. One transaction."""
    database = await conn.fetchval("SELECT current_database()")
    async with conn.transaction():
        for service in services:
            role = quote(role_of(database, service))
            if await _exists(conn, "to_regnamespace($1)", schema_of(service)):
                await _own(conn, role, schema_of(service))
            if service != "routing" and await _exists(conn, "to_regnamespace($1)", DIRECTORY):
                await _read_directory(conn, role, service)
        for grant in CROSS_GRANTS:
            if grant.service in services and await _exists(conn, "to_regclass($1)", f"{grant.schema}.{grant.table}"):
                role = quote(role_of(database, grant.service))
                await conn.execute(f"GRANT USAGE ON SCHEMA {quote(grant.schema)} TO {role}")
                await conn.execute(f"GRANT {grant.privilege} ON {quote(grant.schema)}.{quote(grant.table)} TO {role}")


async def _own(conn: asyncpg.Connection[asyncpg.Record], role: str, schema: str) -> None:
    name = quote(schema)
    for statement in (
        f"GRANT USAGE ON SCHEMA {name} TO {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {name} TO {role}",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {name} TO {role}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {name} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {name} GRANT USAGE, SELECT ON SEQUENCES TO {role}",
        f"REVOKE INSERT, UPDATE, DELETE ON {name}.schema_version FROM {role}",
    ):
        await conn.execute(statement)


async def _read_directory(conn: asyncpg.Connection[asyncpg.Record], role: str, service: str) -> None:
    await conn.execute(f"GRANT USAGE ON SCHEMA {DIRECTORY} TO {role}")
    # A table may have got a secret column since: what was granted on the whole table is taken back first.
    await conn.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA {DIRECTORY} FROM {role}")
    rows = await conn.fetch(
        """
        SELECT c.relname AS table, array_agg(a.attname::text ORDER BY a.attnum) AS columns
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'directory'::regnamespace AND c.relkind IN ('r', 'p', 'v')
          AND a.attnum > 0 AND NOT a.attisdropped
        GROUP BY c.relname ORDER BY c.relname
        """
    )
    for row in rows:
        allowed = [column for column in row["columns"] if _may_read(service, row["table"], column)]
        columns = ""
        if len(allowed) < len(row["columns"]):
            columns = f" ({', '.join(map(quote, allowed))})"
        await conn.execute(f"GRANT SELECT{columns} ON {DIRECTORY}.{quote(row['table'])} TO {role}")


def _may_read(service: str, table: str, column: str) -> bool:
    if not column.endswith(("_hash", "_sealed")):
        return True
    return service in SECRET_READERS.get((table, column), frozenset())


async def _exists(conn: asyncpg.Connection[asyncpg.Record], lookup: str, name: str) -> bool:
    return await conn.fetchval(f"SELECT {lookup} IS NOT NULL", name) is True


def quote(name: str) -> str:
    """`name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def scram_verifier(password: str, salt: bytes) -> str:
    """What PostgreSQL stores for `password` (RFC 5803). Raises `MigrationError` unless ASCII (no SASLprep)."""
    if not password or not password.isascii() or not password.isprintable():
        raise MigrationError("a role's password has to be printable ASCII and not empty")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    parts = [base64.b64encode(part).decode() for part in (salt, stored_key, server_key)]
    return f"SCRAM-SHA-256${_ITERATIONS}:{parts[0]}${parts[1]}:{parts[2]}"

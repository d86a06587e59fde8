"""One whole read of the directory."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import asyncpg

from shared.db.queries import Queries
from shared.directory.parts import TABLES, Part
from shared.directory.snapshot import Rows, Snapshot, parse_rows

_QUERIES: Final = Queries.load(Path(__file__).with_name("queries.sql"))


class Loaded(NamedTuple):
    """A snapshot, and the JSON document that it was made of (without contacts where they were kept from before)."""

    document: bytes
    snapshot: Snapshot


async def read_version(conn: asyncpg.Connection[asyncpg.Record]) -> int:
    """The directory's version now."""
    version = await conn.fetchval(_QUERIES.version)
    return int(version)


async def load(conn: asyncpg.Connection[asyncpg.Record], parts: Collection[Part], previous: Snapshot | None) -> Loaded:
    """Read `parts` as one consistent version; contacts, which are many, are kept from `previous` while unchanged."""
    # No context manager: on failure it would wait for a rollback, on a connection that may be half-open. Callers throw
    # the connection away instead.
    transaction = conn.transaction(isolation="repeatable_read", readonly=True)
    await transaction.start()
    versions = await conn.fetchrow(_QUERIES.version)
    if versions is None:
        raise asyncpg.NoDataFoundError("the directory has no version")
    kept = _kept_contacts(previous, versions["contacts_version"])
    members = [f'"{name}":{value}' for name, value in versions.items()]
    for part in parts:
        if part is Part.CONTACTS and kept is not None:
            continue
        for table in TABLES[part]:
            rows = await conn.fetch(_QUERIES[table])
            members.append(f'"{table}":[{",".join(row[0] for row in rows)}]')
    await transaction.commit()
    document = ("{" + ",".join(members) + "}").encode()
    return Loaded(document, await asyncio.to_thread(_parse, document, kept))


def _kept_contacts(previous: Snapshot | None, contacts_version: int) -> Rows | None:
    if previous is None or previous.rows.contacts_version != contacts_version:
        return None
    return previous.rows


def _parse(document: bytes, kept: Rows | None) -> Snapshot:
    rows = parse_rows(document)
    return Snapshot.of(rows if kept is None else replace(rows, contacts=kept.contacts))

"""The pool and the suspects' notes."""

from __future__ import annotations

import asyncpg
import pytest

from shared.db import PostgresSuspects, create_pool


async def test_connections_are_named_and_the_server_ends_what_takes_too_long(database_dsn: str) -> None:
    async with await create_pool(database_dsn, application_name="history", command_timeout_seconds=0.3) as pool:
        assert await pool.fetchval("SELECT current_setting('application_name')") == "history"
        async with pool.acquire() as conn:
            # Our own time-out lifted, the server's is left.
            with pytest.raises(asyncpg.QueryCanceledError):
                await conn.execute("SELECT pg_sleep(60)", timeout=60)


async def test_a_service_starts_while_its_database_is_away() -> None:
    pool = await create_pool("postgres://nobody@127.0.0.1:1/none", application_name="x")
    with pytest.raises(OSError):
        await pool.fetchval("SELECT 1")
    await pool.close()


async def test_notes_of_a_suspect_are_counted_until_it_is_cleared(database_dsn: str) -> None:
    async with await create_pool(database_dsn, application_name="x") as pool:
        await pool.execute(
            "CREATE SCHEMA desk; CREATE TABLE desk.suspects"
            " (message_id text PRIMARY KEY, notes integer NOT NULL, noted_at timestamptz NOT NULL DEFAULT now())"
        )
        suspects = PostgresSuspects(pool, "desk")
        assert [await suspects.note("a"), await suspects.note("a"), await suspects.note("b")] == [1, 2, 1]
        await suspects.clear("a")
        assert await suspects.note("a") == 1

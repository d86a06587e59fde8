"""Many requests for one thing, or on one channel, keep nothing from the others: both APIs share their connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg
import pytest

from services.ingest.transactions import Transactions
from shared.db import DatabaseUnavailable, opened_pool
from shared.events import Authority, CallRinging
from tests.integration.ingest.channel_key_support import Answer, Desk, World, count
from tests.integration.ingest.partner.support import ACCEPTED, Partner
from tests.integration.ingest.support import eventually, take
from tests.support.directory import connected

CROWD = 60


@asynccontextmanager
async def crowd(desk: Desk, database_dsn: str, calls: Sequence[str]) -> AsyncIterator[list[asyncio.Task[Answer]]]:
    """Yield a crowd of requests about `calls`, while somebody else holds the rows of these."""
    for name in set(calls):
        assert (await desk.create(pbx_call_id=name)).status == 200

    async def is_waited_for() -> bool:
        return await count(database_dsn, "pg_locks WHERE NOT granted") > 0

    async with connected(database_dsn) as connection, connection.transaction():
        await connection.execute("SELECT FROM ingest.calls FOR UPDATE")
        tasks = [
            asyncio.create_task(desk.update(pbx_call_id=name, call_status="in-progress", comment=str(number)))
            for number, name in enumerate(calls)
        ]
        await eventually(is_waited_for, True)
        yield tasks


@pytest.mark.parametrize("calls", [["hot"] * CROWD, [f"call-{number}" for number in range(CROWD)]], ids=["one", "many"])
async def test_a_crowd_on_a_channel_keeps_nothing_from_others(
    partner: Partner, desk: Desk, world: World, database_dsn: str, amqp_url: str, calls: list[str]
) -> None:
    other = Desk(desk.client, world.other_key)
    async with crowd(desk, database_dsn, calls) as tasks:
        created = [await other.create(pbx_call_id="a") for _ in range(3)]
        rings = [await partner.ring(user=str(number)) for number in range(3)]
    answers = await asyncio.gather(*tasks)

    assert [answer.status for answer in created] == [200] * 3
    assert rings == [(202, ACCEPTED)] * 3
    assert {answer.status for answer in answers} <= {200, 503}
    told = [event for event in await take(amqp_url, "history.calls") if event.account == partner.chain.account]
    assert [event.data.authority for event in told if isinstance(event, CallRinging)] == [Authority.LIVE] * 3
    assert len({event.subject for event in told}) == 1


async def test_a_database_that_is_busy_is_not_taken_for_silent(dsn: str) -> None:
    async def too_long(transactions: Transactions) -> None:
        async with transactions.begin():
            await asyncio.sleep(60)

    async with opened_pool(dsn, application_name="test", max_size=2) as pool:
        transactions = Transactions(pool)
        with pytest.raises(DatabaseUnavailable):
            await too_long(transactions)

        assert await transactions.row(1, "SELECT 1") is not None


async def test_a_database_that_is_silent_is_found_out_by_one_and_told_to_the_others(dsn: str) -> None:
    async def asked(transactions: Transactions) -> asyncpg.Record | None:
        return await transactions.row(1, "SELECT pg_sleep(60)")

    now = 0.0
    async with opened_pool(dsn, application_name="test", max_size=2) as pool:
        transactions = Transactions(pool, lambda: now)
        now = 1.0
        for reason in ("TimeoutError", "a moment ago"):
            with pytest.raises(DatabaseUnavailable, match=reason):
                await asked(transactions)
        now = 2.0

        assert await transactions.row(1, "SELECT 1") is not None

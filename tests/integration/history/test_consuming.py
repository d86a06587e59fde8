"""Messages on a real broker become rows in a real database, whatever happens to either."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import orjson

from shared.bus import Broker, Message
from shared.bus.dead import DeadLetters
from tests.integration.history.support import (
    DEADLINE_SECONDS,
    Process,
    expected,
    histories,
    history_dsn,
    messages,
    publish,
    seed,
    send,
    stored_calls,
    stored_events,
    until,
)
from tests.support.histories import Told, history, shuffled_with_repeats, traffic
from tests.support.nodes import Postgres


async def all_stored(connection: asyncpg.Connection[Any], events: Sequence[Told]) -> None:
    """Wait until every event is stored, and of its copies the one received first: a later one may have come before."""
    ids, received = [event.id for event in events], [event.receivedat for event in events]

    async def there() -> bool:
        stored = await connection.fetchval(
            "SELECT count(*) FROM history.events"
            " JOIN unnest($1::uuid[], $2::timestamptz[]) AS told (id, received_at) USING (id, received_at)",
            ids,
            received,
        )
        return bool(stored == len(events))

    await until(there, f"{len(events)} events are stored")


async def check_everything(connection: asyncpg.Connection[Any], calls: Sequence[Sequence[Told]]) -> None:
    """The database holds every event as published, and the calls of the ordered stream, and nothing else."""
    assert await stored_events(connection) == {event.id: event.to_json() for call in calls for event in call}
    assert await stored_calls(connection) == {call[0].subject: expected(call) for call in calls}


async def test_ten_thousand_shuffled_and_repeated_events_through_two_replicas_are_the_calls_of_the_ordered_stream(
    amqp_url: str, dsn: str, admin: asyncpg.Connection[Any]
) -> None:
    calls = list(traffic(1500, accounts=(1, 2, 3)))
    events = [event for call in calls for event in call]
    assert len(events) >= 10_000
    async with histories(2, amqp_url, dsn) as replicas:
        await publish(amqp_url, shuffled_with_repeats(events))
        await all_stored(admin, events)
        stored = [await metric(replica, "history_events_stored_total") for replica in replicas]
    assert all(stored), "both replicas took part"
    await check_everything(admin, calls)


async def test_poison_is_moved_to_the_dead_queue_with_its_reason_and_holds_up_nothing(
    amqp_url: str, dsn: str, admin: asyncpg.Connection[Any], tmp_path: Path
) -> None:
    operators = tmp_path / "operator.token"
    operators.write_text("a token of the operators")
    calls = list(traffic(20))
    events = [event for call in calls for event in call]
    nonsense = Message("calls", "call.ringing.v1.00", b"{nonsense", "poison-1")
    foreign = events[0].model_copy(update={"account": 2})
    async with histories(1, amqp_url, dsn, CALLBUS_OPERATOR_TOKEN_FILE=str(operators)) as (replica,):
        await publish(amqp_url, events[:1])
        await all_stored(admin, events[:1])
        await send(amqp_url, [nonsense, *messages([foreign]), *messages(events)])
        await all_stored(admin, events)
        dead = DeadLetters(amqp_url, "history")

        async def both_dead() -> bool:
            return len(await dead.list()) == 2

        await until(both_dead, "both are dead")
        letters = {letter.message_id: letter for letter in await dead.list()}
        async with aiohttp.ClientSession() as session:
            url = f"{replica.url}/api/v1/admin/dead"
            async with session.get(url) as answer:
                assert answer.status == 401
            async with session.get(url, headers={"Authorization": "Bearer a token of the operators"}) as answer:
                assert {item["message_id"] for item in (await answer.json())["items"]} == set(letters)
    assert set(letters) == {"poison-1", str(foreign.id)}
    assert "another account" in str(letters[str(foreign.id)])
    await check_everything(admin, calls)


async def test_while_the_database_is_away_nothing_is_lost_and_readers_are_told_to_come_back(
    amqp_url: str, own_postgres: Postgres
) -> None:
    database = own_postgres.dsn(own_postgres.new_database())
    dsn = await history_dsn(database)
    connection = await asyncpg.connect(database)
    await seed(connection)
    await connection.close()
    calls = list(traffic(60))
    events = shuffled_with_repeats([event for call in calls for event in call])
    half = len(events) // 2
    async with histories(1, amqp_url, dsn) as (replica,), aiohttp.ClientSession() as session:
        await publish(amqp_url, events[:half])
        await asyncio.to_thread(own_postgres.kill)
        await publish(amqp_url, events[half:])

        async def unready() -> bool:
            return not (await checks(session, replica))["postgres"]["ok"]

        await until(unready, "it says that the database is away")
        async with session.get(f"{replica.url}/readyz") as answer:
            assert answer.status == 503
        async with session.get(f"{replica.url}/voip/calls.json?api_token=ours") as answer:
            assert answer.status == 503
            assert int(answer.headers["Retry-After"]) >= 1
        await asyncio.to_thread(own_postgres.start)
        connection = await asyncpg.connect(database)
        await all_stored(connection, [event for call in calls for event in call])

        async def ready() -> bool:
            return await replica.ready(session)

        await until(ready, "it is ready again")
        await check_everything(connection, calls)
        await connection.close()
        assert await DeadLetters(amqp_url, "history").list() == ()


async def test_a_replica_that_is_killed_again_and_again_loses_and_doubles_nothing(
    amqp_url: str, dsn: str, admin: asyncpg.Connection[Any]
) -> None:
    calls = list(traffic(150))
    events = shuffled_with_repeats([event for call in calls for event in call])
    async with histories(1, amqp_url, dsn):
        publishing = asyncio.create_task(publish(amqp_url, events))
        for _ in range(2):
            victim = Process(amqp_url, dsn)
            await victim.start()

            async def took_part(victim: Process = victim) -> bool:
                return publishing.done() or await metric(victim, "history_batch_events_count") > 0

            await until(took_part, "the victim consumes")
            await victim.stop(signal.SIGKILL)
        await publishing
        await all_stored(admin, [event for call in calls for event in call])
    await check_everything(admin, calls)
    assert await DeadLetters(amqp_url, "history").list() == ()


async def test_sigterm_finishes_what_is_in_hand_and_exits_in_order(
    amqp_url: str, dsn: str, admin: asyncpg.Connection[Any]
) -> None:
    events = history(3)
    process = Process(amqp_url, dsn)
    await process.start()
    async with aiohttp.ClientSession() as session:

        async def ready() -> bool:
            return await process.ready(session)

        await until(ready, "history is ready")
    await publish(amqp_url, events)
    await all_stored(admin, events)
    assert await process.stop() == 0
    assert "service_stopped" in process.log
    await check_everything(admin, [events])


async def test_a_schema_that_it_does_not_know_is_refused_until_it_does(
    amqp_url: str, dsn: str, admin: asyncpg.Connection[Any]
) -> None:
    events = history(1)
    await admin.execute(
        "INSERT INTO history.schema_version (version, name, checksum) VALUES (9999, 'of_the_future', 'x')"
    )
    process = Process(amqp_url, dsn)
    try:
        await process.start()
        async with aiohttp.ClientSession() as session:

            async def refused() -> bool:
                return "newer" in (await checks(session, process))["postgres"]["reason"]

            await until(refused, "it says why")
            async with Broker(amqp_url, name="test") as broker, asyncio.timeout(DEADLINE_SECONDS):
                await broker.until_ready()
                await broker.publisher().publish(messages(events))
            assert (await checks(session, process))["rabbitmq"]["ok"] is False
            assert await admin.fetchval("SELECT count(*) FROM history.events") == 0
            await admin.execute("DELETE FROM history.schema_version WHERE version = 9999")
            await all_stored(admin, events)
    finally:
        await admin.execute("DELETE FROM history.schema_version WHERE version = 9999")
        if process.url:
            await process.stop()


async def checks(session: aiohttp.ClientSession, process: Process) -> dict[str, Any]:
    """Return what /readyz says of each dependency."""
    async with session.get(f"{process.url}/readyz") as answer:
        return dict(orjson.loads(await answer.read())["checks"])


async def metric(process: Process, name: str) -> float:
    """Return the value of one metric."""
    async with aiohttp.ClientSession() as session, session.get(f"{process.url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return next((float(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0.0)

"""Messages on a real broker become rows in a real database."""

from __future__ import annotations

import time

from tests.integration.history.support import (
    connect,
    expected,
    histories,
    history_dsn,
    publish,
    stored_calls,
    stored_events,
    until,
)
from tests.support.histories import shuffled_with_repeats, traffic


async def test_ten_thousand_shuffled_and_repeated_events_through_two_replicas_are_the_calls_of_the_ordered_stream(
    amqp_url: str, database_dsn: str
) -> None:
    calls = list(traffic(1500, accounts=(1, 2, 3)))
    events = [event for call in calls for event in call]
    assert len(events) >= 10_000
    dsn = await history_dsn(database_dsn)
    connection = await connect(database_dsn)
    started = time.perf_counter()
    async with histories(2, amqp_url, dsn):
        t1 = time.perf_counter()
        await publish(amqp_url, shuffled_with_repeats(events))
        t2 = time.perf_counter()

        async def all_there() -> bool:
            return bool(await connection.fetchval("SELECT count(*) FROM history.events") >= len(events))

        await until(all_there, "all events are stored")
        print("start", t1 - started, "publish", t2 - t1, "store", time.perf_counter() - t2)
    stored = await stored_events(connection)
    rows = await stored_calls(connection)
    await connection.close()
    assert stored == {event.id: event.to_json() for event in events}
    assert rows == {call[0].subject: expected(call) for call in calls}

"""History's consumer against a transaction per event and against plain COPY, one after the other in each round.

The consumer is the real one, from a real broker's queue into a real database. A transaction per event does the same
work with the same code, eight events at a time on eight connections. COPY puts the same bodies into a table without an
index, a thousand rows at a time: nothing is parsed, folded or looked up, so it is a floor and no alternative.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import structlog
import uvloop
from asyncpg import Pool

from services.history.consumer import Consumer
from services.history.stored import read
from services.history.writer import Writer
from shared.bus import Broker, Delivery, Message
from shared.db import create_pool
from shared.db.migrations import migrate
from tests.bench.figures import middle, table
from tests.support.histories import traffic
from tests.support.nodes import Postgres, running_postgres, running_rabbitmq

CALLS: Final = 450
ROUNDS: Final = 3
_QUEUE = "history.calls"
_AT_ONCE = 8
_BATCH, _PREFETCH = 400, 800
_COPIED = 1000


class Figures(NamedTuple):
    """One round of one variant."""

    seconds: float
    python_seconds: float


class Bench:
    """Nodes with one database, and the messages to store."""

    def __init__(self, amqp_url: str, postgres: Postgres, database: str, pool: Pool[Any]) -> None:
        self._amqp_url = amqp_url
        self._postgres = postgres
        self._database = database
        self._pool = pool
        events = sorted((e for call in traffic(CALLS) for e in call), key=lambda e: e.receivedat)
        self.messages = [Message("calls", e.routing_key, e.to_json(), str(e.id)) for e in events]

    async def batches(self) -> Figures:
        """The real consumer."""
        writer = Writer(self._pool)
        try:
            return await self._consumed(Consumer(writer).handle)
        finally:
            await writer.close()

    async def one_by_one(self) -> Figures:
        """The same work, a transaction per event."""
        writers = [Writer(self._pool) for _ in range(_AT_ONCE)]

        async def handle(deliveries: Sequence[Delivery]) -> None:
            waiting = iter(deliveries)

            async def work(writer: Writer) -> None:
                for delivery in waiting:
                    await writer.store([read(delivery.body)])

            await asyncio.gather(*map(work, writers))

        try:
            return await self._consumed(handle)
        finally:
            for writer in writers:
                await writer.close()

    async def copied(self) -> Figures:
        """The same bodies by COPY."""
        rows = [(message.message_id, message.body.decode()) for message in self.messages]
        async with self._pool.acquire() as connection:
            await connection.execute("CREATE TEMPORARY TABLE copied (id text, body text)")
            with self._measured() as figures:
                for start in range(0, len(rows), _COPIED):
                    await connection.copy_records_to_table("copied", records=rows[start : start + _COPIED])
            await connection.execute("DROP TABLE copied")
        return figures[0]

    async def _consumed(self, handle: Callable[[Sequence[Delivery]], Awaitable[None]]) -> Figures:
        """Store all messages from the queue with `handle`."""
        await asyncio.to_thread(
            self._postgres.execute, "TRUNCATE history.events, history.calls; CHECKPOINT", self._database
        )
        await self._fill_queue()
        left = len(self.messages)
        done = asyncio.Event()

        async def counted(deliveries: Sequence[Delivery]) -> None:
            nonlocal left
            await handle(deliveries)
            left -= len(deliveries)
            if left <= 0:
                done.set()

        broker = Broker(self._amqp_url, name="bench")
        broker.consume(_QUEUE, counted, batch_size=_BATCH, prefetch=_PREFETCH)
        with self._measured() as figures:
            async with broker:
                await done.wait()
        return figures[0]

    async def _fill_queue(self) -> None:
        async with Broker(self._amqp_url, name="bench") as broker:
            await broker.until_ready()
            for start in range(0, len(self.messages), 1000):
                await broker.publisher().publish(self.messages[start : start + 1000])

    @contextlib.contextmanager
    def _measured(self) -> Iterator[list[Figures]]:
        figures: list[Figures] = []
        gc.collect()
        gc.freeze()  # as the service does, lest the collector walk through the messages that we hold
        before = time.perf_counter(), time.process_time()
        yield figures
        after = time.perf_counter(), time.process_time()
        figures.append(Figures(*(b - a for a, b in zip(before, after, strict=True))))


async def measure(amqp_url: str, postgres: Postgres, database: str) -> str:
    """Return the table."""
    dsn = postgres.dsn(database)
    await migrate(dsn, ["routing", "history"], passwords=None)
    pool = await create_pool(dsn, application_name="bench", max_size=_AT_ONCE + 2)
    bench = Bench(amqp_url, postgres, database, pool)
    variants = {
        "history's consumer, in batches": bench.batches,
        "a transaction per event, 8 at once": bench.one_by_one,
        "COPY of the bodies, no index": bench.copied,
    }
    rounds: dict[str, list[Figures]] = {name: [] for name in variants}
    gc.set_threshold(50_000, 10, 10)
    for _ in range(ROUNDS):
        for name, variant in variants.items():
            rounds[name].append(await variant())
    await pool.close()
    return _written(rounds, len(bench.messages))


def _written(rounds: dict[str, list[Figures]], events: int) -> str:
    seconds = {name: middle(f.seconds for f in figures) for name, figures in rounds.items()}
    ours = next(iter(seconds.values()))
    rows = [
        (
            name,
            f"{events / seconds[name]:,.0f}",
            f"{seconds[name] / ours:.2f}",
            f"{middle(f.python_seconds for f in figures) / events * 1e6:.0f}",
        )
        for name, figures in rounds.items()
    ]
    title = f"Storing {events:,} events of {CALLS:,} calls (median of {ROUNDS} rounds)"
    return table(title, ("", "events/s", "time, ours = 1", "Python us/event"), rows)


def run() -> str:
    """Start nodes, measure, and return the table."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with running_rabbitmq() as rabbitmq, running_postgres() as postgres:
        amqp_url = rabbitmq.amqp_url(rabbitmq.new_vhost())
        return uvloop.run(measure(amqp_url, postgres, postgres.new_database()))


if __name__ == "__main__":
    print(run())

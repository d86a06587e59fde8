"""What publishing and consuming cost with each client: aio-pika, aiormq, and shared/bus on aiormq.

    .venv/bin/python -m tests.bench.bus_clients [--messages 20000] [--amqp amqp://…]

Starts a private broker where none is given. Prints messages/s, this process's CPU µs per message (trust these: the
broker shares the machine) and each as a ratio to aio-pika's. Publishing: 64 callers, each awaiting the confirm of one
480-byte persistent mandatory message at a time. Consuming: acknowledged in batches of up to 200, prefetch 400.
"""

from __future__ import annotations

import argparse
import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from typing import Any

import aio_pika
import aiormq
from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic

from shared.bus import Broker, Delivery, Message
from shared.logging import configure
from tests.support.nodes import running_rabbitmq

BODY = b"x" * 480
KEY = "call.ringing.v1.07"
QUEUE = "history.calls"
CALLERS = 64
PREFETCH = 400
BATCH = 200
CONTENT_TYPE = "application/cloudevents+json"


async def measured(work: Callable[[], Awaitable[None]]) -> tuple[float, float]:
    """Return (seconds, CPU seconds of this process)."""
    wall, cpu = time.perf_counter(), time.process_time()
    await work()
    return time.perf_counter() - wall, time.process_time() - cpu


async def by_callers(count: int, publish: Callable[[], Awaitable[Any]]) -> None:
    async def caller() -> None:
        for _ in range(count // CALLERS):
            await publish()

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


async def publish_aio_pika(url: str, count: int) -> tuple[float, float]:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel(on_return_raises=True)
        exchange = await channel.get_exchange("calls", ensure=False)

        def publish() -> Awaitable[Any]:
            message = aio_pika.Message(
                BODY,
                message_id=str(uuid.uuid4()),
                content_type=CONTENT_TYPE,
                delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            )
            return exchange.publish(message, KEY)

        return await measured(lambda: by_callers(count, publish))


async def publish_aiormq(url: str, count: int) -> tuple[float, float]:
    async with aiormq.connect(url) as connection:
        channel = await connection.channel()

        def publish() -> Awaitable[Any]:
            properties = Basic.Properties(message_id=str(uuid.uuid4()), content_type=CONTENT_TYPE, delivery_mode=2)
            return channel.basic_publish(BODY, exchange="calls", routing_key=KEY, mandatory=True, properties=properties)

        return await measured(lambda: by_callers(count, publish))


async def publish_bus(url: str, count: int) -> tuple[float, float]:
    async with Broker(url, name="bench") as broker:
        await broker.until_ready()
        publisher = broker.publisher()

        def publish() -> Awaitable[None]:
            return publisher.publish([Message("calls", KEY, BODY, str(uuid.uuid4()))])

        return await measured(lambda: by_callers(count, publish))


class Batches:
    """Collects deliveries of a client that hands over one at a time and acknowledges those there are."""

    def __init__(self, count: int) -> None:
        self.remaining = count
        self._there: list[Any] = []
        self._some = asyncio.Event()

    async def take(self, message: Any) -> None:
        self._there.append(message)
        self._some.set()

    async def acknowledge(self, ack: Callable[[Any], Awaitable[Any]]) -> None:
        while self.remaining > 0:
            await self._some.wait()
            batch, self._there = self._there[:BATCH], self._there[BATCH:]
            if not self._there:
                self._some.clear()
            await ack(batch[-1])
            self.remaining -= len(batch)


async def consume_aio_pika(url: str, count: int) -> tuple[float, float]:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await channel.set_qos(PREFETCH)
        queue = await channel.get_queue(QUEUE)
        batches = Batches(count)

        async def work() -> None:
            await queue.consume(batches.take)
            await batches.acknowledge(lambda message: message.ack(multiple=True))

        return await measured(work)


async def consume_aiormq(url: str, count: int) -> tuple[float, float]:
    async with aiormq.connect(url) as connection:
        channel = await connection.channel()
        await channel.basic_qos(prefetch_count=PREFETCH)
        batches = Batches(count)

        def ack(message: DeliveredMessage) -> Awaitable[None]:
            return channel.basic_ack(message.delivery_tag or 0, multiple=True, wait=False)

        async def work() -> None:
            await channel.basic_consume(QUEUE, batches.take)
            await batches.acknowledge(ack)

        return await measured(work)


async def consume_bus(url: str, count: int) -> tuple[float, float]:
    remaining = count
    done = asyncio.Event()

    async def handle(batch: Sequence[Delivery]) -> None:
        nonlocal remaining
        remaining -= len(batch)
        if remaining <= 0:
            done.set()

    broker = Broker(url, name="bench")
    broker.consume(QUEUE, handle, prefetch=PREFETCH, batch_size=BATCH)

    async def work() -> None:
        await broker.start()
        await done.wait()

    try:
        return await measured(work)
    finally:
        await broker.stop()


async def purge(url: str) -> None:
    async with aiormq.connect(url) as connection:
        await (await connection.channel()).queue_purge(QUEUE)


PAIRS = (
    ("aio-pika", publish_aio_pika, consume_aio_pika),
    ("aiormq", publish_aiormq, consume_aiormq),
    ("shared/bus", publish_bus, consume_bus),
)


async def main(url: str, count: int) -> None:
    count -= count % CALLERS
    async with Broker(url, name="bench declare") as broker:
        await broker.until_ready()
    results: dict[str, list[tuple[str, float, float]]] = {"publish": [], "consume": []}
    for name, publish, consume in PAIRS:
        await purge(url)
        results["publish"].append((name, *(await publish(url, count))))
        results["consume"].append((name, *(await consume(url, count))))
    for what, rows in results.items():
        print(f"\n{what:<12}{'msg/s':>10}{'CPU µs/msg':>12}{'CPU ratio':>11}   ({count} messages)")
        for name, wall, cpu in rows:
            print(f"{name:<12}{count / wall:>10.0f}{cpu / count * 1e6:>12.1f}{cpu / rows[0][2]:>11.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--amqp", help="URL of a broker with an empty virtual host")
    arguments = parser.parse_args()
    configure("bench", "error")
    with ExitStack() as stack:
        address = arguments.amqp or stack.enter_context(running_rabbitmq()).amqp_url()
        asyncio.run(main(address, arguments.messages))

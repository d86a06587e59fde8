"""What the bus's conformance tests share: quick timings, a recording handler, a plain client beside the bus."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import aiormq
from aiormq.abc import AbstractChannel, DeliveredMessage
from pamqp.commands import Basic

from shared.bus import Broker, Delivery, Message, Patience, Timings

QUEUE = "history.calls"
DEAD = "history.dead"
QUICK = Timings(heartbeat=10, connect=2, retry_first=0.05, retry_cap=0.5, confirm=30, redeclare=0.2)
PATIENT = Patience(
    handle=20, retry_first=0.02, retry_cap=0.1, setback_first=0.02, setback_cap=0.03, resume_first=0.05, resume_cap=0.2
)


def message(body: bytes = b"{}", routing_key: str = "call.ringing.v1.07", message_id: str | None = None) -> Message:
    return Message("calls", routing_key, body, message_id or str(uuid.uuid4()))


def numbered(count: int, start: int = 0) -> list[Message]:
    return [message(b"%d" % number) for number in range(start, start + count)]


async def eventually(condition: Callable[[], bool], what: str, deadline_seconds: float = 40.0) -> None:
    """Return once `condition` holds."""
    try:
        async with asyncio.timeout(deadline_seconds):
            while not condition():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"never happened: {what}") from None


@asynccontextmanager
async def ready(broker: Broker) -> AsyncIterator[Broker]:
    async with broker:
        async with asyncio.timeout(40):
            await broker.until_ready()
        yield broker


class Recorder:
    """A handler that remembers its calls; `react` is called with each first and may raise or wait."""

    def __init__(self, react: Callable[[Sequence[Delivery]], object] = lambda _batch: None) -> None:
        self.calls: list[list[Delivery]] = []  # those that returned
        self.attempts: list[list[Delivery]] = []  # all
        self._react = react

    async def __call__(self, batch: Sequence[Delivery]) -> None:
        self.attempts.append(list(batch))
        reaction = self._react(batch)
        if asyncio.iscoroutine(reaction):
            await reaction
        self.calls.append(list(batch))

    @property
    def bodies(self) -> list[bytes]:
        """Bodies handled, in order."""
        return [delivery.body for call in self.calls for delivery in call]


@asynccontextmanager
async def plain_channel(url: str) -> AsyncIterator[AbstractChannel]:
    """A channel of the client library itself, to look at the broker from outside."""
    async with aiormq.connect(url) as connection:
        yield await connection.channel()


async def take_all(url: str, queue: str) -> list[DeliveredMessage]:
    """Take every ready message off `queue`."""
    taken: list[DeliveredMessage] = []
    async with plain_channel(url) as channel:
        while True:
            got = await channel.basic_get(queue, no_ack=True)
            if isinstance(got.delivery, Basic.GetEmpty):
                return taken
            taken.append(got)


async def becomes_ready(url: str, queue: str, count: int) -> None:
    """Return once `count` messages of `queue` are held by no consumer; quorum queues report that a little late."""
    async with plain_channel(url) as channel, asyncio.timeout(40):
        while (await channel.queue_declare(queue, passive=True)).message_count != count:
            await asyncio.sleep(0.02)

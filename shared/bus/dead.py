"""The dead letters of one service: list, show, replay, drop. For the command line and the operators' API.

AMQP can't look without taking. A call takes the messages one by one, keeps them unacknowledged while it looks, and
closes its channel, which puts the rest back in their old places: nothing is lost if it dies half-way. Two calls at
once see each a part. Cost: a round trip (some tenths of a millisecond) per message passed.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from aiormq.abc import DeliveredMessage
from aiormq.exceptions import ChannelNotFoundEntity
from pamqp.commands import Basic

from shared.bus.connection import Broker
from shared.bus.deadletter import DeadLetter, dead_letter, replay_message
from shared.bus.link import Timings, open_within
from shared.bus.topology import Topology, dead_queue
from shared.bus.wire import Channel, Connection
from shared.errors import CallbusError

_CONNECT_SECONDS = 5.0
_NOTHING_TO_DECLARE = Topology((), ())


class NoDeadQueue(CallbusError):
    """The service has no dead queue on this broker: it is not deployed, or nothing was declared yet."""


class DeadLetters:
    """The queue `<service>.dead`. Every call opens a connection of its own and has `deadline_seconds` in all.

    Beside those named, calls raise `TimeoutError` and aiormq's `AMQPError` when the broker can't be reached.
    """

    def __init__(self, url: str, service: str, *, deadline_seconds: float = 60.0) -> None:
        self._url = url
        self._queue = dead_queue(service)
        self._deadline_seconds = deadline_seconds

    async def list(self, limit: int = 100) -> tuple[DeadLetter, ...]:
        """Return the oldest `limit` dead letters, oldest first, without bodies. Raises `NoDeadQueue`."""
        found: tuple[DeadLetter, ...] = ()
        async with self._channel() as channel:
            async for message in self._taken(channel):
                found += (_read(message),)
                if len(found) >= limit:
                    break
        return found

    async def show(self, message_id: str) -> DeadLetter | None:
        """Return one with its body, or None. Raises `NoDeadQueue`."""
        async with self._channel() as channel:
            async for message in self._taken(channel):
                if message.header.properties.message_id == message_id:
                    return _read(message)._replace(body=message.body.decode(errors="replace"))
        return None

    async def replay(self, message_ids: Collection[str] | None = None) -> int:
        """Put those with `message_ids` (None: all) back into the one queue each came from; return how many.

        Each leaves the dead queue when the broker has confirmed it in the other: if this dies in between, it is in
        both. Raises `NoDeadQueue`, `NotPublished` (its queue no longer exists, or the broker is away); what was
        replayed before that stays replayed.
        """
        # What is poison still may be back before the end is reached: once per call, else this would never end.
        replayed: set[str] = set()
        publishing = Broker(self._url, name="callbus dead", topology=_NOTHING_TO_DECLARE, timings=Timings())
        async with publishing as broker, self._channel() as channel:
            await broker.until_ready()
            async for message in self._taken(channel):
                properties = message.header.properties
                message_id = properties.message_id or ""
                if _wanted(message, message_ids) and message_id not in replayed:
                    again = replay_message(
                        message_id,
                        message.body,
                        properties.content_type or "",
                        properties.headers or {},
                    )
                    await broker.publisher().publish([again])
                    await channel.ack([(message.delivery_tag or 0, False)])
                    replayed.add(message_id)
        return len(replayed)

    async def drop(self, message_ids: Collection[str] | None = None) -> int:
        """Delete those with `message_ids` (None: all) for good; return how many. Raises `NoDeadQueue`."""
        dropped = 0
        async with self._channel() as channel:
            async for message in self._taken(channel):
                if _wanted(message, message_ids):
                    await channel.ack([(message.delivery_tag or 0, False)])
                    dropped += 1
        return dropped

    async def _taken(self, channel: Channel) -> AsyncIterator[DeliveredMessage]:
        """Take message after message until the queue is empty."""
        while True:
            try:
                message = await channel.basic_get(self._queue)
            except ChannelNotFoundEntity as error:
                raise NoDeadQueue(f"there is no queue {self._queue}") from error
            if isinstance(message.delivery, Basic.GetEmpty):
                return
            yield message

    @asynccontextmanager
    async def _channel(self) -> AsyncIterator[Channel]:
        connection = Connection(self._url, name="callbus dead", heartbeat_seconds=10, on_blocked=lambda _reason: None)
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await open_within(connection, _CONNECT_SECONDS)
                channel = await Channel.opened(connection)
                yield channel
                # Waits for the broker's answer, so all acks before it have arrived.
                if not channel.is_closed:
                    await channel.close()
        finally:
            await connection.shut()


def _wanted(message: DeliveredMessage, message_ids: Collection[str] | None) -> bool:
    return message_ids is None or message.header.properties.message_id in message_ids


def _read(message: DeliveredMessage) -> DeadLetter:
    properties = message.header.properties
    return dead_letter(
        properties.message_id or "", message.body, properties.content_type or "", properties.headers or {}
    )

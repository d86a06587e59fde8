"""The publisher of one process: confirms, returns, back-pressure."""

import asyncio
from collections import deque
from collections.abc import Sequence
from time import perf_counter

import structlog

from shared.bus import metrics
from shared.bus.confirms import Confirms
from shared.bus.link import Timings
from shared.bus.messages import Message, Nacked, Unavailable, Unroutable
from shared.bus.supervise import Lost, race, until_closed
from shared.bus.topology import Topology, declare
from shared.bus.wire import Channel, Connection

log = structlog.get_logger(__name__)


class ConfirmingPublisher:
    """See `Publisher`. At most `max_unconfirmed` messages are unanswered at a time; further callers wait in order.

    While the broker blocks us it fails at once rather than waiting: a caller who can put the message elsewhere
    should do so now, and one who can't must retry anyway. What was sent before stays pending, for the broker reads it
    when it goes on.
    """

    def __init__(self, topology: Topology, timings: Timings, max_unconfirmed: int = 2000) -> None:
        self._topology = topology
        self._timings = timings
        self._max_unconfirmed = max_unconfirmed
        self._channel: Channel | None = None
        self._confirms = Confirms()
        self._blocked: str | None = None
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._granted = 0
        self._missing_queue = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether a publish would be sent now."""
        return self._channel is not None and self._blocked is None

    @property
    def unconfirmed(self) -> int:
        """How many messages the broker has yet to answer."""
        return len(self._confirms)

    async def publish(self, messages: Sequence[Message]) -> None:
        """See `Publisher.publish`."""
        if not messages:
            return
        started = perf_counter()
        self._usable()
        await self._room(len(messages))
        outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._usable().send(messages, outcome)
        try:
            await outcome
        except Unroutable as error:
            self._missing_queue.set()
            metrics.UNROUTABLE.inc(len(error.message_ids))
            log.error("bus_message_unroutable", routing_key=messages[0].routing_key, count=len(error.message_ids))
            raise
        except Nacked as error:
            metrics.NACKED.inc(len(error.message_ids))
            raise
        metrics.PUBLISHED.inc(len(messages))
        metrics.CONFIRM_SECONDS.observe(perf_counter() - started)

    async def serve(self, connection: Connection) -> None:
        """Publish on `connection` until it or its channel ends."""
        confirms = Confirms(on_answer=self._grant)
        channel = await Channel.opened(connection, confirms=confirms)
        self._confirms, self._channel = confirms, channel
        try:
            await race(
                until_closed(channel),
                channel.flush_forever(),
                self._watch_confirms(confirms),
                self._declare_what_is_missing(connection),
            )
        finally:
            self._channel = None
            confirms.fail(Unavailable("the connection was lost before the broker confirmed"))
            self._refuse_waiting(Unavailable("the connection was lost"))

    def set_blocked(self, reason: str | None) -> None:
        """Note that the broker blocks the connection, or (None) goes on."""
        self._blocked = reason
        if reason is not None:
            self._refuse_waiting(Unavailable(f"blocked by the broker: {reason}"))

    async def drained(self) -> None:
        """Return when nothing is unanswered."""
        while self._confirms:  # noqa: ASYNC110 - once, at shutdown
            await asyncio.sleep(0.01)

    def _usable(self) -> Channel:
        if self._channel is None:
            raise Unavailable("not connected to the broker")
        if self._blocked is not None:
            raise Unavailable(f"blocked by the broker: {self._blocked}")
        return self._channel

    def _fits(self, count: int) -> bool:
        busy = len(self._confirms) + self._granted
        return busy + count <= self._max_unconfirmed or not busy

    async def _room(self, count: int) -> None:
        if not self._queue and self._fits(count):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((count, turn))
        try:
            await turn
        finally:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._granted -= count
                # A caller that was cancelled just now does not use its turn.
                asyncio.get_running_loop().call_soon(self._grant)

    def _grant(self) -> None:
        while self._queue:
            count, turn = self._queue[0]
            if not turn.done():
                if not self._fits(count):
                    return
                self._granted += count
                turn.set_result(None)
            self._queue.popleft()

    def _refuse_waiting(self, error: Unavailable) -> None:
        while self._queue:
            _count, turn = self._queue.popleft()
            if not turn.done():
                turn.set_exception(error)

    async def _watch_confirms(self, confirms: Confirms) -> None:
        oldest = confirms.oldest
        while True:
            await asyncio.sleep(self._timings.confirm)
            if oldest is not None and confirms.oldest == oldest and self._blocked is None:
                raise Lost(f"no confirm for {self._timings.confirm:g} s")
            oldest = confirms.oldest

    async def _declare_what_is_missing(self, connection: Connection) -> None:
        """A message that fits no queue means that one was deleted: declare again, but not for every such message."""
        while True:
            await self._missing_queue.wait()
            self._missing_queue.clear()
            await declare(connection, self._topology)
            await asyncio.sleep(self._timings.redeclare)

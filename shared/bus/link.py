"""One supervised connection: connect, declare, serve; when anything ends, tear all of it down and begin again."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Never

import structlog

from shared.bus import metrics
from shared.bus.backoff import Backoff
from shared.bus.supervise import Lost, deadline, describe, race, until_closed
from shared.bus.topology import Topology, declare
from shared.bus.wire import Connection

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Timings:
    """Intervals of a connection, in seconds."""

    heartbeat: int = 10  # whole seconds; a peer silent for twice that and two seconds more is lost
    connect: float = 5.0  # TCP, TLS and AMQP handshake together
    declare: float = 10.0  # all of the topology; likewise each opening of a channel or consumer
    retry_first: float = 0.1
    retry_cap: float = 5.0
    confirm: float = 30.0  # a confirm that is older, while not blocked, never comes: connect anew
    redeclare: float = 5.0  # at most so often declare again because a message fitted no queue


class Link:
    """A connection named `name` that serves `session` for as long as `run` runs.

    `session` gets an open connection on which the topology is declared, and runs until cancelled or until something
    of its own ends. `reason` says why the link is down, or is "connected".
    """

    def __init__(
        self,
        kind: str,
        url: str,
        session: Callable[[Connection], Awaitable[None]],
        *,
        name: str,
        topology: Topology,
        timings: Timings,
        on_blocked: Callable[[str | None], None] = lambda _reason: None,
    ) -> None:
        self.up = False
        self.reason = "not started"
        self._kind = kind
        self._url = url
        self._session = session
        self._name = name
        self._topology = topology
        self._timings = timings
        self._tell_blocked = on_blocked

    async def run(self) -> Never:
        """Keep the connection alive until cancelled."""
        backoff = Backoff(self._timings.retry_first, self._timings.retry_cap)
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            try:
                await self._serve_once()
                self.reason = "closed"
            except Exception as error:
                self.reason = describe(error)
            # One that breaks as soon as it is up must not be tried as if all were well.
            if loop.time() - started > 2 * self._timings.retry_cap:
                backoff.reset()
            wait = backoff.next()
            metrics.RECONNECTS.labels(self._kind).inc()
            log.warning("bus_link_lost", link=self._kind, reason=self.reason, retry_seconds=round(wait, 3))
            await asyncio.sleep(wait)

    async def _serve_once(self) -> None:
        self.reason = "connecting"
        connection = Connection(
            self._url, name=self._name, heartbeat_seconds=self._timings.heartbeat, on_blocked=self._on_blocked
        )
        try:
            await open_within(connection, self._timings.connect)
            await race(until_closed(connection), self._declare_and_serve(connection))
        finally:
            self._set_up(up=False)
            self._tell_blocked(None)
            await connection.shut()

    async def _declare_and_serve(self, connection: Connection) -> None:
        self.reason = "declaring"
        async with deadline(self._timings.declare, "declaring the topology"):
            await declare(connection, self._topology)
        self.reason = "connected"
        self._set_up(up=True)
        log.info("bus_link_up", link=self._kind, name=self._name)
        await self._session(connection)

    def _on_blocked(self, reason: str | None) -> None:
        self.reason = "connected" if reason is None else f"blocked by the broker: {reason}"
        self._set_up(up=reason is None)
        self._tell_blocked(reason)
        log.warning("bus_link_blocked" if reason else "bus_link_unblocked", link=self._kind, reason=reason)

    def _set_up(self, *, up: bool) -> None:
        self.up = up
        metrics.CONNECTION_UP.labels(self._kind).set(up)


async def open_within(connection: Connection, seconds: float) -> None:
    """Connect within `seconds`, or abort: a peer that says nothing must not hold us."""
    opening = asyncio.ensure_future(connection.connect())
    opening.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    try:
        await asyncio.wait({opening}, timeout=seconds)
        if not opening.done():
            raise TimeoutError(f"no AMQP handshake within {seconds:g} s")
        if opening.cancelled():  # not by us, and it must not end the one who waits
            raise Lost("something cancelled the AMQP handshake")
        await opening
    finally:
        if not opening.done():
            connection.abort()
            opening.cancel()

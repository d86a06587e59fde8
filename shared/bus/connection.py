"""The bus of one process: a publisher and consumers over two supervised connections."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Never, Self

import structlog

from shared.bus.consumer import BatchConsumer, Handle, Patience, Probe, Suspects
from shared.bus.link import Link, Timings
from shared.bus.messages import Publisher
from shared.bus.publisher import ConfirmingPublisher
from shared.bus.supervise import together
from shared.bus.topology import TOPOLOGY, Topology, dead_queue, service_of
from shared.bus.wire import Connection

log = structlog.get_logger(__name__)


class Broker:
    """Everything that a process needs of RabbitMQ. Register consumers first, then `start`, `run` or `async with`.

    Publishing and consuming have a connection each: the broker stops reading from one that it blocks, and
    acknowledgements must go on while publishes can't. `url` is amqp:// or amqps://; `name` is what the broker shows.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str,
        topology: Topology = TOPOLOGY,
        timings: Timings | None = None,
        drain_seconds: float = 10.0,
    ) -> None:
        timings = timings or Timings()
        self._drain_seconds = drain_seconds
        self._publisher = ConfirmingPublisher(topology, timings)
        self._consumers: list[BatchConsumer] = []
        self._publishing = Link(
            "publish",
            url,
            self._publisher.serve,
            name=f"{name} publish",
            topology=topology,
            timings=timings,
            on_blocked=self._publisher.set_blocked,
        )
        self._consuming = Link(
            "consume", url, self._serve_consumers, name=f"{name} consume", topology=topology, timings=timings
        )
        self._tasks: list[asyncio.Task[Never]] = []

    def publisher(self) -> Publisher:
        """Return the publisher, which may be used before the connection is up: it then raises `Unavailable`."""
        return self._publisher

    def consume(
        self,
        queue: str,
        handle: Handle,
        *,
        prefetch: int = 400,
        batch_size: int = 200,
        suspects: Suspects | None = None,
        dependencies: Probe | None = None,
        patience: Patience | None = None,
    ) -> BatchConsumer:
        """Register a consumer of `queue`; its poison goes to the dead queue of the service that owns the queue."""
        if self._tasks:
            raise RuntimeError("register consumers before the broker is started")
        consumer = BatchConsumer(
            queue,
            handle,
            self._publisher,
            dead_queue=dead_queue(service_of(queue)),
            prefetch=prefetch,
            batch_size=batch_size,
            suspects=suspects,
            dependencies=dependencies,
            patience=patience,
        )
        self._consumers.append(consumer)
        return consumer

    @property
    def ready(self) -> bool:
        """Whether publishing works and every consumer consumes."""
        return self.readiness()[0]

    @property
    def reason(self) -> str:
        """Why it is not ready, or "connected"."""
        return self.readiness()[1]

    def readiness(self) -> tuple[bool, str]:
        """Return (ready, reason)."""
        links = [self._publishing, *([self._consuming] if self._consumers else [])]
        troubles = [link.reason for link in links if not link.up]
        if not troubles and not self._publisher.ready:
            troubles = ["opening a channel to publish on"]
        if not troubles:
            troubles = [f"{each.queue}: {each.reason}" for each in self._consumers if not each.ready]
        return (not troubles, "; ".join(dict.fromkeys(troubles)) or "connected")

    async def until_ready(self) -> None:
        """Return when ready; put `asyncio.timeout` around it."""
        while not self.ready:  # noqa: ASYNC110 - made of several parts' states; only commands and tests wait
            await asyncio.sleep(0.02)

    async def start(self) -> None:
        """Begin to connect, in the background."""
        links = [self._publishing, *([self._consuming] if self._consumers else [])]
        self._tasks = [asyncio.create_task(link.run()) for link in links]

    async def stop(self) -> None:
        """Consume no more, finish what was received, wait for confirms, close; the rest returns to the queues.

        Takes at most `drain_seconds` before it closes.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(self._drain_seconds):
                await asyncio.gather(*(consumer.stop() for consumer in self._consumers))
                await self._publisher.drained()
        for task in reversed(self._tasks):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._tasks = []

    async def run(self) -> Never:
        """Start, and stop when cancelled."""
        async with self:
            await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _serve_consumers(self, connection: Connection) -> None:
        await together(*(consumer.run(connection) for consumer in self._consumers))
        await asyncio.Event().wait()  # all were stopped; the link is cancelled next

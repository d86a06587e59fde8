"""The whole topology as data: exchanges, queues, bindings; and declaring it.

Queues of a service that does not run would fill the disk without a reader, so only those of *deployed* services are
declared: `DEPLOYED` is the one list. A service belongs on it before its queues are needed: an event is copied to the
queues that exist when it is published, and a queue declared later never sees it. Nothing is ever deleted here: the
queues of a service that is taken off the list stay, with their messages, until an operator deletes them.

Every connection declares again when it opens. That is idempotent and takes some milliseconds; a queue deleted by
accident comes back with the next connection of anyone.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from aiormq.exceptions import ChannelClosed

from shared.bus.wire import Channel, Connection

CALLS: Final = "calls"
INGEST: Final = "ingest"
SHARDS: Final = 16

# Counts every return to the queue, planned and unplanned restarts included, so it must never be met by a healthy
# message. 4.x limits to 20 where nothing is said; 3.10 takes -1 as "drop at the first redelivery".
_DELIVERY_LIMIT: Final = 10_000
# Looking at a dead letter takes it and puts it back, which counts as well; nothing may drop one for being looked at.
_DEAD_DELIVERY_LIMIT: Final = 1_000_000_000

_QUORUM: Final[Mapping[str, Any]] = {"x-queue-type": "quorum", "x-delivery-limit": _DELIVERY_LIMIT}
_DEAD: Final[Mapping[str, Any]] = {"x-queue-type": "quorum", "x-delivery-limit": _DEAD_DELIVERY_LIMIT}


class TopologyMismatch(Exception):
    """Something exists on the broker with other properties than ours; an operator must decide what becomes of it."""


@dataclass(frozen=True)
class Queue:
    """A durable queue of one service, its arguments, and its bindings as (exchange, pattern)."""

    name: str
    service: str
    arguments: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType(_QUORUM))
    bindings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Topology:
    """Durable topic exchanges and the queues bound to them."""

    exchanges: tuple[str, ...]
    queues: tuple[Queue, ...]

    def for_services(self, services: Collection[str]) -> "Topology":
        """Return the part that `services` need. Exchanges are always whole: publishing must never miss one."""
        return Topology(self.exchanges, tuple(queue for queue in self.queues if queue.service in services))


def dead_queue(service: str) -> str:
    """Return the name of the queue that holds the dead letters of `service`."""
    return f"{service}.dead"


def service_of(queue: str) -> str:
    """Return the service that owns `queue`: its first word."""
    return queue.partition(".")[0]


def _webhook_queues() -> Iterable[Queue]:
    arguments = {**_QUORUM, "x-single-active-consumer": True}
    for shard in range(SHARDS):
        name = f"webhooks.calls.{shard:02d}"
        yield Queue(name, "webhooks", arguments, ((CALLS, f"call.*.*.{shard:02d}"),))


_STREAM: Final[Mapping[str, Any]] = {
    "x-queue-type": "stream",
    "x-max-age": "24h",
    "x-max-length-bytes": 5_000_000_000,
    "x-stream-max-segment-size-bytes": 50_000_000,
}
# Rejected requests may be had by the thousand from anyone: the oldest make room.
_REQUESTS: Final[Mapping[str, Any]] = {**_QUORUM, "x-max-length": 100_000, "x-overflow": "drop-head"}

EVERYTHING: Final = Topology(
    exchanges=(CALLS, INGEST),
    queues=(
        Queue("routing.calls", "routing", _QUORUM, ((CALLS, "call.#"), (CALLS, "agent.#"))),
        Queue("history.calls", "history", _QUORUM, ((CALLS, "call.#"),)),
        *_webhook_queues(),
        Queue("notifier.calls", "notifier", _STREAM, ((CALLS, "#"),)),
        Queue("history.requests", "history", _REQUESTS, ((INGEST, "request.#"),)),
        *(Queue(dead_queue(service), service, _DEAD) for service in ("routing", "history", "webhooks", "notifier")),
    ),
)

DEPLOYED: Final = ("ingest", "history")
TOPOLOGY: Final = EVERYTHING.for_services(DEPLOYED)


async def declare(connection: Connection, topology: Topology = TOPOLOGY) -> None:
    """Declare `topology` on a channel of its own. Raises `TopologyMismatch` where the broker has something else."""
    channel = await Channel.opened(connection)
    what = ""
    try:
        for exchange in topology.exchanges:
            what = f"exchange {exchange}"
            await channel.exchange_declare(exchange, exchange_type="topic", durable=True)
        for queue in topology.queues:
            what = f"queue {queue.name}"
            await channel.queue_declare(queue.name, durable=True, arguments=dict(queue.arguments))
            for exchange, pattern in queue.bindings:
                await channel.queue_bind(queue.name, exchange, pattern)
    except ChannelClosed as error:
        raise TopologyMismatch(f"can't declare {what}: {error}") from error
    await channel.close()

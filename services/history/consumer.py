"""Takes batches of messages from the bus to the writer, and says how it goes."""

from collections.abc import Sequence
from time import perf_counter

from services.history import metrics
from services.history.stored import read
from services.history.writer import Writer
from shared import clock
from shared.bus import Delivery


class Consumer:
    """The handler of `history.calls`. Returns when a batch is committed, so the bus acknowledges it then."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._stored = 0
        self._last: float | None = None

    async def handle(self, deliveries: Sequence[Delivery]) -> None:
        """Store a batch. Raises `Permanent` for what no attempt will store (the bus then tries each alone)."""
        started = perf_counter()
        try:
            arrived = [read(delivery.body) for delivery in deliveries]
            stored = await self._writer.store(arrived)
        finally:
            metrics.BATCH_SECONDS.observe(perf_counter() - started)
        now = clock.now()
        metrics.BATCH_EVENTS.observe(len(deliveries))
        metrics.EVENTS.inc(stored.events)
        metrics.DUPLICATES.inc(stored.duplicates)
        oldest = min(item.event.receivedat for item in arrived)
        metrics.OLDEST_SECONDS.set(max(0.0, (now - oldest).total_seconds()))
        self._stored += stored.events
        self._last = now.timestamp()

    def progress(self) -> tuple[bool, str]:
        """Say how far it is; this is never a reason to be unready."""
        if self._last is None:
            return True, "nothing has come yet"
        return True, f"{self._stored} events stored, the last {clock.now().timestamp() - self._last:.0f} s ago"

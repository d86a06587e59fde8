"""Takes batches of messages from the bus to the writer, and says how it goes."""

from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter

from services.history import metrics
from services.history.stored import Arrived, read
from services.history.writer import Writer
from shared import clock
from shared.bus import Delivery

NoteRepeats = Callable[[Sequence[Arrived]], Awaitable[None]]
"""Notes which requests told nothing new, of events that are stored."""


class Consumer:
    """The handler of `history.calls`. Returns when a batch is committed, so the bus acknowledges it then."""

    def __init__(self, writer: Writer, note_repeats: NoteRepeats | None = None) -> None:
        self._writer = writer
        self._note_repeats = note_repeats
        self._stored = 0
        self._last: float | None = None

    async def handle(self, deliveries: Sequence[Delivery]) -> None:
        """Store a batch. Raises `Permanent` for what no attempt will store (the bus then tries each alone)."""
        started = perf_counter()
        try:
            arrived = [read(delivery.body) for delivery in deliveries]
            stored = await self._writer.store(arrived)
            if stored.duplicates and self._note_repeats is not None:
                await self._note_repeats(arrived)
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

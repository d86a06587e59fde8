"""Which deliveries a consumer holds and which it handles next. Pure: time comes in as an argument.

Three lanes, served in turn so that none starves another: fresh messages in batches; one by one those that were
delivered before or whose batch failed; one by one, in random order, those delivered so often that one of them may be
killing the process. Random, because the process may as well be killed from outside, and the one that happens to be in
hand then must not be the same each time.
"""

import heapq
import random
from collections import deque
from collections.abc import Iterable, Sequence

from shared.bus.messages import Delivery


class Inbox:
    """The deliveries of one channel, from their arrival to their acknowledgement."""

    def __init__(self, batch_size: int, suspect_from: int) -> None:
        self._batch_size = batch_size
        self._suspect_from = suspect_from
        self._fresh: deque[Delivery] = deque()
        self._alone: deque[Delivery] = deque()
        self._suspects: list[Delivery] = []
        self._later: list[tuple[float, int, Delivery]] = []
        self._held: dict[int, float] = {}  # tag -> time of arrival; tags arrive in ascending order
        self._single_next = False

    def __len__(self) -> int:
        return len(self._held)

    @property
    def oldest(self) -> float | None:
        """When the delivery held longest arrived."""
        return next(iter(self._held.values()), None)

    @property
    def next_retry(self) -> float | None:
        """When the next message that waits for another attempt is due."""
        return self._later[0][0] if self._later else None

    def add(self, delivery: Delivery, now: float) -> None:
        """Take a new delivery."""
        self._held[delivery.tag] = now
        if delivery.redelivered:
            self._enqueue_single(delivery)
        else:
            self._fresh.append(delivery)

    def take(self, now: float) -> list[Delivery]:
        """Return what to handle next, together: several fresh ones, or one alone; empty when nothing is due."""
        while self._later and self._later[0][0] <= now:
            self._enqueue_single(heapq.heappop(self._later)[2])
        single = self._alone or self._suspects
        if single and (self._single_next or not self._fresh):
            self._single_next = False
            return [self._alone.popleft() if self._alone else self._draw_suspect()]
        self._single_next = True
        return [self._fresh.popleft() for _ in range(min(self._batch_size, len(self._fresh)))]

    def is_suspect(self, delivery: Delivery) -> bool:
        """Whether this is at least the `suspect_from`-th delivery of the message."""
        return delivery.delivery_count + 1 >= self._suspect_from

    def separate(self, batch: Iterable[Delivery]) -> None:
        """Handle each message of a failed batch alone."""
        for delivery in batch:
            self._enqueue_single(delivery)

    def retry(self, delivery: Delivery, due: float) -> None:
        """Handle one again, alone, when it is `due`."""
        heapq.heappush(self._later, (due, delivery.tag, delivery))

    def hasten(self) -> None:
        """Make everything that waits for another attempt due: what held it up is over."""
        self._later = [(0.0, tag, delivery) for _due, tag, delivery in self._later]
        heapq.heapify(self._later)

    def done(self, deliveries: Sequence[Delivery]) -> list[tuple[int, bool]]:
        """Let go of `deliveries`; return the (tag, multiple) to acknowledge.

        One multiple-ack for all below the lowest tag still held, single ones for those above it.
        """
        for delivery in deliveries:
            del self._held[delivery.tag]
        floor = next(iter(self._held), None)
        below = [delivery.tag for delivery in deliveries if floor is None or delivery.tag < floor]
        above = [delivery.tag for delivery in deliveries if floor is not None and delivery.tag > floor]
        acks = [(max(below), len(below) > 1)] if below else []
        return acks + [(tag, False) for tag in above]

    def _enqueue_single(self, delivery: Delivery) -> None:
        if self.is_suspect(delivery):
            self._suspects.append(delivery)
        else:
            self._alone.append(delivery)

    def _draw_suspect(self) -> Delivery:
        index = random.randrange(len(self._suspects))
        self._suspects[index], self._suspects[-1] = self._suspects[-1], self._suspects[index]
        return self._suspects.pop()

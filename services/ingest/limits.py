"""How much is taken from whom. Pure: the clock is an argument."""

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Final

_REMEMBERED: Final = 10_000


class TokenBuckets:
    """One token bucket per key, in this process. A key that was never seen has a full one."""

    def __init__(self) -> None:
        self._buckets: dict[Hashable, tuple[float, float]] = {}  # tokens left, and when that was

    def take(self, key: Hashable, rate_per_second: float, burst: float, now: float) -> float:
        """Take one token; return 0, or, where there is none, the seconds until there is. `now` is monotonic seconds."""
        tokens, since = self._buckets.get(key, (burst, now))
        tokens = min(burst, tokens + (now - since) * rate_per_second)
        if tokens < 1:
            self._buckets[key] = (tokens, now)
            return (1 - tokens) / rate_per_second
        if len(self._buckets) >= _REMEMBERED and key not in self._buckets:
            self._buckets.pop(next(iter(self._buckets)))  # the longest known; at worst it gets a full bucket
        self._buckets[key] = (tokens - 1, now)
        return 0.0


class NoneFree(Exception):
    """As many as may be are at it."""


class Slots:
    """At most `most` at a time per key, in this process."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: Counter[Hashable] = Counter()

    @contextmanager
    def one(self, key: Hashable) -> Iterator[None]:
        """Run the block in one of the key's slots. Raises `NoneFree`."""
        if self._taken[key] >= self._most:
            raise NoneFree
        self._taken[key] += 1
        try:
            yield
        finally:
            self._taken[key] -= 1
            if not self._taken[key]:
                del self._taken[key]

"""Waits between attempts."""

import random
from collections.abc import Callable


class Backoff:
    """Doubling waits in seconds, capped, each drawn from its upper half so that many clients spread out."""

    def __init__(self, first: float, cap: float, draw: Callable[[], float] = random.random) -> None:
        self._first = first
        self._cap = cap
        self._draw = draw
        self._attempt = 0

    def next(self) -> float:
        """Return the next wait, longer than the last until the cap is met."""
        wait = wait_seconds(self._attempt, self._first, self._cap, self._draw)
        self._attempt += 1
        return wait

    def reset(self) -> None:
        """Begin again with the first wait."""
        self._attempt = 0


def wait_seconds(attempt: int, first: float, cap: float, draw: Callable[[], float] = random.random) -> float:
    """Return the wait after `attempt` earlier ones (0 for the first)."""
    # 2 ** 30 s is beyond every cap; a larger power would only overflow.
    whole: float = min(cap, first * 2 ** min(attempt, 30))
    return whole * (0.5 + 0.5 * draw())

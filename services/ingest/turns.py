"""Waiting lines in memory: who waits in one holds no connection, so a crowd for one thing leaves room for others."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import Final
from weakref import WeakValueDictionary

from shared.db import DatabaseUnavailable

_LONGEST_WAIT_SECONDS: Final = 5.0  # then whoever sent it has most likely given up
_RETRY_AFTER_SECONDS: Final = 2.0


class Turns:
    """Of all who name the same thing, in this process, `at_once` are let in at a time; the others wait in order."""

    def __init__(self, at_once: int = 1) -> None:
        self._at_once = at_once
        self._gates: WeakValueDictionary[Hashable, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, thing: Hashable) -> AsyncIterator[None]:
        """Run the block in its turn. Raises `DatabaseUnavailable` where that does not come soon."""
        gate = self._gates.get(thing)
        if gate is None:
            gate = self._gates[thing] = asyncio.Semaphore(self._at_once)
        try:
            async with asyncio.timeout(_LONGEST_WAIT_SECONDS):
                await gate.acquire()
        except TimeoutError:
            raise DatabaseUnavailable("too many wait for the same", _RETRY_AFTER_SECONDS) from None
        try:
            yield
        finally:
            gate.release()

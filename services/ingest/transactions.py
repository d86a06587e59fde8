"""Short transactions for an answer that somebody waits for: a database that is silent is given up soon."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from shared.db import DatabaseUnavailable, database_errors

_LONGEST_SECONDS: Final = 2.0
_PAUSE_SECONDS: Final = 1.0
# One round trip. A lock that isn't given within a second is held by something that is stuck; and one of our connections
# that falls silent in the middle must not keep what it has locked for long.
_BEGIN: Final = "BEGIN; SET LOCAL lock_timeout = '1s'; SET LOCAL idle_in_transaction_session_timeout = '5s'"


class Transactions:
    """Transactions over connections of a pool, each of two seconds at most, waiting for a connection included.

    While the database is silent (a half-open connection, a host that drops packets) one in a second finds that out;
    the others are told at once.
    """

    def __init__(self, pool: asyncpg.Pool[Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._clock = clock
        self._silent_until = 0.0

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Any]:
        """Yield a connection in a transaction that ends with the block: committed, or not where that raises.

        Raises `DatabaseUnavailable`; what was to be committed may have been all the same.
        """
        if self._clock() < self._silent_until:
            raise DatabaseUnavailable("the database did not answer a moment ago", _PAUSE_SECONDS)
        with database_errors():
            try:
                async with asyncio.timeout(_LONGEST_SECONDS), self._connection() as connection:
                    await connection.execute(_BEGIN)
                    yield connection
                    await connection.execute("COMMIT")
            except TimeoutError:
                self._silent_until = self._clock() + _PAUSE_SECONDS
                raise

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        connection = await self._pool.acquire()
        try:
            yield connection
        except BaseException:
            connection.terminate()  # a rollback would wait for a connection that may be half-open
            raise
        finally:
            await self._pool.release(connection)

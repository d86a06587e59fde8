"""Short transactions for an answer that somebody waits for: a database that is silent is given up soon."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, Final, TypeVar

import asyncpg
from aiohttp import web

from services.ingest.turns import Turns
from shared.db import DatabaseUnavailable, database_errors

_LONGEST_SECONDS: Final = 2.0
_PAUSE_SECONDS: Final = 1.0
_MOST_OF_CHANNEL: Final = 4  # connections, of the pool's ten
# One round trip. A lock that isn't given within a second is held by something that is stuck; and one of our connections
# that falls silent in the middle must not keep what it has locked for long.
_BEGIN: Final = "BEGIN; SET LOCAL lock_timeout = '1s'; SET LOCAL idle_in_transaction_session_timeout = '5s'"
# A connection that has ended, is ended by the server, or is refused.
_LOST: Final = (ConnectionError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.AdminShutdownError)

T = TypeVar("T")


class ConnectionLost(DatabaseUnavailable):
    """The connection ended: whether what was to be committed has been is not known."""


async def once_more(work: Callable[[], Awaitable[T]]) -> T:
    """Return what `work` returns, done once more where its connection was lost: so it has to be safe to repeat.

    A server that restarted, or a firewall that forgets, costs nobody an answer, and what was committed all the same is
    found to be there.
    """
    try:
        return await work()
    except ConnectionLost:
        return await work()


class Transactions:
    """Transactions over connections of a pool, each of two seconds at most, waiting for a connection included.

    No channel has more than a few of the connections at a time: what is more waits in line, up to some seconds, and
    keeps nothing from other channels. While the database is silent (a half-open connection, a host that drops packets)
    one in a second finds that out; the others are told at once.
    """

    def __init__(self, pool: asyncpg.Pool[Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._clock = clock
        self._lines = Turns(_MOST_OF_CHANNEL)
        self._answered_at = clock()
        self._silent_until = 0.0
        self._failed_at = clock()

    @property
    def sound_seconds(self) -> float:
        """For how long, as far as this process knows, the database has been there for everybody who asked."""
        return self._clock() - self._failed_at

    @asynccontextmanager
    async def begin(self, channel_id: int | None = None) -> AsyncIterator[Any]:
        """Yield a connection in a transaction that ends with the block: committed, or not where that raises.

        `channel_id` is the channel for which it is. Raises `DatabaseUnavailable`; what was to be committed may have
        been all the same.
        """
        async with self._line(channel_id), self._asked() as connection:
            await connection.execute(_BEGIN)
            self._answered_at = self._clock()
            yield connection
            await connection.execute("COMMIT")
            self._answered_at = self._clock()

    async def row(self, channel_id: int, query: str, *arguments: object) -> asyncpg.Record | None:
        """Return the first row of a statement that is a transaction by itself. Raises `DatabaseUnavailable`."""

        async def ask() -> asyncpg.Record | None:
            async with self._line(channel_id), self._asked() as connection:
                row: asyncpg.Record | None = await connection.fetchrow(query, *arguments)
                self._answered_at = self._clock()
                return row

        return await once_more(ask)

    def _line(self, channel_id: int | None) -> AbstractAsyncContextManager[None]:
        return nullcontext() if channel_id is None else self._lines.of(channel_id)

    @asynccontextmanager
    async def _asked(self) -> AsyncIterator[Any]:
        """Yield a connection for a short while. Raises `DatabaseUnavailable`."""
        asked_at = self._clock()
        if asked_at < self._silent_until:
            raise DatabaseUnavailable("the database did not answer a moment ago", _PAUSE_SECONDS)
        try:
            with database_errors():
                async with asyncio.timeout(_LONGEST_SECONDS), self._connection() as connection:
                    yield connection
        except DatabaseUnavailable as error:
            self._note(error.__cause__, asked_at)
            if isinstance(error.__cause__, _LOST):
                raise ConnectionLost(str(error), error.retry_after_seconds) from error.__cause__
            raise

    def _note(self, failure: BaseException | None, asked_at: float) -> None:
        if isinstance(failure, asyncpg.LockNotAvailableError):
            return  # it is there; somebody holds what was asked for
        self._failed_at = self._clock()
        if isinstance(failure, TimeoutError) and self._answered_at < asked_at:
            # Nobody was answered meanwhile: it is not busy, it is silent.
            self._silent_until = self._failed_at + _PAUSE_SECONDS

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


TRANSACTIONS: Final = web.AppKey("TRANSACTIONS", Transactions)
"""Of all APIs that keep something in the database: they share its connections."""

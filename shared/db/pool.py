"""The connection pool of a service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

CONNECT_TIMEOUT_SECONDS = 5.0
_CLOSE_SECONDS: Final = 5.0


async def create_pool(
    dsn: str,
    *,
    application_name: str,
    min_size: int = 0,
    max_size: int = 10,
    command_timeout_seconds: float = 30.0,
    lock_timeout_seconds: float = 10.0,
    custom_plans: bool = False,
    init: Callable[[Any], Coroutine[Any, Any, None]] | None = None,
) -> asyncpg.Pool[asyncpg.Record]:
    """Return a pool whose connections carry `application_name` (shown by `pg_stat_activity`).

    With `min_size` 0 no connection is opened here, so a service starts while its database is away.
    `command_timeout_seconds` bounds every query on our side (a half-open connection included); the server gives up at
    the same time, so that an abandoned statement holds no lock. With `custom_plans` every statement is planned for its
    arguments each time: for those with filters that may be NULL. `init` is called with every new connection.
    """
    return await asyncpg.create_pool(
        dsn,
        min_size=min_size,
        max_size=max_size,
        timeout=CONNECT_TIMEOUT_SECONDS,
        command_timeout=command_timeout_seconds,
        init=init,
        server_settings={
            "application_name": application_name,
            "statement_timeout": _milliseconds(command_timeout_seconds),
            "lock_timeout": _milliseconds(lock_timeout_seconds),
            "idle_in_transaction_session_timeout": "60000",
            "plan_cache_mode": "force_custom_plan" if custom_plans else "auto",
        },
    )


@asynccontextmanager
async def opened_pool(dsn: str, **options: Any) -> AsyncIterator[asyncpg.Pool[asyncpg.Record]]:
    """Yield a pool made with the options of `create_pool`; closed afterwards, by force where that takes long."""
    pool = await create_pool(dsn, **options)
    try:
        yield pool
    finally:
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await pool.close()
        except TimeoutError:
            pool.terminate()


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))

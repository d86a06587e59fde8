"""Whether PostgreSQL answers, and with the schema that this code knows."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Never

import asyncpg
import structlog

from shared.db.errors import DatabaseUnavailable, UnknownSchema, database_errors
from shared.db.migrations import check

_INTERVAL_SECONDS: Final = 2.0
_ANSWER_SECONDS: Final = 5.0

log = structlog.get_logger(__name__)


class Database:
    """Asks every few seconds. Until its schema was found to be known, `service` neither reads nor writes."""

    def __init__(self, pool: asyncpg.Pool[Any], service: str) -> None:
        self._pool = pool
        self._service = service
        self._known = asyncio.Event()
        self._ok, self._reason = False, "not asked yet"

    async def run(self) -> Never:
        """Keep asking until cancelled."""
        while True:
            await self.probe()
            await asyncio.sleep(_INTERVAL_SECONDS)

    async def probe(self) -> bool:
        """Return whether it answers now, with the schema known."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                with database_errors():
                    await check(self._pool, self._service)
        except (DatabaseUnavailable, UnknownSchema, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            if self._ok or reason != self._reason:
                log.error("database_unusable", reason=reason)
            self._ok, self._reason = False, reason
            if isinstance(error, UnknownSchema):
                self._known.clear()
        else:
            self._ok, self._reason = True, "answers, schema known"
            self._known.set()
        return self._ok

    async def until_known(self) -> None:
        """Return once the schema has been found to be the one that this code knows."""
        await self._known.wait()

    def refuse_unknown(self) -> None:
        """Raise `DatabaseUnavailable` while the schema isn't known to be ours."""
        if not self._known.is_set():
            raise DatabaseUnavailable(self._reason, 2.0)

    def readiness(self) -> tuple[bool, str]:
        """Return (ready, reason)."""
        return self._ok, self._reason

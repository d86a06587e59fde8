"""Keeps what ingest refused, for some weeks: takes it from its queue, marks what was applied, deletes what is old."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Never
from uuid import UUID

import asyncpg
import orjson
import structlog
from aiohttp import web

from services.history import metrics
from services.history.requests.store import SQL
from services.history.stored import Arrived
from shared import clock
from shared.bus import Delivery
from shared.db import DatabaseUnavailable, database_errors
from shared.events import InvalidEvent, RequestRejected, parse

QUEUE: Final = "history.requests"

_SWEEP_ROWS: Final = 500
_SWEEP_PAUSE_SECONDS: Final = 0.1
_SWEEP_EVERY_SECONDS: Final = 600.0

log = structlog.get_logger(__name__)


class Keeper:
    """Writes `history.requests`. Whatever it does is safe to repeat."""

    def __init__(self, pool: asyncpg.Pool[Any], *, days: int, repeats_days: int) -> None:
        self._pool = pool
        self._kept_for = timedelta(days=days)
        self._repeats_kept_for = timedelta(days=repeats_days)

    async def handle(self, deliveries: Sequence[Delivery]) -> None:
        """Store a batch, in one statement. Raises `Permanent` for what no attempt will store."""
        rows = [_row(_read(delivery.body)) for delivery in deliveries]
        columns = [list(column) for column in zip(*rows, strict=True)]
        with database_errors():
            for (outcome,) in await self._pool.fetch(SQL.keep, *columns):
                metrics.REQUESTS.labels(outcome).inc()

    async def note_repeats(self, arrived: Sequence[Arrived]) -> None:
        """Note which of these events, all stored, were told by another request before: a provider's retries."""
        rows = [(e.subject, e.id, e.requestid, e.receivedat) for e, _ in arrived if e.requestid is not None]
        if rows:
            columns = [list(column) for column in zip(*rows, strict=True)]
            with database_errors():
                await self._pool.execute(SQL.note_repeats, *columns)

    async def mark_applied(self, event_id: UUID, events: Sequence[dict[str, Any]]) -> bool:
        """Note what came of a request that was applied; return whether it is there."""
        with database_errors():
            found = await self._pool.fetchval(SQL.mark_applied, event_id, orjson.dumps(events).decode())
        return found is not None

    async def run(self) -> Never:
        """Delete what is old, again and again, until cancelled."""
        while True:
            try:
                await self.sweep(clock.now())
            except DatabaseUnavailable as error:
                log.warning("requests_not_swept", reason=str(error))
            await asyncio.sleep(_SWEEP_EVERY_SECONDS * random.uniform(0.8, 1.2))

    async def sweep(self, now: datetime) -> int:
        """Delete what is too old at `now`, a few hundred at a time; return how many requests that were."""
        await self._delete(SQL.sweep_repeats, now - self._repeats_kept_for)
        deleted = await self._delete(SQL.sweep, now - self._kept_for)
        metrics.REQUESTS_DELETED.inc(deleted)
        return deleted

    async def _delete(self, statement: str, before: datetime) -> int:
        deleted = 0
        while True:
            with database_errors():
                rows = await self._pool.fetch(statement, before, _SWEEP_ROWS)
            deleted += len(rows)
            if len(rows) < _SWEEP_ROWS:
                return deleted
            await asyncio.sleep(_SWEEP_PAUSE_SECONDS)  # the queue and the readers have their turn


KEEPER: Final = web.AppKey("KEEPER", Keeper)


def _read(message: bytes) -> RequestRejected:
    event = parse(message)
    if not isinstance(event, RequestRejected):
        raise InvalidEvent(f"{event.type} is not about a refused request")
    return event


def _row(event: RequestRejected) -> tuple[Any, ...]:
    """Return the values of `keep`, one for each column."""
    data = event.data
    return (
        event.id,
        event.subject,
        event.account,
        data.channel_id,
        data.provider,
        data.method,
        data.path,
        data.path_event,
        data.status,
        data.outcome,
        data.reason,
        orjson.dumps(data.headers).decode(),
        None if data.fields is None else orjson.dumps(data.fields).decode(),
        None if data.raw is None else data.raw.model_dump_json(),
        data.body_cut,
        event.receivedat,
    )

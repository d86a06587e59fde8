"""What the APIs ask of the database. Every question names the account; another account's call is as unknown as none."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
from aiohttp import web

from services.history.bodies import Body
from shared.db import Queries, opened_pool
from shared.db.database import Database
from shared.db.errors import database_errors

SQL: Final = Queries.load(Path(__file__).parent / "sql" / "reading.sql")
_WANTED: Final = SQL.wanted.rstrip(";")

Row = asyncpg.Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which calls are wanted; None = whichever. `date_to` is the first moment that is not. `numbers`: any spelling."""

    q: str | None = None
    numbers: Sequence[str] | None = None
    date_from: datetime | None = None
    date_to: datetime | None = None
    direction: str | None = None
    status: str | None = None
    channel_id: int | None = None
    client_id: int | None = None
    contact_id: int | None = None
    assignee: int | None = None
    external_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Newest:
    """Which page of the newest calls; `before` is (started_at, id) of the last one seen."""

    before: tuple[datetime, int] | None = None
    channel_id: int | None = None
    direction: str | None = None
    state: str | None = None
    outcome: str | None = None
    location_id: int | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class OfLocation:
    """Which ended calls of a location, by the partner API's words; None = whichever. `date_to` is not wanted itself."""

    location_id: int
    date_from: datetime
    date_to: datetime
    numbers: Sequence[str] | None = None
    directions: Sequence[str] | None = None
    statuses: Sequence[str] | None = None
    channels: Sequence[int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tickets:
    """Which page of the tickets; `before` is (id, uid) of the last one seen."""

    before: tuple[int, UUID] | None = None
    assignee: int | None = None
    department_id: int | None = None
    channel_id: int | None = None
    limit: int = 50


def reading_pool(dsn: str, *, at_most_seconds: float) -> AbstractAsyncContextManager[asyncpg.Pool[Any]]:
    """Return the connections that answers are read over, for the time of a block; a longer query is given up.

    Of a statement that it runs often the server comes to use one plan for all arguments. Where filters are left out,
    that plan reads the whole account for every page.
    """
    return opened_pool(
        dsn, application_name="callbus history api", command_timeout_seconds=at_most_seconds, custom_plans=True
    )


class Reader:
    """Answers from the database. Every method raises `DatabaseUnavailable` where it can't."""

    def __init__(self, pool: asyncpg.Pool[Any], database: Database) -> None:
        self._pool = pool
        self._database = database

    async def count_and_page(
        self, account: int, wanted: Filter, *, order: str, limit: int, offset: int
    ) -> tuple[int, list[Row]]:
        """Return how many calls there are, and those of one page. `order` is SQL: never from a request."""
        arguments = (
            account,
            wanted.q,
            wanted.numbers,
            wanted.date_from,
            wanted.date_to,
            wanted.direction,
            wanted.status,
            wanted.channel_id,
            wanted.client_id,
            wanted.contact_id,
            wanted.assignee,
            wanted.external_id,
        )
        page = SQL.list_calls.format(wanted=_WANTED, order=order)
        self._database.refuse_unknown()
        with database_errors():
            async with self._pool.acquire() as connection:
                count = await connection.fetchval(SQL.count_calls.format(wanted=_WANTED), *arguments)
                return count, await connection.fetch(page, *arguments, limit, offset)

    async def newest(self, account: int, page: Newest) -> list[Row]:
        """Return one page of an account's calls, newest first."""
        started_at, id_ = page.before or (None, None)
        return await self._fetch(
            SQL.newest_calls,
            account,
            started_at,
            id_,
            page.channel_id,
            page.direction,
            page.state,
            page.outcome,
            page.location_id,
            page.limit,
        )

    async def of_location(self, account: int, wanted: OfLocation, *, limit: int, offset: int) -> list[Row]:
        """Return one page of a location's ended calls, newest first; their `word` is the partner's for the outcome."""
        return await self._fetch(
            SQL.calls_of_location,
            account,
            wanted.location_id,
            wanted.date_from,
            wanted.date_to,
            wanted.numbers,
            wanted.directions,
            wanted.statuses,
            wanted.channels,
            limit,
            offset,
        )

    async def tickets(self, account: int, page: Tickets) -> list[Row]:
        """Return one page of an account's tickets, highest number first."""
        id_, uid = page.before or (None, None)
        return await self._fetch(
            SQL.list_tickets, account, id_, uid, page.assignee, page.department_id, page.channel_id, page.limit
        )

    async def ticket(self, account: int, id_: int) -> Row | None:
        """Return the ticket with a number; of several the first that was made."""
        rows = await self._fetch(SQL.ticket_by_id, account, id_)
        return rows[0] if rows else None

    async def call_by_id(self, account: int, id_: int) -> Row | None:
        """Return the call with the CRM's id."""
        rows = await self._fetch(SQL.call_by_id, account, id_)
        return rows[0] if rows else None

    async def call_by_uid(self, account: int, uid: UUID) -> Row | None:
        """Return the call."""
        rows = await self._fetch(SQL.call_by_uid, account, uid)
        return rows[0] if rows else None

    async def bodies(self, uid: UUID) -> list[Body]:
        """Return every event of a call, in no order."""
        return [Body(row["body"], row["raw"]) for row in await self._fetch(SQL.events_of_call, uid)]

    async def _fetch(self, query: str, *arguments: object) -> list[Row]:
        self._database.refuse_unknown()
        with database_errors():
            return await self._pool.fetch(query, *arguments)


READER: Final = web.AppKey("READER", Reader)

"""What is asked of the database about requests. Every question names the account, but for operators' (None)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
from aiohttp import web

from services.history.requests.told import ACCEPTED, NOBODY, PACKED_CHARACTERS, Told, accepted, kept
from shared.db import Queries, database_errors
from shared.db.database import Database

SQL: Final = Queries.load(Path(__file__).parents[1] / "sql" / "requests.sql")
SHOWN: Final = SQL.shown.rstrip(";")
KEPT_SHOWN: Final = SQL.kept_shown.rstrip(";")
OURS: Final = "account_id = $1"
ANYBODYS: Final = "($1::bigint IS NULL OR account_id = $1)"

Place = tuple[datetime, str, UUID]
"""Where a request stands in a list: when it came in, its id, and the event that told of it."""

EARLIEST: Final = datetime(1, 1, 2, tzinfo=UTC)
LATEST: Final = datetime(9999, 12, 30, tzinfo=UTC)
TOP: Final[Place] = (LATEST, "", NOBODY)
"""Above every list."""


class _Accepted(NamedTuple):
    """Where accepted requests are found; `latest` is formatted with whose they are."""

    newest: str
    latest: str
    events: str
    reason: str | None


_NEW: Final = _Accepted(
    SQL.newest_accepted.format(shown=SHOWN),
    SQL.latest_accepted.replace("{shown}", SHOWN),
    SQL.events_of_requests,
    None,
)
_AGAIN: Final = _Accepted(
    SQL.newest_repeated, SQL.latest_repeated, SQL.events_of_repeats, "it repeats what was known already"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which page of requests, newest first; None = whichever. `before` is the place of the last one seen."""

    before: Place = TOP
    date_from: datetime = EARLIEST
    date_to: datetime = LATEST
    channel_id: int | None = None
    provider: str | None = None
    outcome: str | None = None
    id: str | None = None  # heeded by `newest_kept` alone
    limit: int = 50


class Requests:
    """Reads. Every method raises `DatabaseUnavailable` where it can't."""

    def __init__(self, pool: asyncpg.Pool[Any], database: Database) -> None:
        self._pool = pool
        self._database = database

    async def newest(self, account: int, wanted: Wanted) -> list[Told]:
        """Return one page of an account's requests, accepted ones among them."""
        found = await self.newest_kept(account, wanted)
        if wanted.outcome in (None, ACCEPTED):
            found += await self._newest_accepted(_NEW, account, wanted)
            found += await self._newest_accepted(_AGAIN, account, wanted)
        found.sort(key=lambda told: told.place, reverse=True)
        return found[: wanted.limit]

    async def newest_kept(self, account: int | None, wanted: Wanted) -> list[Told]:
        """Return one page of what was refused or not recognised, and of what of it was applied since."""
        query = SQL.newest_kept.format(whose=ANYBODYS if account is None else OURS, shown=KEPT_SHOWN)
        rows = await self._fetch(
            query,
            account,
            wanted.limit,
            *wanted.before,
            wanted.date_from,
            wanted.date_to,
            wanted.channel_id,
            wanted.provider,
            wanted.outcome,
            wanted.id,
        )
        return [kept(row) for row in rows]

    async def latest(self, account: int | None, id_: str, channel: int | None = None) -> Told | None:
        """Return the latest request with an id."""
        whose = ANYBODYS if account is None else OURS
        refused = await self._fetch(SQL.latest_kept.format(whose=whose, shown=KEPT_SHOWN), account, id_, channel)
        found = [(row["received_at"], kept(row)) for row in refused]
        for what in (_NEW, _AGAIN):
            rows = await self._fetch(what.latest.format(whose=whose), account, id_, channel)
            for row in rows:
                found += [(each.received_at, each) for each in await self._with_events(what, row["account_id"], [row])]
        return max(found, key=lambda item: item[0])[1] if found else None  # of two at one moment the first

    async def _newest_accepted(self, what: _Accepted, account: int, wanted: Wanted) -> list[Told]:
        received_at, id_, event_id = wanted.before
        rows = await self._fetch(
            what.newest,
            account,
            wanted.limit,
            received_at,
            id_,
            event_id != NOBODY,  # of two at one place the accepted one comes last
            wanted.date_from,
            wanted.date_to,
            wanted.channel_id,
            wanted.provider,
        )
        return await self._with_events(what, account, rows)

    async def _with_events(self, what: _Accepted, account: int, rows: Sequence[asyncpg.Record]) -> list[Told]:
        """Return accepted requests, of which `rows` hold when, id and channel, with what came of them."""
        if not rows:
            return []
        keys = [(row["received_at"], row["id"], row["channel_id"]) for row in rows]
        events: defaultdict[tuple[datetime, str, int], list[asyncpg.Record]] = defaultdict(list)
        for event in await self._fetch(what.events, account, *_columns(keys), PACKED_CHARACTERS):
            events[event["received_at"], event["request_id"], event["channel_id"]].append(event)
        return [accepted(account, events[key], what.reason) for key in keys if key in events]

    async def _fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        self._database.refuse_unknown()
        with database_errors():
            return await self._pool.fetch(query, *arguments)


def _columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


REQUESTS: Final = web.AppKey("REQUESTS", Requests)

"""Writes events and the calls that they make: a batch in one transaction, with no statement per event or call.

Several replicas may hold events of one call at once. Whoever first inserts the call's row, or locks it, adds its events
and folds all that are there; the others wait and then fold theirs too. All take calls by uid, first inserting, then
locking, so nobody waits in a circle (see the statements).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg

from services.history.errors import ForeignCall
from services.history.rows import Rows, columns, fold
from services.history.stored import Arrived
from shared.db import Queries
from shared.db.errors import database_errors

SQL: Final = Queries.load(Path(__file__).parent / "sql" / "writing.sql")
_ATTEMPTS = 4
# The connection that is kept may have been cut since the last batch; the order of locks forbids deadlocks of our own,
# not those with an administrator's statements. A batch may have been committed all the same: storing it again is safe.
_RETRIED: Final = (
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.TransactionRollbackError,
)


class Stored(NamedTuple):
    """What a batch came to."""

    events: int
    duplicates: int
    calls: int


class Writer:
    """Stores batches over one connection that it keeps: acquiring one for each batch would cost a quarter more."""

    def __init__(self, pool: asyncpg.Pool[Any]) -> None:
        self._pool = pool
        self._connection: Any = None

    async def store(self, arrived: Sequence[Arrived]) -> Stored:
        """Store a batch, all or nothing; events that are known already do no harm.

        Raises `ForeignCall`, `DatabaseUnavailable`, and `Permanent` for values that no column takes.
        """
        calls = _by_call(arrived)
        with database_errors():
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    written, folded = await self._attempt(calls)
                    break
                except _RETRIED:
                    if attempt == _ATTEMPTS:
                        raise
        return Stored(written, len(arrived) - written, folded)

    async def close(self) -> None:
        """Give the connection back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._pool.release(connection)

    async def _attempt(self, calls: Mapping[UUID, Sequence[Arrived]]) -> tuple[int, int]:
        if self._connection is None:
            self._connection = await self._pool.acquire()
        try:
            return await _store(self._connection, calls)
        except BaseException:
            # Whatever went wrong (we may have been cancelled in the middle), the next batch gets a clean connection.
            # Releasing ends a statement that still runs. It fails where the connection is broken: that is told already.
            with suppress(Exception):
                await self.close()
            raise


def _by_call(arrived: Iterable[Arrived]) -> dict[UUID, list[Arrived]]:
    """Return the events by call, in order of uid; of copies the one that stands. Raises `ForeignCall`."""
    calls: defaultdict[UUID, dict[UUID, Arrived]] = defaultdict(dict)
    accounts: dict[UUID, int] = {}
    for item in arrived:
        uid, id_ = item.event.subject, item.event.id
        if accounts.setdefault(uid, item.event.account) != item.event.account:
            raise ForeignCall("events of two accounts name one call")
        known = calls[uid].get(id_)
        if known is None or _copy_order(item) < _copy_order(known):
            calls[uid][id_] = item
    return {uid: list(calls[uid].values()) for uid in sorted(calls)}


def _copy_order(item: Arrived) -> tuple[Any, ...]:
    event = item.event
    return event.receivedat, event.time, event.requestid or ""


async def _store(connection: Any, calls: Mapping[UUID, Sequence[Arrived]]) -> tuple[int, int]:
    """Return how many events were written and how many calls folded."""
    known = {row["uid"] for row in await connection.fetch(SQL.known_calls, list(calls))}
    first = [_fold(uid, items) for uid, items in calls.items() if uid not in known]
    async with connection.transaction():
        new = await _insert_calls(connection, first)
        older = [uid for uid in calls if uid not in new]
        if older:
            _check_accounts(await connection.fetch(SQL.lock_calls, older), calls)
        written = await _insert_events(connection, calls)
        changed = [uid for uid in older if uid in written]
        rows = await _fold_again(connection, calls, changed, written) if changed else []
        if rows:
            await connection.execute(SQL.update_calls, *columns([row.call for row in rows]))
        await write_tickets(connection, [*(row for row in first if row.call.uid in new), *rows])
    return sum(map(len, written.values())), len(first) + len(changed)


async def _insert_calls(connection: Any, rows: Sequence[Rows]) -> set[UUID]:
    """Return the calls that were new."""
    if not rows:
        return set()
    return {row["uid"] for row in await connection.fetch(SQL.insert_calls, *columns([row.call for row in rows]))}


async def write_tickets(connection: Any, rows: Iterable[Rows]) -> None:
    """Write the tickets of calls whose rows are locked. Most providers' calls have none, and then nothing is asked."""
    tickets = [row.ticket for row in rows if row.ticket is not None]
    if tickets:
        await connection.execute(SQL.write_tickets, *columns(tickets))


def _check_accounts(rows: Iterable[Any], calls: Mapping[UUID, Sequence[Arrived]]) -> None:
    for uid, account in rows:
        if calls[uid][0].event.account != account:
            raise ForeignCall("the call belongs to another account")


async def _insert_events(connection: Any, calls: Mapping[UUID, Sequence[Arrived]]) -> dict[UUID, set[UUID]]:
    """Return the ids of what was written, by call: what is new, or was received earlier than the copy there was."""
    rows = [
        (uid, e.id, e.account, e.type, e.time, e.receivedat, e.requestid, body.essence, body.raw)
        for uid, items in calls.items()
        for e, body in items
    ]
    written: defaultdict[UUID, set[UUID]] = defaultdict(set)
    for uid, id_ in await connection.fetch(SQL.insert_events, *columns(rows)):
        written[uid].add(id_)
    return written


async def _fold_again(
    connection: Any,
    calls: Mapping[UUID, Sequence[Arrived]],
    changed: Sequence[UUID],
    written: Mapping[UUID, Collection[UUID]],
) -> list[Rows]:
    """Return the rows of `changed` as all of their events make them."""
    ids = [id_ for uid in changed for id_ in written[uid]]
    others: defaultdict[UUID, list[str]] = defaultdict(list)
    for uid, essence in await connection.fetch(SQL.other_events, changed, ids):
        others[uid].append(essence)
    return [_fold(uid, (i for i in calls[uid] if i.event.id in written[uid]), others[uid]) for uid in changed]


def _fold(uid: UUID, items: Iterable[Arrived], others: Iterable[str] = ()) -> Rows:
    """Return the rows that the events at hand and the essences of others make."""
    events = [item.event for item in items]
    return fold(uid, events[0].account, events, others)

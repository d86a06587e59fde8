"""Folds stored calls again, from their events and by the same code: after a change of what a call looks like.

The CRM's ids, `created_at` and the revisions stay; a revision rises where the outcome is now another one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import asyncpg

from services.history.errors import database_errors
from services.history.rows import CallRow, columns, fold
from services.history.writer import SQL

_STEP: Final = 200


async def rebuild(pool: asyncpg.Pool[Any], uids: Sequence[UUID] | None = None) -> int:
    """Fold the calls `uids` (default: all) anew, some hundred per transaction; return how many there were.

    A call whose row is gone gets one again, with a new id. Safe beside running consumers, which wait for the calls in
    hand, and safe to repeat.
    """
    done, last = 0, UUID(int=0)
    with database_errors():
        async with pool.acquire() as connection:
            while rows := await connection.fetch(SQL.calls_with_events, last, uids, _STEP):
                await _rebuild(connection, {row["uid"]: row["account_id"] for row in rows})
                done, last = done + len(rows), rows[-1]["uid"]
    return done


async def _rebuild(connection: Any, accounts: dict[UUID, int]) -> None:
    uids = list(accounts)
    async with connection.transaction():
        await connection.execute(SQL.insert_calls, *columns([CallRow(uid, accounts[uid]) for uid in uids]))
        await connection.execute(SQL.lock_calls, uids)
        essences: defaultdict[UUID, list[str]] = defaultdict(list)
        for uid, essence in await connection.fetch(SQL.other_events, uids, []):
            essences[uid].append(essence)
        rows = [fold(uid, accounts[uid], (), essences[uid]) for uid in uids]
        await connection.execute(SQL.update_calls, *columns(rows))

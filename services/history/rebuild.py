"""Folds stored calls again, from their events and by the same code: after a change of what a call looks like.

The CRM's ids, tickets, `created_at` and the revisions stay; a revision rises where the outcome is now another one. By
hand: `python -m services.history.rebuild [uid ...]`, with the service's own settings.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import asyncpg
from pydantic import ValidationError

from services.history.rows import CallRow, columns, fold
from services.history.settings import Settings
from services.history.writer import SQL, write_tickets
from shared.db import create_pool
from shared.db.errors import database_errors
from shared.db.migrations import check
from shared.errors import CallbusError

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
        await connection.execute(SQL.update_calls, *columns([row.call for row in rows]))
        await write_tickets(connection, rows)


async def _run(uids: Sequence[UUID]) -> int:
    dsn = Settings.from_environment().postgres_dsn.get_secret_value()
    async with await create_pool(dsn, application_name="callbus history rebuild", max_size=2) as pool:
        with database_errors():
            await check(pool, "history")
        return await rebuild(pool, uids or None)


def main() -> int:
    """Rebuild what the arguments name; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m services.history.rebuild",
        description="Folds stored calls again from their events, as history would if they came now, and says how many."
        " Safe while history runs, and safe to repeat. Settings: history's own CALLBUS_* variables.",
    )
    parser.add_argument("uids", nargs="*", type=UUID, metavar="uid", help="only these calls; left out: all of them")
    arguments = parser.parse_args()
    try:
        done = asyncio.run(_run(arguments.uids))
    except ValidationError as error:  # names the variables, never what they hold
        parser.error("; ".join(f"CALLBUS_{each['loc'][0]}".upper() + f": {each['msg']}" for each in error.errors()))
    except CallbusError as error:
        sys.stderr.write(f"rebuild: {error}\n")
        return 1
    sys.stdout.write(f"calls rebuilt: {done}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

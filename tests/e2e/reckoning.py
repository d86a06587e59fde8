"""Holds what a provider was promised against what history has."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import asyncpg

from tests.support.load import Ledger

DEADLINE_SECONDS = 120.0
PAUSE_SECONDS = 0.3
Rows = Sequence[asyncpg.Record]
Tell = Callable[[str], None]
"""Says something at the end of the run, whichever process ran the test."""


@dataclass(frozen=True)
class Reckoning:
    """Calls and events that history has of the calls that the provider played."""

    calls: Counter[str]
    rings: Counter[str]
    ends: Counter[str]
    unfinished: frozenset[str]

    def lost(self, ledger: Ledger) -> set[tuple[str, str]]:
        """Return (status, call id) of every request that was answered 2xx and is not there."""
        seen = {("callstart", call) for call in self.rings} | {("callend", call) for call in self.ends}
        return {(each.status, each.call_id) for each in ledger.accepted} - seen

    def doubled(self) -> set[str]:
        """Return calls that have two rows, or the same hang-up twice.

        Rings can't be judged so: this provider's are told apart by when they came, so one that was repeated some
        seconds later because nobody had answered is another ring.
        """
        return {call for counts in (self.calls, self.ends) for call, count in counts.items() if count > 1}

    def __str__(self) -> str:
        events = self.rings.total() + self.ends.total()
        return f"{self.calls.total()} calls, {events} events in history"


async def reckon(dsn: str, prefix: str) -> Reckoning:
    """Return what history has of calls whose id starts with `prefix`."""
    connection = await asyncpg.connect(dsn, timeout=10)
    pattern = prefix + "%"
    try:
        # One snapshot for both questions, else a batch may be stored in between.
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            calls: Rows = await connection.fetch(
                "SELECT call_key, state FROM history.calls WHERE call_key LIKE $1 AND started_at IS NOT NULL", pattern
            )
            events: Rows = await connection.fetch(
                """
                SELECT call_key, type, count(*) AS count FROM history.events JOIN history.calls USING (uid)
                WHERE call_key LIKE $1 GROUP BY call_key, type
                """,
                pattern,
            )
    finally:
        await connection.close()
    return Reckoning(
        Counter(row["call_key"] for row in calls),
        _counted(events, "call.ringing.v1"),
        _counted(events, "call.ended.v1"),
        frozenset(row["call_key"] for row in calls if row["state"] != "ended"),
    )


def _counted(events: Rows, type_: str) -> Counter[str]:
    return Counter({row["call_key"]: row["count"] for row in events if row["type"] == type_})


async def settled(dsn: str, ledger: Ledger, prefix: str) -> Reckoning:
    """Return the reckoning once nothing is missing, or as it is after the deadline."""
    end = asyncio.get_running_loop().time() + DEADLINE_SECONDS
    while True:
        reckoning = await reckon(dsn, prefix)
        if not reckoning.lost(ledger) or asyncio.get_running_loop().time() > end:
            return reckoning
        await asyncio.sleep(PAUSE_SECONDS)

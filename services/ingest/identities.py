"""Which call a message is of that names none: the identities of nameless calls.

A ring joins the open identity of its phone, or opens one; a report closes the one that it is about, or opens one that
is closed. README.md of the partner API says by which windows. Per channel, phone and direction all of it happens in
turn: within this process by a lock in memory, so that a crowd for one phone holds one connection and not all of them,
and between replicas by PostgreSQL's advisory locks. (A table of rows to lock would grow by one for each number.)
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple, Never
from uuid import UUID, uuid4

import asyncpg
import orjson

from services.ingest.bodies import Fields
from services.ingest.chores import repeat
from services.ingest.integrations import Integrations
from services.ingest.providers.partner.mapping import Report, Ring
from services.ingest.transactions import Transactions
from services.ingest.turns import Turns
from shared import clock
from shared.db import Queries
from shared.directory import Channel
from shared.events import Party
from shared.events.ids import call_uid

_SQL: Final = Queries.load(Path(__file__).parent / "sql" / "partner.sql")
_MOST_UNWRITTEN: Final = 1000
_WRITE_SECONDS: Final = 0.5
_KEPT: Final = timedelta(days=30)
_FORGET_SECONDS: Final = 3600.0
_FORGET_AT_ONCE: Final = 500
_FORGET_PAUSE_SECONDS: Final = 0.1  # between two deletes, so that they are never a load
_LONGEST_WINDOW_SECONDS: Final = 365 * 86400.0


class _Place(NamedTuple):
    """What an identity is kept by."""

    channel: Channel
    direction: str
    phone: str
    did: str
    subscriber: str | None

    @classmethod
    def of(cls, channel: Channel, told: Ring | Report) -> _Place:
        return cls(channel, str(told.direction), _number(told.phone), _number(told.diversion), told.user)

    @property
    def of_phone(self) -> tuple[int, int, str, str]:
        """What is decided about in turn."""
        return self.channel.account_id, self.channel.id, self.direction, self.phone

    def row(self, uid: UUID, opened_at: datetime, opened_by: str) -> tuple[object, ...]:
        """The first nine columns of an identity."""
        return (uid, *self.of_phone, self.did, self.subscriber, opened_at, opened_by)


class _Found(NamedTuple):
    """An identity, and when it was opened or bound."""

    uid: UUID
    at: datetime


class Identities:
    """Finds and makes identities. Moments are when a request was received; methods raise `DatabaseUnavailable`."""

    def __init__(self, transactions: Transactions, integrations: Integrations) -> None:
        self._transactions = transactions
        self._integrations = integrations
        self._turns = Turns()
        self._unwritten: dict[UUID, tuple[object, ...]] = {}
        self._writing = asyncio.Lock()

    async def run(self) -> Never:
        """Write what was guessed as soon as that can be done, and forget what is long over, until cancelled."""
        async with asyncio.TaskGroup() as chores:
            chores.create_task(repeat("write guessed rings", _WRITE_SECONDS, self._write_guesses))
            chores.create_task(repeat("forget old identities", _FORGET_SECONDS, self._forget))
        raise AssertionError("unreachable")

    async def of_ring(self, channel: Channel, ring: Ring, received_at: datetime) -> UUID | None:
        """Return the call that a ring is of; None where the integration is switched off."""
        place = _Place.of(channel, ring)
        windows = channel.nameless
        async with self._turn(place) as connection:
            if not await self._integrations.ask(channel, connection):
                return None
            since = received_at - _span(windows.join_seconds)
            reported_since = received_at - _span(windows.late_seconds)
            joined: UUID | None = await connection.fetchval(
                _SQL.joined_by_ring, *place.of_phone, place.did, place.subscriber, since, reported_since
            )
            if joined is not None:
                return joined
            uid = _new_uid(channel)
            await connection.execute(_SQL.open, *place.row(uid, received_at, "ring"), None, None, None)
            return uid

    async def of_report(self, channel: Channel, report: Report, fields: Fields, received_at: datetime) -> UUID | None:
        """Return the call that a report (of `fields`) is of; None where the integration is switched off."""
        place = _Place.of(channel, report)
        async with self._turn(place) as connection:
            if not await self._integrations.ask(channel, connection):
                return None
            return await _bind(connection, place, report, _digest(fields), received_at)

    async def of_accepted_report(self, channel: Channel, report: Report, fields: Fields, received_at: datetime) -> UUID:
        """As `of_report`, for one that was accepted earlier: the integration may have been switched off since."""
        place = _Place.of(channel, report)
        async with self._turn(place) as connection:
            return await _bind(connection, place, report, _digest(fields), received_at)

    def guess(self, channel: Channel, ring: Ring, received_at: datetime) -> UUID:
        """Return an identity for a ring while the database is away: the same in every replica, and for rings alike.

        It is written when the database is back, so that the report of the call finds it.
        """
        place = _Place.of(channel, ring)
        step = int(received_at.timestamp() / channel.nameless.join_seconds)
        uid = call_uid(channel.id, f"guess:{place.direction}:{place.phone}:{place.did}:{step}")
        if len(self._unwritten) < _MOST_UNWRITTEN:
            self._unwritten.setdefault(uid, (*place.row(uid, received_at, "ring"), None, None, None))
        return uid

    async def _forget(self) -> None:
        before, count = clock.now() - _KEPT, _FORGET_AT_ONCE
        while count == _FORGET_AT_ONCE:
            async with self._transactions.begin() as connection:
                count = await connection.fetchval(_SQL.forget, before, _FORGET_AT_ONCE)
            await asyncio.sleep(_FORGET_PAUSE_SECONDS)

    @asynccontextmanager
    async def _turn(self, place: _Place) -> AsyncIterator[Any]:
        """Yield a connection in a transaction in which nobody else decides about this phone."""
        async with self._turns.of(place.of_phone):
            await self._write_guesses()
            async with self._transactions.begin(place.channel.id) as connection:
                await connection.execute(_SQL.lock, "phone:{}:{}:{}:{}".format(*place.of_phone))
                yield connection

    async def _write_guesses(self) -> None:
        """Write what was guessed, before anything is decided that it may concern. Raises `DatabaseUnavailable`."""
        if not self._unwritten:
            return
        async with self._writing:
            guesses = dict(self._unwritten)
            if guesses:
                async with self._transactions.begin() as connection:
                    # By uid, so that two replicas that write the same ones don't wait for each other in a circle.
                    await connection.executemany(_SQL.open, [guesses[uid] for uid in sorted(guesses)])
            for uid in guesses:
                del self._unwritten[uid]


async def _bind(connection: Any, place: _Place, report: Report, digest: bytes, received_at: datetime) -> UUID:
    """Return the call of a report: the one that it was bound to before, or one that it is bound to now."""
    before = await _reported_before(connection, place, report, digest, received_at)
    if before is not None and _names_a_call(report):
        return before.uid
    earliest, latest = _window(place.channel, report, received_at)
    opened = _found(
        await connection.fetchrow(_SQL.open_for_report, *place.of_phone, earliest, latest, place.did, place.subscriber)
    )
    # Of two reports that say the same and nothing more, the second is the first once more, unless it rang in between.
    if before is not None and (opened is None or opened.at <= before.at):
        return before.uid
    bound = (report.call_id, None if report.call_id else digest, received_at)
    if opened is not None:
        await connection.execute(_SQL.bind, opened.uid, *bound)
        return opened.uid
    uid = _new_uid(place.channel)
    await connection.execute(_SQL.open, *place.row(uid, received_at, "report"), *bound)
    return uid


async def _reported_before(
    connection: Any, place: _Place, report: Report, digest: bytes, received_at: datetime
) -> _Found | None:
    channel = place.channel
    if report.call_id is not None:
        # Locked by itself, for a report may come again with another number.
        await connection.execute(_SQL.lock, f"call:{channel.id}:{report.call_id}")
        return _found(await connection.fetchrow(_SQL.reported_by_id, channel.account_id, channel.id, report.call_id))
    since = None if _names_a_call(report) else received_at - _span(channel.nameless.slack_seconds)
    return _found(await connection.fetchrow(_SQL.reported_alike, channel.account_id, channel.id, digest, since))


def _found(row: asyncpg.Record | None) -> _Found | None:
    return None if row is None else _Found(*row)


def _names_a_call(report: Report) -> bool:
    """Whether nothing but a repetition can say the same: missed calls without id and date are all alike."""
    return report.call_id is not None or report.started_at is not None


def _window(channel: Channel, report: Report, received_at: datetime) -> tuple[datetime, datetime]:
    """Return between which moments the identity of a report was opened, if there is one."""
    windows = channel.nameless
    before = _span(windows.slack_seconds)
    duration = _span(report.duration_seconds or 0)
    if report.started_at is None or not channel.trust_clock:
        # What overtook the report by a moment is its ring too, as when it comes after it.
        return received_at - duration - before, received_at + _span(windows.late_seconds)
    return report.started_at - before, report.started_at + duration + before


def _new_uid(channel: Channel) -> UUID:
    return call_uid(channel.id, f"identity:{uuid4()}")


def _number(party: Party) -> str:
    return party.e164 or party.raw


def _digest(fields: Fields) -> bytes:
    return hashlib.sha256(orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)).digest()


def _span(seconds: float) -> timedelta:
    return timedelta(seconds=min(seconds, _LONGEST_WINDOW_SECONDS))

"""Calls of the channel-key API in the database: their numbers, and the set of events of each, under the call's lock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

from services.ingest.adapter import Event
from services.ingest.transactions import Transactions
from services.ingest.turns import Turns
from shared.db import Queries
from shared.directory import Channel
from shared.events import parse

SQL: Final = Queries.load(Path(__file__).parent / "sql" / "channel_key.sql")
DUE_SECONDS: Final = 5.0
"""How long an event may be unconfirmed before it is published again."""

MAX_EVENTS: Final = 1000
"""More are not taken about one call: each request folds them all."""

_GREATEST_NUMBER: Final = 2**63 - 1


class Known(NamedTuple):
    """A call as its row says it."""

    uid: UUID
    call_number: int
    ticket_number: int
    pbx_call_id: str | None
    pbx_user_id: str | None = None
    events: int = 0
    """How many it has."""


@dataclass(frozen=True, slots=True)
class Told:
    """What has been said of a call so far, in order; empty where the call is new."""

    known: Known
    events: Sequence[Event] = ()
    request_hashes: Sequence[bytes] = ()

    def occurrence(self, request_hash: bytes) -> int:
        """Return how often the request will have come with this one: 1 at first."""
        return self.request_hashes.count(request_hash) + 1


class New(NamedTuple):
    """An event to add to a call. With an assignee in it, `pbx_user_id` is how the PBX called him, if it did."""

    event: Event
    request_hash: bytes
    pbx_user_id: str | None = None
    repeats: bool = False
    """The sender asks for the whole call, so that all of it is published again."""


class Pending(NamedTuple):
    """An event that is stored, and not known to be with the broker."""

    event_id: UUID
    body: str
    is_due: bool = True
    """Nobody is publishing it at this moment."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A call once a request has been taken: safe, whatever becomes of the broker."""

    known: Known
    events: Sequence[Event]
    pending: Sequence[Pending]
    earlier_hashes: Sequence[bytes]
    """Of the requests before this one."""


class KeyedCalls:
    """Asks and writes. Every method raises `DatabaseUnavailable` where it can't; nothing is ever half-done."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._turns = Turns()

    async def find_by_uid(self, channel: Channel, uid: UUID) -> Known | None:
        """Return the channel's call with this uid."""
        return await self._find(SQL.find_by_uid, uid, channel)

    async def find_by_number(self, channel: Channel, number: int) -> Known | None:
        """Return the channel's call with this number."""
        return await self._find(SQL.find_by_number, number, channel) if number <= _GREATEST_NUMBER else None

    async def take_numbers(self, channel: Channel) -> tuple[int, int]:
        """Return a call's and a ticket's number that nobody else gets."""
        row: Any = await self._transactions.row(channel.id, SQL.take_numbers)
        return row["call_number"], row["ticket_number"]

    async def add(self, channel: Channel, call: Known, tell: Callable[[Told], New | None]) -> Stored:
        """Add the event that `tell` makes of what was told before, or none where it returns None.

        The call is created where it is not there yet. `tell` is pure: it runs under the call's lock, for which those of
        this process wait without a connection.
        """
        async with self._turns.of(call.uid), self._transactions.begin(channel.id) as connection:
            told, pending = await _locked(connection, channel, call)
            known, events = told.known, list(told.events)
            new = tell(told)
            if new is not None:
                if not new.repeats:
                    pending = [one for one in pending if one.is_due]
                pending.append(await _insert(connection, known.uid, len(events) + 1, new))
                events.append(new.event)
                if new.event.data.assignee is not None:
                    known = known._replace(pbx_user_id=new.pbx_user_id)
            if known.pbx_user_id != told.known.pbx_user_id:
                await connection.execute(SQL.set_pbx_user, known.uid, known.pbx_user_id)
        return Stored(known, events, pending, told.request_hashes)

    async def mark_confirmed(self, event_ids: Sequence[UUID]) -> None:
        """Note that the broker has these."""
        async with self._transactions.begin() as connection:
            await connection.execute(SQL.mark_confirmed, event_ids)

    async def claim_unconfirmed(self, most: int) -> list[Pending]:
        """Return events that are due to be published again; nobody else gets them for `DUE_SECONDS`."""
        async with self._transactions.begin() as connection:
            rows = await connection.fetch(SQL.claim_unconfirmed, most, DUE_SECONDS)
        return [Pending(*row) for row in rows]

    async def _find(self, query: str, key: object, channel: Channel) -> Known | None:
        row = await self._transactions.row(channel.id, query, key, channel.account_id, channel.id)
        return Known(*row) if row is not None else None


async def _locked(connection: Any, channel: Channel, call: Known) -> tuple[Told, list[Pending]]:
    """Lock the call's row, which is made first where there is none; return what it holds and what is unconfirmed."""
    row = await connection.fetchrow(SQL.lock_call, call.uid, channel.account_id, channel.id)
    if row is None:
        await connection.execute(
            SQL.insert_call,
            call.uid,
            channel.account_id,
            channel.id,
            call.call_number,
            call.ticket_number,
            call.pbx_call_id,
        )
        row = await connection.fetchrow(SQL.lock_call, call.uid, channel.account_id, channel.id)
    rows = await connection.fetch(SQL.events_of_call, call.uid)
    told = Told(Known(*row), [_event(each["event"]) for each in rows], [each["request_hash"] for each in rows])
    pending = [
        Pending(each["event_id"], each["unconfirmed"], each["is_due"])
        for each in rows
        if each["unconfirmed"] is not None
    ]
    return told, pending


def _event(text: str) -> Event:
    event: Any = parse(text.encode())
    made: Event = event
    return made


async def _insert(connection: Any, uid: UUID, position: int, new: New) -> Pending:
    body = new.event.to_json().decode()
    essence = new.event.model_copy(update={"data": new.event.data.model_copy(update={"raw": None})})
    await connection.execute(
        SQL.insert_event, uid, position, new.event.id, new.request_hash, essence.to_json().decode(), body, DUE_SECONDS
    )
    return Pending(new.event.id, body)

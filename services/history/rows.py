"""How a call lies in `history.calls`, and its ticket in `history.tickets`."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from time import perf_counter
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson

from services.history.metrics import FOLD_SECONDS, FOLDS
from shared.call import Call
from shared.events import CallAnswered, CallEnded, CallNoted, CallRinging, CallRouted, Event, parse

_FOLDED: Final = frozenset({CallRinging, CallAnswered, CallEnded, CallNoted, CallRouted})


class CallRow(NamedTuple):
    """The columns that `insert_calls` and `update_calls` take, in their order.

    Lists are text that PostgreSQL casts: `unnest` would flatten an array of arrays. With `uid` and `account_id` alone
    it is the row of a call of which nothing that it is folded from has come yet.
    """

    uid: UUID
    account_id: int
    channel_id: int | None = None
    provider: str | None = None
    call_key: str | None = None
    state: str | None = None
    final: bool = False
    outcome: str | None = None
    cause: str | None = None
    direction: str | None = None
    from_raw: str | None = None
    from_e164: str | None = None
    from_name: str | None = None
    to_raw: str | None = None
    to_e164: str | None = None
    to_name: str | None = None
    did_raw: str | None = None
    did_e164: str | None = None
    queue: str | None = None
    started_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    duration_seconds: float | None = None
    talk_seconds: float | None = None
    legs: str = "[]"
    answered_by: str | None = None
    locations: str = "{}"
    assignee: int | None = None
    client_id: int | None = None
    contact_id: int | None = None
    external_id: str | None = None
    call_number: int | None = None
    ticket_number: int | None = None
    comments: str = "[]"
    recordings: str = "[]"
    deleted: bool = False
    events: int = 0
    first_received_at: datetime | None = None
    last_received_at: datetime | None = None


class TicketRow(NamedTuple):
    """The columns that `write_tickets` takes, in their order."""

    uid: UUID
    account_id: int
    id: int
    channel_id: int
    department_id: int | None
    assignee: int | None


class Rows(NamedTuple):
    """What a call is stored as."""

    call: CallRow
    ticket: TicketRow | None = None


def fold(uid: UUID, account: int, events: Iterable[Event], essences: Iterable[str] = ()) -> Rows:
    """Return the rows that `events`, and those whose bodies are given, make together."""
    started = perf_counter()
    story = [*events, *(parse(essence.encode()) for essence in essences)]
    call = Call.of(story) if any(type(event) in _FOLDED for event in story) else None
    FOLDS.inc()
    FOLD_SECONDS.inc(perf_counter() - started)
    return Rows(CallRow(uid, account)) if call is None else Rows(row_of(call), ticket_of(call))


def ticket_of(call: Call) -> TicketRow | None:
    """Return the row of the call's ticket; None where no API gave it a number."""
    if call.ticket_number is None:
        return None
    return TicketRow(call.uid, call.account, call.ticket_number, call.channel_id, call.department_id, call.assignee)


def row_of(call: Call) -> CallRow:
    """Return the row of `call`."""
    from_, to, did = call.from_, call.to, call.did
    return CallRow(
        call.uid,
        call.account,
        call.channel_id,
        call.provider,
        call.call_key,
        call.state,
        call.final,
        call.outcome,
        call.cause,
        call.direction,
        from_.raw if from_ else None,
        from_.e164 if from_ else None,
        from_.name if from_ else None,
        to.raw if to else None,
        to.e164 if to else None,
        to.name if to else None,
        did.raw if did else None,
        did.e164 if did else None,
        call.queue,
        call.started_at,
        call.answered_at,
        call.ended_at,
        call.duration_seconds,
        call.talk_seconds,
        orjson.dumps(call.legs).decode() if call.legs else "[]",
        call.answered_by,
        "{" + ",".join(map(str, call.locations)) + "}",
        call.assignee,
        call.client_id,
        call.contact_id,
        call.external_id,
        call.call_number,
        call.ticket_number,
        orjson.dumps(call.comments).decode() if call.comments else "[]",
        _recordings(call) if call.recordings else "[]",
        call.deleted,
        call.events,
        call.first_received_at,
        call.last_received_at,
    )


def columns(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Turn rows into the arrays that a statement unnests."""
    return list(zip(*rows, strict=True))


def _recordings(call: Call) -> str:
    return orjson.dumps([r.model_dump(exclude_none=True) for r in call.recordings]).decode()

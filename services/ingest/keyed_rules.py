"""What a request of the channel-key API means for its call: whom it names, whether it came before, which event it is.

Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import orjson

from services.ingest.adapter import Request
from services.ingest.bodies import Fields
from services.ingest.errors import WrongField
from services.ingest.keyed_calls import New, Told
from services.ingest.providers.channel_key.asked import Create, Update
from services.ingest.providers.channel_key.mapping import Findings, Place, to_event, told
from shared.call import Call
from shared.directory import Channel
from shared.directory.snapshot import Snapshot
from shared.events import CallData, Decision, Recording
from shared.routing import decide

_STEP: Final = timedelta(microseconds=1)


class Saying(NamedTuple):
    """One request, and what had to be found out for it."""

    request: Request
    asked: Create | Update
    directory: Snapshot
    recording: Recording | None = None
    names_one_request: bool = False
    """The call was named by an `Idempotency-Key`: all that comes with it is one request, however often."""


def unknown_people(channel: Channel, asked: Create | Update, directory: Snapshot) -> list[WrongField]:
    """Return the users and groups that `asked` names and the account does not have."""
    named: dict[str, tuple[int, ...]]
    if isinstance(asked, Update):
        named = {} if asked.user_id is None else {"user_id": (asked.user_id,)}
    else:
        named = {"user_ids": asked.user_ids, "group_ids": asked.group_ids}
    wrong = []
    for field, ids in named.items():
        rows = directory.groups if field == "group_ids" else directory.users
        missing = [str(each) for each in ids if each not in rows or rows[each].account_id != channel.account_id]
        if missing:
            what = "group" if field == "group_ids" else "user"
            wrong.append(WrongField(field, f"names {what} {', '.join(missing)[:200]}, which the account does not have"))
    return wrong


def has_unmapped(channel: Channel, asked: Create | Update, directory: Snapshot) -> bool:
    """Whether `asked` names a PBX user who is nobody's."""
    named = (asked.pbx_user_id,) if isinstance(asked, Update) else asked.pbx_user_ids
    return any(name is not None and (channel.id, name) not in directory.pbx_users for name in named)


def tell(saying: Saying, before: Told) -> New | None:
    """Return the event that a request adds to what was told `before`, or None where it is a retry.

    A request that equals the latest one of its call is a retry; one that only equals an earlier one says it anew.
    """
    request_hash = hash_of(saying.request.fields)
    if saying.names_one_request and before.events:
        return None
    if before.request_hashes and before.request_hashes[-1] == request_hash:
        return None
    decision, assignee, pbx_user_id = _whom(saying)
    place = Place(
        uid=before.known.uid,
        call_number=before.known.call_number,
        ticket_number=before.known.ticket_number,
        pbx_call_id=before.known.pbx_call_id,
        is_over=bool(before.events) and Call.of(before.events).final,
        decision=next(_decisions(before), None),
    )
    found = Findings(
        decision=decision,
        assignee=assignee,
        recording=saying.recording,
        occurrence=before.occurrence(request_hash),
        time=_time(saying.request, before),
    )
    event = to_event(saying.request, saying.asked, place, found)
    return New(event, request_hash, pbx_user_id, repeats=isinstance(saying.asked, Create))


def hash_of(fields: Fields) -> bytes:
    """Return what tells one request from another."""
    return hashlib.sha256(orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)).digest()


def _whom(saying: Saying) -> tuple[Decision | None, int | None, str | None]:
    """Return who sees the call, where that is decided anew, its assignee, and the PBX's id that led to the latter."""
    request, asked, directory = saying.request, saying.asked, saying.directory
    channel_id = request.channel.id
    if isinstance(asked, Update):
        if asked.pbx_user_id is None:
            return None, asked.user_id, None
        return None, directory.pbx_users.get((channel_id, asked.pbx_user_id)), asked.pbx_user_id
    decision = decide(CallData(**told(request, asked)), directory, request.received_at)
    assignee = decision.assignee
    named = (name for name in asked.pbx_user_ids if directory.pbx_users.get((channel_id, name)) == assignee)
    return decision, assignee, next(named, None) if assignee is not None else None


def _decisions(before: Told) -> Iterator[Decision]:
    return (event.data.decision for event in reversed(before.events) if event.data.decision is not None)


def _time(request: Request, before: Told) -> datetime:
    """Return a time behind all that was told before, whatever the clocks of two replicas say: the last word stands."""
    if not before.events:
        return request.received_at
    return max(request.received_at, before.events[-1].time + _STEP)

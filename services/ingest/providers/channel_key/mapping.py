"""What is asked to the event that it is. README.md tells where each rule comes from and which are our reading."""

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from services.ingest.adapter import Event, Mapped, Request, envelope
from services.ingest.providers.channel_key.asked import IN_PROGRESS, OUTCOMES, RINGING, Create, Update, read
from services.ingest.providers.channel_key.fields import canonical
from services.ingest.values import party
from shared.call import Call, State
from shared.events import (
    Authority,
    CallAnswered,
    CallData,
    CallEnded,
    CallNoted,
    CallRinging,
    Decision,
    Direction,
    EndedData,
    Outcome,
    Recording,
)
from shared.events.ids import call_uid

_OCCURRENCE: Final = "callbus.occurrence"
_WORDS: Final = {outcome: word for word, outcome in OUTCOMES.items()} | {Outcome.UNKNOWN: "failed"}


class Place(NamedTuple):
    """The call that a request is about, as it stands."""

    uid: UUID
    call_number: int | None = None
    ticket_number: int | None = None
    pbx_call_id: str | None = None
    is_over: bool = False
    decision: Decision | None = None
    """Who sees the call, as it was decided last."""


class Findings(NamedTuple):
    """What the request itself does not say: whom it means, where its file is, how often it came before."""

    decision: Decision | None = None
    assignee: int | None = None
    recording: Recording | None = None
    occurrence: int = 1
    time: datetime | None = None


_NOTHING: Final = Findings()


def uid_of_pbx_call(channel_id: int, pbx_call_id: str) -> UUID:
    """Return the uid of the call to which the PBX gave this id."""
    return call_uid(channel_id, f"pbx:{pbx_call_id}")


def uid_of_request(channel_id: int, idempotency_key: str) -> UUID:
    """Return the uid of the call that the request with this key creates, however often it is sent."""
    return call_uid(channel_id, f"request:{idempotency_key}")


def uid_of_number(channel_id: int, call_number: int) -> UUID:
    """Return the uid of a call that has nothing but our number."""
    return call_uid(channel_id, f"number:{call_number}")


def to_events(request: Request) -> Mapped:
    """Return the one event of a request, as far as the request alone tells it. Raises `Incomplete` and `TooMuch`.

    Numbers, the assignee and the decision are given out under the lock of the call: see `to_event`.
    """
    asked = read(canonical(request.fields.items()).fields)
    return Mapped([to_event(request, asked, Place(_lone_uid(request, asked), pbx_call_id=asked.pbx_call_id))])


def _lone_uid(request: Request, asked: Create | Update) -> UUID:
    channel_id = request.channel.id
    if asked.pbx_call_id is not None:
        return uid_of_pbx_call(channel_id, asked.pbx_call_id)
    if isinstance(asked, Update) and asked.call_id is not None:
        return uid_of_number(channel_id, asked.call_id)
    return uid_of_request(channel_id, request.request_id)


def to_event(request: Request, asked: Create | Update, place: Place, found: Findings = _NOTHING) -> Event:
    """Return the event that `asked` is, in the call at `place`."""
    said = {**told(request, asked), **_added(request, place, found)}
    identity = dict(request.fields)
    if found.occurrence > 1:
        identity[_OCCURRENCE] = str(found.occurrence)

    def event(kind: Any, data: CallData) -> Event:
        made: Event = envelope(kind, request, data, identity=identity, uid=place.uid, time=found.time)
        return made

    outcome = OUTCOMES.get(asked.status)
    if outcome is not None:
        # The PBX states how it was, and may state it otherwise later: what it said last stands.
        return event(CallEnded, EndedData(**said, outcome=outcome, cause=asked.status, authority=Authority.RECORD))
    if place.is_over:
        # It stays over. What else is said of it is as much its record as the end was.
        return event(CallNoted, CallData(**said, authority=Authority.RECORD))
    return event(CallRinging if asked.status == RINGING else CallAnswered, CallData(**said))


def told(request: Request, asked: Create | Update) -> dict[str, Any]:
    """Return what the request says, as data of an event: what a decision is made on."""
    channel = request.channel
    said: dict[str, Any] = {
        "channel_id": channel.id,
        "provider": channel.provider,
        "comment": asked.comment,
        "department_id": channel.department_id,
        "leg_reopen_seconds": channel.leg_reopen_seconds,
    }
    if isinstance(asked, Update):
        return said
    incoming = asked.direction is Direction.INCOMING
    return said | {
        "direction": asked.direction,
        "from_" if incoming else "to": party(asked.phone, channel.country),
        "user_ids": asked.user_ids or None,
        "group_ids": asked.group_ids or None,
        "pbx_user_ids": asked.pbx_user_ids or None,
    }


def _added(request: Request, place: Place, found: Findings) -> dict[str, Any]:
    return {
        "call_key": place.pbx_call_id,
        "call_number": place.call_number,
        "ticket_number": place.ticket_number,
        # Carried on by updates, so that whoever reads one alone knows who sees the call.
        "decision": found.decision or place.decision,
        "assignee": found.assignee,
        "recording": found.recording,
        "raw": request.raw,
    }


def status_of(call: Call) -> str:
    """Return a call's state in the API's words."""
    if call.state is State.RINGING:
        return RINGING
    if call.state is State.IN_PROGRESS:
        return IN_PROGRESS
    return _WORDS[call.outcome or Outcome.UNKNOWN]

"""Telecube's words to ours. Its events and statuses are documented, the names of its fields are not: see README.md."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from services.ingest.adapter import Mapped, Request, arrival_identity, envelope, too_long
from services.ingest.bodies import Fields
from services.ingest.errors import Incomplete, Unrecognised, WrongField
from services.ingest.values import moment, party, seconds
from shared.events import Authority, CallData, CallEnded, CallRinging, Direction, EndedData, Outcome, Party

_STARTS: Final = frozenset({"queue_start", "call_start"})
_CALL_END: Final = "call_end"
_QUEUE_END: Final = "queue_hangup"
_OF_A_QUEUE: Final = frozenset({"queue_start", _QUEUE_END})
_EVENTS: Final = _STARTS | {_CALL_END, _QUEUE_END}

# Under which names a value may come, likeliest first.
_EVENT: Final = ("event", "type", "action")
_CALL_KEY: Final = ("uniqueid", "call_id", "callid", "uuid")
_CALLER: Final = ("caller", "src", "from", "numbera")
_CALLED: Final = ("called", "dst", "to", "numberb", "did")
_QUEUE: Final = ("queue", "queue_name")
_LEG: Final = ("extension", "sip", "agent")
_STATUS: Final = ("status", "disposition")
_START: Final = ("calldate", "date")
_SENT: Final = ("timestamp",)
_DIRECTION: Final = ("direction", "calldirection")

_OUTCOMES: Final[Mapping[str, Outcome]] = {
    "ANSWERED": Outcome.ANSWERED,
    "BUSY": Outcome.BUSY,
    "FAILED": Outcome.FAILED,
    "NOANSWER": Outcome.MISSED,
}
_DIRECTIONS: Final[Mapping[str, Direction]] = {
    "in": Direction.INCOMING,
    "incoming": Direction.INCOMING,
    "out": Direction.OUTGOING,
    "outgoing": Direction.OUTGOING,
    "internal": Direction.INTERNAL,
}
_BETWEEN_WORDS = re.compile(r"[\s_-]+")
_SHORT_NUMBER = re.compile(r"\d{1,5}")


def to_events(request: Request) -> Mapped:
    """Return the one event that a Telecube webhook tells. Raises `Incomplete` and `Unrecognised`."""
    fields = request.fields
    event = _event(fields)
    call_key = _told(fields, _CALL_KEY)
    leg = "" if event in _OF_A_QUEUE else _told(fields, _LEG)
    _check(fields, event, call_key, leg)
    if event in _STARTS:
        return _ring(request, event, call_key, leg)
    if event in _EVENTS:
        return _end(request, event, call_key, leg)
    raise Unrecognised("event", event)


def _told(fields: Fields, names: Sequence[str]) -> str:
    """Return the first of `names` that is there, without spaces around it; "" where none is."""
    return next((value for name in names if (value := fields.get(name, "").strip())), "")


def _event(fields: Fields) -> str:
    """Return the event's word, by preference one that we know: `type` and `action` may mean something else."""
    words = [word for name in _EVENT if (word := fields.get(name, "").strip())]
    known = (word.lower() for word in words if word.lower() in _EVENTS)
    return next(known, words[0] if words else "")


def _check(fields: Fields, event: str, call_key: str, leg: str) -> None:
    wrong = []
    if not event:
        wrong.append(WrongField("event", "is required (or type, action)"))
    if not call_key:
        wrong.append(WrongField("uniqueid", "is required (or call_id, callid, uuid)"))
    wrong += too_long({"uniqueid": call_key, "extension": leg, "queue": _told(fields, _QUEUE)})
    if wrong:
        raise Incomplete(wrong)


def _ring(request: Request, event: str, call_key: str, leg: str) -> Mapped:
    common, oddities = _common(request, event, call_key, leg)
    sent_at, unreadable = _moment(request, _SENT)
    # Whether a time that comes with it is this ring's or the call's is not known.
    ring = envelope(CallRinging, request, CallData(**common), identity=arrival_identity(request))
    return Mapped([ring], (*oddities, *unreadable), sent_at)


def _end(request: Request, event: str, call_key: str, leg: str) -> Mapped:
    common, oddities = _common(request, event, call_key, leg)
    fields = request.fields
    word = _told(fields, _STATUS)
    billed = seconds(fields.get("billsec"))
    outcome = _OUTCOMES.get(_BETWEEN_WORDS.sub("", word).upper()) if word else _untold_outcome(event, billed)
    lengths = _lengths(fields, billed, outcome) if event == _CALL_END else {}
    data = EndedData(
        **common,
        **lengths,
        # The end of a queue knows less than its legs; a word that we don't know less than any record.
        authority=Authority.RECORD if event == _CALL_END and outcome else Authority.LIVE,
        outcome=outcome or Outcome.UNKNOWN,
        cause=word or None,
    )
    return Mapped([envelope(CallEnded, request, data)], oddities if outcome else (*oddities, "status"))


def _untold_outcome(event: str, billed_seconds: float | None) -> Outcome | None:
    """Return what an end without a status means; None where it says nothing."""
    if event == _QUEUE_END:
        return Outcome.MISSED  # which an answered leg refines
    if billed_seconds is None:
        return None
    return Outcome.ANSWERED if billed_seconds else Outcome.MISSED


def _lengths(fields: Fields, billed_seconds: float | None, outcome: Outcome | None) -> dict[str, object]:
    duration = seconds(fields.get("duration"))
    if billed_seconds is None and outcome is Outcome.ANSWERED:
        billed_seconds = duration
    return {"talk_seconds": billed_seconds, "duration_seconds": duration}


def _common(request: Request, event: str, call_key: str, leg: str) -> tuple[dict[str, object], tuple[str, ...]]:
    """Return what every event of this provider carries, and the names of fields that were not understood."""
    fields, channel = request.fields, request.channel
    caller, called = _party(request, _CALLER), _party(request, _CALLED)
    queue = _told(fields, _QUEUE)
    word = _told(fields, _DIRECTION).lower()
    if word:
        direction = _DIRECTIONS.get(word)
    elif queue or event in _OF_A_QUEUE:
        direction = Direction.INCOMING
    else:
        direction = _by_numbers(caller, called, leg)
    started_at, unreadable = _moment(request, _START)
    common: dict[str, object] = {
        "channel_id": channel.id,
        "provider": channel.provider,
        "call_key": call_key,
        "leg": leg,
        "direction": direction,
        "from_": caller,
        "to": called,
        "did": _company_number(request, called, leg) if direction is Direction.INCOMING else None,
        "queue": queue or None,
        "started_at": started_at,
        "leg_reopen_seconds": channel.leg_reopen_seconds,
        "raw": request.raw,
    }
    return common, (("direction", *unreadable) if word and direction is None else unreadable)


def _by_numbers(caller: Party | None, called: Party | None, leg: str) -> Direction | None:
    """Return the direction of a call that does not tell it; None where no number tells it either."""
    if caller is None or not _is_extension(caller, leg):
        return Direction.INCOMING if caller or called else None
    if called is None:
        return None
    return Direction.INTERNAL if _is_extension(called, leg) else Direction.OUTGOING


def _is_extension(number: Party, leg: str) -> bool:
    raw = number.raw.strip()
    return raw == leg or _SHORT_NUMBER.fullmatch(raw) is not None


def _company_number(request: Request, called: Party | None, leg: str) -> Party | None:
    """Return the number that an incoming call came in on: the called one, unless that is an extension."""
    told = party(request.fields.get("did"), request.channel.country)
    return told or (called if called and called.e164 and not _is_extension(called, leg) else None)


def _party(request: Request, names: Sequence[str]) -> Party | None:
    parties = (party(request.fields.get(name), request.channel.country) for name in names)
    return next((found for found in parties if found), None)


def _moment(request: Request, names: Sequence[str]) -> tuple[datetime | None, tuple[str, ...]]:
    """Return the first time under `names`, and the name of what can't be read as one."""
    name = next((name for name in names if request.fields.get(name, "").strip()), None)
    if name is None:
        return None, ()
    found = moment(request.fields[name], request.channel.time_zone)
    return found, () if found else (name,)

"""VoipNow's words to ours. README.md tells where each rule comes from: VoipNow, a derivative of it, or our reading."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

from services.ingest.adapter import Event, Mapped, Request, arrival_identity, envelope, too_long
from services.ingest.bodies import Fields
from services.ingest.errors import Incomplete, WrongField
from services.ingest.values import moment, party, seconds
from shared.events import (
    Authority,
    CallAnswered,
    CallData,
    CallEnded,
    CallRinging,
    Direction,
    EndedData,
    Outcome,
    Party,
)

Flow = Literal["in", "out"]

PATH_EVENTS: Final = ("dial-in", "dial-out", "hangup", "answer-in", "answer-out")
"""The events by the last segment of the URL: genuine VoipNow does not say in the request which one it is."""

_HANGUP: Final = "hangup"
_FLOWS: Final[Mapping[str, Flow]] = {"dial-in": "in", "answer-in": "in", "dial-out": "out", "answer-out": "out"}
_OUTCOMES: Final[Mapping[str, Outcome]] = {
    "ANSWER": Outcome.ANSWERED,
    "BUSY": Outcome.BUSY,
    "NOANSWER": Outcome.MISSED,
    "CANCEL": Outcome.CANCELED,
    "CONGESTION": Outcome.FAILED,
    "CHANUNAVAIL": Outcome.FAILED,
    "UNKNOWN": Outcome.UNKNOWN,
}
_USUAL_STATUS: Final[Mapping[str, str]] = {
    "dial-in": "CALLING",
    "dial-out": "CALLING",
    "answer-in": "ANSWER",
    "answer-out": "ANSWER",
}

_EXTENDED_NUMBER = re.compile(r"\d+\*\d+")
_EXTENSION = re.compile(r"\d{1,5}|\d+\*\d+")
_MICROSECONDS_SINCE_1970 = re.compile(r"\d{15,16}", re.ASCII)
_MICROSECONDS = re.compile(r"\d{1,15}", re.ASCII)
_LONGEST_NAME: Final = 255


def to_events(request: Request) -> Mapped:
    """Return the one event that a call event of VoipNow tells. Raises `Incomplete`."""
    fields = request.fields
    flow = _flow(request)
    call_key, leg = _text(fields, "callid"), _leg(fields, flow)
    _check(call_key, leg, flow)
    sent_at = _event_time(fields)
    # Without a time of its own nothing tells a retry from the same words said anew, in an end neither.
    identity = None if sent_at else arrival_identity(request)
    common = _common(request, call_key, leg, flow)
    event: Event
    if request.event == _HANGUP:
        event = envelope(CallEnded, request, _ended(fields, common), identity=identity)
    elif request.event.startswith("answer"):
        event = envelope(CallAnswered, request, CallData(**common), identity=identity)
    else:
        event = envelope(CallRinging, request, CallData(**common), identity=identity)
    return Mapped([event], _oddities(request, flow, leg, sent_at), sent_at)


def _text(fields: Fields, name: str) -> str:
    return fields.get(name, "").strip()


def _extension(fields: Fields, name: str) -> str:
    """Return an extension; derivatives add the domain of their PBX."""
    return _text(fields, name).partition("@")[0]


def _flow(request: Request) -> Flow | None:
    """Return whether it is about the extension that was called or the one that calls; None where nothing tells."""
    told = _told_flow(request.fields)
    if told or request.event in _FLOWS:
        return told or _FLOWS[request.event]
    if _extension(request.fields, "calledextension"):
        return "in"
    return "out" if _extension(request.fields, "callerextension") else None


def _told_flow(fields: Fields) -> Flow | None:
    word = _text(fields, "callflow").lower()
    return "in" if word == "in" else "out" if word == "out" else None


def _leg(fields: Fields, flow: Flow | None) -> str:
    if flow is None:
        return ""
    extension, number = ("calledextension", "callednumber") if flow == "in" else ("callerextension", "calleridnum")
    # A short number is no name for a leg: other events of the same phone may bear the extended one.
    named, number = _extension(fields, extension), _extension(fields, number)
    return named or (number if _EXTENDED_NUMBER.fullmatch(number) else "")


def _check(call_key: str, leg: str, flow: Flow | None) -> None:
    wrong = [] if call_key else [WrongField("CallID", "is required")]
    wrong += too_long({"CallID": call_key, "CallerExtension" if flow == "out" else "CalledExtension": leg})
    if wrong:
        raise Incomplete(wrong)


def _common(request: Request, call_key: str, leg: str, flow: Flow | None) -> dict[str, object]:
    """Return what every event of this provider carries."""
    fields, channel = request.fields, request.channel
    caller = _caller(fields, channel.country)
    company = party(fields.get("calleddid"), channel.country) or party(fields.get("diversion"), channel.country)
    called = party(fields.get("callednumber"), channel.country) or party(fields.get("calleddid"), channel.country)
    direction = _direction(fields, flow, caller, called, company)
    return {
        "channel_id": channel.id,
        "provider": channel.provider,
        "call_key": call_key,
        "leg": leg,
        "direction": direction,
        "from_": caller,
        "to": called or party(_extension(fields, "calledextension"), channel.country),
        "did": company if direction is Direction.INCOMING else None,
        "says_end": "leg",
        "leg_reopen_seconds": channel.leg_reopen_seconds,
        "raw": request.raw,
    }


def _caller(fields: Fields, country: str) -> Party | None:
    """Return who calls, under the name that goes with the number."""
    remote = party(fields.get("remotenumber"), country)
    if remote:
        return remote
    name = (_text(fields, "calleridname") or _text(fields, "calleridnam"))[:_LONGEST_NAME] or None
    caller = party(fields.get("calleridnum"), country) or party(_extension(fields, "callerextension"), country)
    return caller.model_copy(update={"name": name}) if caller and name else caller


def _direction(
    fields: Fields, flow: Flow | None, caller: Party | None, called: Party | None, company: Party | None
) -> Direction | None:
    if flow is None:
        return None
    if flow == "out":
        among_us = _extension(fields, "calledextension") or _is_extension(called)
        return Direction.INTERNAL if among_us else Direction.OUTGOING
    if company or _text(fields, "remotenumber"):
        return Direction.INCOMING
    if _is_extension(caller):
        return Direction.INTERNAL
    among_us = _extension(fields, "callerextension") and not (caller and caller.e164)
    return Direction.INTERNAL if among_us else Direction.INCOMING


def _is_extension(number: Party | None) -> bool:
    return number is not None and _EXTENSION.fullmatch(number.raw.strip()) is not None


def _ended(fields: Fields, common: Mapping[str, object]) -> EndedData:
    word = _text(fields, "callstatus")
    outcome = _OUTCOMES.get(word.upper(), Outcome.UNKNOWN)
    authority = Authority.LIVE
    if outcome is Outcome.ANSWERED and _text(fields, "bridged").lower() == "no":
        # The queue or IVR picked up, and no person did: that outranks its own answer.
        outcome, authority = Outcome.MISSED, Authority.RECORD
    return EndedData(
        **common, authority=authority, outcome=outcome, cause=word or None, duration_seconds=_duration(fields)
    )


def _duration(fields: Fields) -> float | None:
    """Return the length that derivatives send, in microseconds."""
    text = _text(fields, "duration")
    return seconds(str(int(text) / 1e6)) if _MICROSECONDS.fullmatch(text) else None


def _event_time(fields: Fields) -> datetime | None:
    """Return the time that derivatives send, in microseconds since 1970."""
    text = _text(fields, "eventtime")
    return moment(f"{text[:-6]}.{text[-6:]}", "UTC") if _MICROSECONDS_SINCE_1970.fullmatch(text) else None


def _oddities(request: Request, flow: Flow | None, leg: str, sent_at: datetime | None) -> tuple[str, ...]:
    """Return the names of fields that were not understood, are missing, or contradict the URL."""
    fields, event = request.fields, request.event
    status, kind = _text(fields, "callstatus").upper(), _text(fields, "eventtype").lower()
    found = {
        "callstatus": bool(status)
        and (status != _USUAL_STATUS[event] if event != _HANGUP else status not in _OUTCOMES),
        "callflow": _is_flow_odd(fields, event),
        "extension": not leg,
        "eventtype": bool(kind) and kind not in (event, event.removesuffix("-in").removesuffix("-out")),
        "eventtime": bool(_text(fields, "eventtime")) and sent_at is None,
        "duration": event == _HANGUP and bool(_text(fields, "duration")) and _duration(fields) is None,
    }
    return tuple(name for name, odd in found.items() if odd)


def _is_flow_odd(fields: Fields, event: str) -> bool:
    told = _told_flow(fields)
    if _text(fields, "callflow"):
        return told is None or told != _FLOWS.get(event, told)
    # A hang-up that names both ends and not whose it is.
    both = _extension(fields, "calledextension") and _extension(fields, "callerextension")
    return event == _HANGUP and bool(both)

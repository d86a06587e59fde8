"""SuperVoIP's words to ours. README.md tells where each rule comes from and which are our reading."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from services.ingest.adapter import Mapped, Request, arrival_identity, envelope, too_long
from services.ingest.errors import Incomplete, Unrecognised, WrongField
from services.ingest.values import moment, party, seconds
from shared.events import Authority, CallData, CallEnded, CallRinging, Direction, EndedData, Outcome

_CALL_BEGINS: Final = "callstart"
_RINGS: Final = frozenset({_CALL_BEGINS, "queuestart"})
_END: Final = "callend"
_DIRECTIONS: Final[Mapping[str, Direction]] = {
    "": Direction.INCOMING,
    "in": Direction.INCOMING,
    "out": Direction.OUTGOING,
}
_OUTCOMES: Final[Mapping[str, Outcome]] = {
    "ANSWER": Outcome.ANSWERED,
    "ANSWERED": Outcome.ANSWERED,
    "NOANSWER": Outcome.MISSED,
    "BUSY": Outcome.BUSY,
    "FAILED": Outcome.FAILED,
    "CANCEL": Outcome.CANCELED,
}


def to_events(request: Request) -> Mapped:
    """Return the one event that a SuperVoIP webhook tells. Raises `Incomplete` and `Unrecognised`."""
    fields = request.fields
    status = fields.get("status", "").strip().lower()
    call_key = fields.get("callid", "").strip() or fields.get("uniqueid", "").strip()
    leg = fields.get("sipnumber", "").strip()
    _check(status, call_key, leg)
    if status in _RINGS:
        return _ring(request, status, call_key, leg)
    if status == _END:
        return _end(request, call_key, leg)
    raise Unrecognised("status", fields["status"])


def _check(status: str, call_key: str, leg: str) -> None:
    wrong = []
    if not status:
        wrong.append(WrongField("status", "is required"))
    if not call_key:
        wrong.append(WrongField("callid", "is required (or uniqueid)"))
    wrong += too_long({"callid": call_key, "sipnumber": leg})
    if wrong:
        raise Incomplete(wrong)


def _ring(request: Request, status: str, call_key: str, leg: str) -> Mapped:
    common, oddities = _common(request, call_key, leg)
    data = CallData(**common)
    # `createdat` is the same in every message of a call.
    ring = envelope(CallRinging, request, data, identity=arrival_identity(request))
    # A phone or a queue may ring long after the call began; the call itself begins when this is sent.
    sent_at = data.started_at if status == _CALL_BEGINS and not leg else None
    return Mapped([ring], oddities, sent_at)


def _end(request: Request, call_key: str, leg: str) -> Mapped:
    common, oddities = _common(request, call_key, leg)
    word = request.fields.get("disposition", "").strip()
    talked = seconds(request.fields.get("billseconds"))
    outcome = _OUTCOMES.get(word.upper().replace(" ", "")) if word else _by_billing(talked)
    if outcome is None:
        oddities = (*oddities, "disposition")
    data = EndedData(
        **common,
        # A word that we don't know ends the leg all the same; it must not outrank a record that tells the outcome.
        authority=Authority.RECORD if outcome else Authority.LIVE,
        outcome=outcome or Outcome.UNKNOWN,
        cause=word or None,
        talk_seconds=talked,
    )
    return Mapped([envelope(CallEnded, request, data)], oddities)


def _by_billing(talked_seconds: float | None) -> Outcome:
    return Outcome.ANSWERED if talked_seconds else Outcome.MISSED


def _common(request: Request, call_key: str, leg: str) -> tuple[dict[str, object], tuple[str, ...]]:
    """Return what every event of this provider carries, and the names of fields that were not understood."""
    fields, channel = request.fields, request.channel
    direction = _DIRECTIONS.get(fields.get("direction", "").strip().lower())
    called = party(fields.get("numberb"), channel.country)
    started_at, unreadable = _start(fields.get("createdat", ""), channel.time_zone)
    common: dict[str, object] = {
        "channel_id": channel.id,
        "provider": channel.provider,
        "call_key": call_key,
        "leg": leg,
        "direction": direction,
        "from_": party(fields.get("numbera"), channel.country),
        "to": called,
        "did": called if direction is Direction.INCOMING else None,
        "started_at": started_at,
        "says_end": "leg",
        "leg_reopen_seconds": channel.leg_reopen_seconds,
        "raw": request.raw,
    }
    oddities = () if direction else ("direction",)
    return common, (*oddities, "createdat") if unreadable else oddities


def _start(text: str, time_zone: str) -> tuple[datetime | None, bool]:
    started_at = moment(text, time_zone)
    return started_at, started_at is None and bool(text.strip())

"""Calls of hooks that speak our own names, or those of their channel's mapping. README.md is for who sends them."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from services.ingest.adapter import LONGEST_ID, Event, Mapped, Request, arrival_identity, envelope, too_long
from services.ingest.errors import Incomplete, Unrecognised, WrongField
from services.ingest.providers.generic.reading import LISTS, Reader, Sent, reader_of
from services.ingest.values import moment, party, seconds
from shared.events import (
    Authority,
    CallAnswered,
    CallData,
    CallEnded,
    CallNoted,
    CallRinging,
    Direction,
    EndedData,
    Outcome,
    Party,
    Recording,
)

_LONGEST_URL: Final = 2000
_MOST_ADDRESSED: Final = 500
_LARGEST_ID: Final = 2**63 - 1


class _Told(NamedTuple):
    """What a request tells, checked."""

    kind: str
    data: dict[str, Any]
    at: datetime | None
    """The provider's time of it."""


def to_events(request: Request) -> Mapped:
    """Return the one event that a request tells, or none. Raises `Incomplete`, `Unrecognised` and `Misconfigured`."""
    reader = reader_of(request.channel)
    sent = reader.read(request.fields)
    word, kind = sent.word("event")
    if word and kind is None:
        raise Unrecognised(reader.their("event"), word)
    if kind == "ignored":
        return Mapped([])
    told = _Told(kind or "", *_checked(request, reader, sent, kind or ""))
    event = _event(request, reader, sent, told)
    # What a record or a note tells may be long over; all else is sent while it happens.
    live = kind != "noted" and told.data["authority"] is Authority.LIVE
    return Mapped([event], tuple(sent.odd), told.at if live else None)


def _checked(request: Request, reader: Reader, sent: Sent, kind: str) -> tuple[dict[str, Any], datetime | None]:
    """Return the event's data and its time. Raises `Incomplete` with all that is wrong."""
    wrong: list[WrongField] = []
    if not kind:
        _name(reader, sent, "event", wrong, required=True)
    call_key = _name(reader, sent, "call", wrong, required=True)
    leg, user = _name(reader, sent, "leg", wrong), _name(reader, sent, "user", wrong)
    at = _time(request, reader, sent, wrong)
    addressed = _addressed(reader, sent, wrong)
    if wrong:
        raise Incomplete(wrong)
    if reader.mapping.ends == "call" and kind == "ended":
        leg = ""
    names = {"call_key": call_key, "leg": leg, "user": user or None}
    return {**_common(request, reader, sent), **addressed, **names}, at


def _name(reader: Reader, sent: Sent, name: str, wrong: list[WrongField], *, required: bool = False) -> str:
    """Return the name in a field that says what is told: left out, it would be told of something else."""
    text, theirs = sent.text(name), reader.their(name)
    wrong += too_long({theirs: text})
    if theirs in sent.odd:
        wrong.append(WrongField(theirs, "is a list or an object, not a text"))
    elif required and not text:
        wrong.append(WrongField(theirs, "is required"))
    return text


def _time(request: Request, reader: Reader, sent: Sent, wrong: list[WrongField]) -> datetime | None:
    text = sent.text("time")
    at = moment(text, request.channel.time_zone, reader.mapping.time_format)
    if at is None and reader.mapping.time == "always":
        detail = "can't be read as a time" if text else "is required: every message of this channel tells its time"
        wrong.append(WrongField(reader.their("time"), detail))
    elif at is None and text:
        sent.note_odd("time")
    return at


def _addressed(reader: Reader, sent: Sent, wrong: list[WrongField]) -> dict[str, object]:
    """Return whom the call is addressed to. What can't be read is refused: left out, it would be shown to others."""
    given = {name: items for name in LISTS if (items := sent.items(name)) is not None}
    if len(given) > 1:
        names = ", ".join(reader.their(name) for name in given)
        wrong.append(WrongField(reader.their(next(iter(given))), f"only one of {names} can be given"))
    addressed: dict[str, object] = {}
    for name, items in given.items():
        if len(items) > _MOST_ADDRESSED:
            wrong.append(WrongField(reader.their(name), f"has more than {_MOST_ADDRESSED} entries"))
        elif name == "pbx_user_ids":
            if not all(0 < len(item) <= LONGEST_ID for item in items):
                wrong.append(WrongField(reader.their(name), "is a list of ids"))
            addressed[name] = tuple(items)
        else:
            ids = [_whole(item) for item in items]
            if None in ids:
                wrong.append(WrongField(reader.their(name), "is a list of whole numbers"))
            addressed[name] = tuple(ids)
    return addressed


def _whole(text: str) -> int | None:
    if not (text.isascii() and text.isdecimal() and len(text) <= 19):
        return None
    value = int(text)
    return value if 1 <= value <= _LARGEST_ID else None


def _common(request: Request, reader: Reader, sent: Sent) -> dict[str, Any]:
    """Return what any event may carry; what can't be used is left out, and odd."""
    channel, mapping = request.channel, reader.mapping
    direction = _word(sent, "direction")

    def length(text: str) -> float | None:
        return seconds(text, mapping.durations)

    started_at = _usable(sent, "started_at", lambda text: moment(text, channel.time_zone, mapping.time_format))
    return {
        "channel_id": channel.id,
        "provider": channel.provider,
        "authority": Authority.RECORD if _word(sent, "authority") == "record" else Authority.LIVE,
        "direction": Direction(direction) if direction else None,
        "from_": _party(sent, "from", channel.country),
        "to": _party(sent, "to", channel.country),
        "did": _number(sent, "did", channel.country),
        "queue": _short(sent, "queue"),
        "started_at": started_at,
        "cause": _short(sent, "cause"),
        "duration_seconds": _usable(sent, "duration_seconds", length),
        "talk_seconds": _usable(sent, "talk_seconds", length),
        "recording": _usable(sent, "recording", _recording),
        "comment": sent.text("comment") or None,
        "client_id": _usable(sent, "client_id", _whole),
        "contact_id": _usable(sent, "contact_id", _whole),
        "external_id": _short(sent, "external_id"),
        "says_end": "leg" if mapping.ends == "leg" else "call",
        "leg_reopen_seconds": channel.leg_reopen_seconds,
        "raw": request.raw,
    }


def _word(sent: Sent, name: str) -> str | None:
    word, ours = sent.word(name)
    if word and ours is None:
        sent.note_odd(name)
    return ours


def _usable(sent: Sent, name: str, read: Callable[[str], Any]) -> Any:
    text = sent.text(name)
    value = read(text) if text else None
    if text and value is None:
        sent.note_odd(name)
    return value


def _short(sent: Sent, name: str) -> str | None:
    return _usable(sent, name, lambda text: text if len(text) <= LONGEST_ID else None)  # type: ignore[no-any-return]


def _party(sent: Sent, name: str, country: str) -> Party | None:
    number, called = _number(sent, name, country), _short(sent, f"{name}_name")
    if called is None:
        return number
    return (number or Party()).model_copy(update={"name": called})


def _number(sent: Sent, name: str, country: str) -> Party | None:
    written = sent.written(name)
    if len(written) > LONGEST_ID:
        sent.note_odd(name)
        return None
    return party(written, country)


def _recording(text: str) -> Recording | None:
    if len(text) > _LONGEST_URL or not text.isprintable():
        return None
    try:
        parts = urlsplit(text)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:  # such as a broken IPv6 address
        return None
    return Recording(url=text) if is_web else None


def _event(request: Request, reader: Reader, sent: Sent, told: _Told) -> Event:
    ordered_at = told.at if reader.mapping.time == "always" and request.channel.trust_clock else None
    if told.kind == "ended":
        return envelope(CallEnded, request, _ended(sent, told.data), time=ordered_at)
    data = CallData(**told.data)
    if told.kind == "answered":
        return envelope(CallAnswered, request, data, time=ordered_at)
    if told.kind == "noted":
        return envelope(CallNoted, request, data, time=ordered_at)
    identity = None if told.at else arrival_identity(request)
    return envelope(CallRinging, request, data, identity=identity, time=ordered_at)


def _ended(sent: Sent, data: dict[str, Any]) -> EndedData:
    word, ours = sent.word("outcome")
    if word and ours is None:
        sent.note_odd("outcome")
    outcome = Outcome(ours) if ours else _by_talk(word, data["talk_seconds"])
    # An outcome that we don't know ends the call or leg all the same; it must not outrank a record that tells one.
    authority = Authority.LIVE if outcome is Outcome.UNKNOWN else data["authority"]
    cause = data["cause"] or (word[:LONGEST_ID] if word and word != ours else None)
    return EndedData(**{**data, "outcome": outcome, "authority": authority, "cause": cause})


def _by_talk(word: str, talk_seconds: float | None) -> Outcome:
    """Return the outcome of an end that does not tell it: who has talked was answered."""
    return Outcome.ANSWERED if talk_seconds and not word else Outcome.UNKNOWN

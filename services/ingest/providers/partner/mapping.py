"""The partner API's words to ours. README.md tells where each rule comes from and which are our reading."""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

from services.ingest.adapter import Mapped, Request, envelope
from services.ingest.bodies import Fields
from services.ingest.errors import Incomplete, WrongField
from services.ingest.values import moment, party, seconds
from shared.directory import Channel
from shared.events import Authority, CallData, CallEnded, CallRinging, Direction, EndedData, Outcome, Party, Recording

_COMMANDS: Final = {word: word for word in ("setup", "event", "history")}
_SETUPS: Final = {"enable": True, "disable": False}
_DIRECTIONS: Final[Mapping[str, Direction]] = {str(direction): direction for direction in Direction}
_OUTCOMES: Final[Mapping[str, Outcome]] = {
    "success": Outcome.ANSWERED,
    "missed": Outcome.MISSED,
    "cancel": Outcome.CANCELED,
    "busy": Outcome.BUSY,
    "notavailable": Outcome.FAILED,
    "notallowed": Outcome.FAILED,
    "notfound": Outcome.FAILED,
}
_LONGEST_TEXT: Final = 255
_LONGEST_LINK: Final = 2000
_URL: Final = re.compile(r"https?://[^\s/?#\\\"<>][^\s\\\"<>]*", re.IGNORECASE)

T = TypeVar("T")


class Setup(NamedTuple):
    """Switch the integration on or off."""

    enable: bool


class Ring(NamedTuple):
    """A phone rings: `event`. `phone` is the other side's number, `diversion` the company's own."""

    direction: Direction
    phone: Party
    diversion: Party
    user: str | None


class Report(NamedTuple):
    """A call is over: `history`. The first four are as in `Ring`; `status` is the sender's own word."""

    direction: Direction
    phone: Party
    diversion: Party
    user: str | None
    call_id: str | None
    outcome: Outcome
    status: str | None
    duration_seconds: float | None
    started_at: datetime | None
    link: str | None
    oddities: tuple[str, ...]


def read(fields: Fields, channel: Channel, structured: Collection[str] = ()) -> Setup | Ring | Report:
    """Return what a body says. `structured` names the fields whose value was no text and no number.

    Raises `Incomplete` with everything that is wrong.
    """
    body = _Body(fields, structured)
    command = body.word("command", _COMMANDS, "")
    body.finish()
    if command == "setup":
        enable = body.word("type", _SETUPS, False)
        body.finish()
        return Setup(enable=enable)
    sides = Ring(
        body.word("type", _DIRECTIONS, Direction.INCOMING),
        _number(body.text("phone", required=True), channel),
        _number(body.text("diversion", required=True), channel),
        body.text("user") or None,
    )
    if command == "event":
        body.finish()
        return sides
    return _report(body, sides, channel)


def to_event(
    told: Ring | Report, request: Request, uid: UUID | None, authority: Authority = Authority.LIVE
) -> CallRinging | CallEnded:
    """Return the event that `request` tells of the call `uid` (None: of the one that its id names).

    `authority` is a ring's: `GUESS` where the call could not be looked for.
    """
    caller, called = told.phone, told.diversion
    if told.direction is Direction.OUTGOING:
        caller, called = called, caller
    common: dict[str, object] = {
        "channel_id": request.channel.id,
        "provider": request.channel.provider,
        "direction": told.direction,
        "from_": caller,
        "to": called,
        "did": told.diversion,
        "user": told.user,
        "raw": request.raw,
    }
    if isinstance(told, Ring):
        return envelope(CallRinging, request, CallData(**common, authority=authority), uid=uid)
    data = EndedData(
        **common,
        authority=Authority.RECORD,
        call_key=told.call_id,
        started_at=told.started_at,
        outcome=told.outcome,
        cause=told.status,
        duration_seconds=told.duration_seconds,
        recording=Recording(url=told.link) if told.link else None,
    )
    return envelope(CallEnded, request, data, uid=uid)


def to_events(request: Request) -> Mapped:
    """Return the event of a request by itself, without what other requests have said of the call."""
    told = read(request.fields, request.channel)
    if isinstance(told, Setup):
        return Mapped([])
    return Mapped([to_event(told, request, None)], told.oddities if isinstance(told, Report) else ())


def _report(body: "_Body", sides: Ring, channel: Channel) -> Report:
    status = body.text("status") or None
    duration = body.value("duration", seconds, "is a number of seconds")
    link, unusable = _link(body.text("link", longest=None))
    report = Report(
        *sides,
        call_id=body.text("call_id") or None,
        outcome=_outcome(body, status, duration),
        status=status,
        duration_seconds=duration,
        started_at=body.value("date", partial(moment, time_zone=channel.time_zone), "is a date with time in ISO 8601"),
        link=link,
        oddities=("link",) if unusable else (),
    )
    body.finish()
    return report


def _outcome(body: "_Body", status: str | None, duration_seconds: float | None) -> Outcome:
    if status is None:
        return Outcome.ANSWERED if duration_seconds else Outcome.MISSED
    return body.word("status", _OUTCOMES, Outcome.UNKNOWN)


def _number(text: str, channel: Channel) -> Party:
    return party(text, channel.country) or Party(raw=text)


def _link(text: str) -> tuple[str | None, bool]:
    """Return a recording's URL, and whether there was one that can't be used."""
    if not text:
        return None, False
    usable = _URL.fullmatch(text) is not None and len(text) <= _LONGEST_LINK
    return (text, False) if usable else (None, True)


class _Body:
    """Reads named values and gathers what is wrong with them. What is empty or blank is not there."""

    def __init__(self, fields: Fields, structured: Collection[str]) -> None:
        self._fields = fields
        self._structured = structured
        self._wrong: dict[str, str] = {}

    def text(self, name: str, *, required: bool = False, longest: int | None = _LONGEST_TEXT) -> str:
        """Return a value as it was written; "" where there is none."""
        text = self._fields.get(name, "").strip()
        if name in self._structured:
            self._wrong[name] = "is text or a number"
        elif required and not text:
            self._wrong[name] = "is required"
        elif longest is not None and len(text) > longest:
            self._wrong[name] = f"is longer than {longest} characters"
        return text

    def word(self, name: str, words: Mapping[str, T], otherwise: T) -> T:
        """Return what a word of a list means; it has to be there."""
        word = self.text(name, required=True).lower()
        if name not in self._wrong and word not in words:
            self._wrong[name] = f"is one of {', '.join(words)}"
        return words.get(word, otherwise)

    def value(self, name: str, parse: Callable[[str], T | None], kind: str) -> T | None:
        """Return what `parse` makes of a value, where there is one; `kind` is what it should be."""
        text = self.text(name)
        found = parse(text) if text else None
        if text and found is None and name not in self._wrong:
            self._wrong[name] = kind
        return found

    def finish(self) -> None:
        """Raise `Incomplete` where anything was wrong."""
        if self._wrong:
            raise Incomplete([WrongField(name, detail) for name, detail in self._wrong.items()])

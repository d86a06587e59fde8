"""What the partner API's fields mean, by themselves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from services.ingest.adapter import Request
from services.ingest.errors import Incomplete
from services.ingest.providers.partner import ADAPTER
from services.ingest.providers.partner.mapping import Report, Ring, Setup, read, to_event, to_events
from shared.call import Call
from shared.directory import Channel
from shared.events import Authority, CallEnded, CallRinging, Direction, Outcome, Raw

CHANNEL = Channel(id=9, account_id=1, provider="partner", name="Chain", country="US", time_zone="Europe/Warsaw")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
UID = UUID(int=7)
RING = {"command": "event", "type": "incoming", "phone": "+15550100123", "diversion": "+15550100900"}
HISTORY = {**RING, "command": "history"}


def ring(**fields: str) -> Ring:
    told = read({**RING, **fields}, CHANNEL)
    assert isinstance(told, Ring)
    return told


def report(**fields: str) -> Report:
    told = read({**HISTORY, **fields}, CHANNEL)
    assert isinstance(told, Report)
    return told


def request(fields: dict[str, str]) -> Request:
    return Request(CHANNEL, fields, NOON, "request-1", Raw.pack(b"{}"))


def wrong(fields: dict[str, str], structured: tuple[str, ...] = ()) -> dict[str, str]:
    with pytest.raises(Incomplete) as refused:
        read(fields, CHANNEL, structured)
    return dict(refused.value.errors)


def test_it_says_rings_and_the_end_of_calls_and_never_an_answer() -> None:
    assert ADAPTER.says == (True, False, "call", False, False)


@pytest.mark.parametrize(
    ("status", "duration", "expected"),
    [
        ("success", None, Outcome.ANSWERED),
        ("Success", "0", Outcome.ANSWERED),
        ("missed", "73", Outcome.MISSED),
        ("cancel", None, Outcome.CANCELED),
        ("busy", None, Outcome.BUSY),
        ("notavailable", None, Outcome.FAILED),
        ("notallowed", None, Outcome.FAILED),
        ("notfound", None, Outcome.FAILED),
        ("", "73", Outcome.ANSWERED),
        (" ", "0.5", Outcome.ANSWERED),
        ("", "0", Outcome.MISSED),
        ("", "", Outcome.MISSED),
        (None, None, Outcome.MISSED),
    ],
)
def test_how_a_call_ended(status: str | None, duration: str | None, expected: Outcome) -> None:
    fields = {"status": status, "duration": duration}
    told = report(**{name: value for name, value in fields.items() if value is not None})

    assert (told.outcome, told.status) == (expected, (status or "").strip() or None)


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("2026-03-02T10:15:04+01:00", datetime(2026, 3, 2, 9, 15, 4, tzinfo=UTC)),
        ("2026-03-02T09:15:04Z", datetime(2026, 3, 2, 9, 15, 4, tzinfo=UTC)),
        ("2026-03-02T10:15:04", datetime(2026, 3, 2, 9, 15, 4, tzinfo=UTC)),
        ("2026-07-02 10:15", datetime(2026, 7, 2, 8, 15, tzinfo=UTC)),
        ("20260302T091504Z", datetime(2026, 3, 2, 9, 15, 4, tzinfo=UTC)),
        ("1772442904", datetime(2026, 3, 2, 9, 15, 4, tzinfo=UTC)),
        ("", None),
    ],
)
def test_when_a_call_began(date: str, expected: datetime | None) -> None:
    assert report(date=date).started_at == expected


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("https://rec.example.net/1.mp3?a=b#c", ("https://rec.example.net/1.mp3?a=b#c", ())),
        ("HTTP://127.0.0.1:8080/1", ("HTTP://127.0.0.1:8080/1", ())),
        ("", (None, ())),
        ("ftp://rec.example.net/1.mp3", (None, ("link",))),
        ("javascript:alert(1)//http://", (None, ("link",))),
        ("https://", (None, ("link",))),
        ("https:///1.mp3", (None, ("link",))),
        ("https://rec.example.net/a b", (None, ("link",))),
        ('https://rec.example.net/"onload="', (None, ("link",))),
        ("https://rec.example.net/" + "x" * 2000, (None, ("link",))),
    ],
)
def test_which_links_are_recordings(link: str, expected: Any) -> None:
    told = report(link=link)

    assert (told.link, told.oddities) == expected


@pytest.mark.parametrize(
    ("direction", "caller", "called"),
    [
        ("incoming", "+15550100123", "+15550100900"),
        ("internal", "+15550100123", "+15550100900"),
        ("outgoing", "+15550100900", "+15550100123"),
    ],
)
def test_who_calls_whom(direction: str, caller: str, called: str) -> None:
    for told in (ring(type=direction), report(type=direction)):
        data = to_event(told, request(RING), UID).data
        assert (data.direction, data.from_, data.to, data.did) == (
            Direction(direction),
            data.from_ and data.from_.model_copy(update={"e164": caller}),
            data.to and data.to.model_copy(update={"e164": called}),
            told.diversion,
        )


@pytest.mark.parametrize("phone", ["7", "123456789", "+0", "anonymous", "***", "sip:201@pbx.example", "00", "x" * 255])
def test_no_number_is_refused_for_how_it_looks(phone: str) -> None:
    assert ring(phone=phone, diversion=phone).phone.raw == phone


def test_a_ring_is_live_and_a_guess_where_its_call_could_not_be_looked_for() -> None:
    live = to_event(ring(user="sip-201"), request(RING), UID)
    guess = to_event(ring(user="sip-201"), request(RING), UID, Authority.GUESS)

    assert isinstance(live, CallRinging)
    assert (live.subject, live.time, live.data.user, live.data.leg) == (UID, NOON, "sip-201", "")
    assert (live.data.authority, guess.data.authority) == (Authority.LIVE, Authority.GUESS)
    assert live.id == guess.id


def test_an_event_is_known_by_its_call_and_its_fields() -> None:
    ids = {
        to_event(ring(), request(RING), UID).id,
        to_event(ring(), request(dict(reversed(RING.items()))), UID).id,
        to_event(ring(), request({**RING, "user": "201"}), UID).id,
        to_event(ring(), request(RING), UUID(int=8)).id,
    }

    assert len(ids) == 3


def test_a_history_is_a_record_that_outranks_every_ring() -> None:
    rang = to_event(ring(user="201"), request(RING), UID)
    ended = to_event(report(status="busy", call_id="c-1", duration="3"), request(HISTORY), UID)

    assert isinstance(ended, CallEnded)
    assert (ended.data.authority, ended.data.call_key, ended.data.cause) == (Authority.RECORD, "c-1", "busy")
    assert Call.of([rang, ended]) == Call.of([ended, rang, ended])
    assert (Call.of([rang, ended]).final, Call.of([rang, ended]).outcome) == (True, Outcome.BUSY)


def test_setup_tells_of_no_call() -> None:
    setup = {"command": "setup", "type": "ENABLE"}

    assert read(setup, CHANNEL) == Setup(enable=True)
    assert read({**setup, "type": "disable"}, CHANNEL) == Setup(enable=False)
    assert to_events(request(setup)).events == []


def test_everything_that_is_wrong_is_told_at_once() -> None:
    assert wrong({}) == {"command": "is required"}
    assert wrong({"command": "cdr", "type": "x"}) == {"command": "is one of setup, event, history"}
    assert wrong({"command": "setup"}) == {"type": "is required"}
    assert wrong({"command": "event"}) == dict.fromkeys(("type", "phone", "diversion"), "is required")
    assert wrong({**HISTORY, "phone": " ", "type": "in", "status": "ok", "duration": "-1", "date": "x"}) == {
        "type": "is one of incoming, outgoing, internal",
        "phone": "is required",
        "status": "is one of success, missed, cancel, busy, notavailable, notallowed, notfound",
        "duration": "is a number of seconds",
        "date": "is a date with time in ISO 8601",
    }
    long = "is longer than 255 characters"
    names = ("phone", "diversion", "user", "call_id", "status", "duration", "date")
    assert wrong({**HISTORY, **dict.fromkeys(names, "1" * 256)}) == dict.fromkeys(names, long)
    assert wrong({**HISTORY, "user": "[]", "link": "{}"}, ("user", "link")) == dict.fromkeys(
        ("user", "link"), "is text or a number"
    )

"""Whole calls as a provider's requests, and what the call looks like by then.

    0   call_start  extension=10
    =>  ringing
    9   call_end    extension=10 status=ANSWERED
    =>  ended answered by 10
        - 10 ended answered

A line is: when it was received, in seconds; the event, which goes to the URL where the provider has it there and else
into the field `event`; further fields. What comes with every request is `base`. Claims are as in `tests.support.story`.
"""

import random
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from services.ingest.adapter import Adapter, Event
from services.ingest.intake import Arrival, Intake
from shared.call import Call
from shared.directory import Channel
from tests.support import story
from tests.unit.ingest.test_providers import Silent

START = datetime(2026, 3, 2, 9, 15, tzinfo=UTC)

Fields = Mapping[str, str]


@dataclass(frozen=True)
class Said:
    """One request."""

    seconds: float
    event: str
    fields: Fields

    def repeated(self, later_seconds: float) -> "Said":
        return Said(self.seconds + later_seconds, self.event, self.fields)


@dataclass(frozen=True)
class Claim:
    """What the requests so far make together."""

    said: tuple[Said, ...]
    look: str
    legs: list[str]


def read(text: str, base: Fields) -> list[Claim]:
    said: list[Said] = []
    claims: list[Claim] = []
    for line in (line.strip() for line in text.splitlines()):
        if line.startswith("=>"):
            claims.append(Claim(tuple(said), line[2:].strip(), []))
        elif line.startswith("-"):
            claims[-1].legs.append(line[1:].strip())
        elif line:
            seconds, event, *words = shlex.split(line)
            told = dict(word.split("=", 1) for word in words)
            said.append(Said(float(seconds), event, {**base, **told}))
    assert claims
    assert claims[-1].said == tuple(said), "a story ends with a claim"
    return claims


def channel(adapter: Adapter) -> Channel:
    return Channel(id=8, account_id=1, provider=adapter.name, name="C", country="PL", time_zone="Europe/Warsaw")


def event_of(adapter: Adapter, said: Said) -> Event:
    """Return the event of one request, sent as a form."""
    in_url = bool(adapter.path_events)
    fields = said.fields if in_url else {"event": said.event, **said.fields}
    arrival = Arrival(
        method="POST",
        query="",
        content_type="application/x-www-form-urlencoded",
        body=urlencode(fields).encode(),
        received_at=START + timedelta(seconds=said.seconds),
        request_id="story",
        traceparent=None,
    )
    mapped = Intake(Silent()).read(arrival, adapter, channel(adapter), said.event if in_url else "")
    [event] = mapped.events
    return event


def call_of(adapter: Adapter, text: str, base: Fields) -> Call:
    """Return the call that all of a story makes."""
    return Call.of(event_of(adapter, said) for said in read(text, base)[-1].said)


def check_claims(adapter: Adapter, text: str, base: Fields) -> None:
    for claim in read(text, base):
        call = Call.of(event_of(adapter, said) for said in claim.said)
        assert story.look(call) == claim.look
        if claim.legs:
            assert [story.look_of_leg(leg) for leg in call.legs] == claim.legs


def check_order_and_repeats(adapter: Adapter, text: str, base: Fields) -> None:
    """The order of arrival does not matter, nor does a message that the bus delivers again."""
    events = [event_of(adapter, said) for said in read(text, base)[-1].said]
    told = Call.of(events)
    chance = random.Random(text)
    for _ in range(30):
        arrived = events + chance.choices(events, k=3)
        chance.shuffle(arrived)
        assert Call.of(arrived) == told


def check_retries(adapter: Adapter, text: str, base: Fields) -> None:
    """A request that is sent again at once is the same event; one that comes a little later looks the same."""
    said = read(text, base)[-1].said
    events = [event_of(adapter, each) for each in said]
    told = Call.of(events)

    at_once = [event_of(adapter, each.repeated(0.5)) for each in said]
    assert [event.id for event in at_once] == [event.id for event in events]
    assert Call.of(events + at_once) == told

    soon = Call.of(events + [event_of(adapter, each.repeated(2)) for each in said])
    assert story.look(soon) == story.look(told)
    assert [story.look_of_leg(leg) for leg in soon.legs] == [story.look_of_leg(leg) for leg in told.legs]
    assert (soon.started_at, soon.ended_at, soon.answered_at) == (told.started_at, told.ended_at, told.answered_at)

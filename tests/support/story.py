"""Whole calls as text tables: what was said, second by second, and what the call looks like by then.

    0   ring    101
    4   answer  101
    =>  in_progress by 101
    9   end     101  answered
    =>  ended answered by 101

A line is: effective time in seconds, `ring` / `answer` / `end` / `note` / `route`, the leg (`*`: the call itself), then
words in any order: an outcome; an authority; `name=value` for any other field. A `=>` line says what the events above
it make together; lines below it that begin with `-` say the same of legs. Lines that begin with `#` are for people.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from shared.call import Call, Leg
from shared.events import (
    Authority,
    CallAnswered,
    CallData,
    CallEnded,
    CallNoted,
    CallRinging,
    CallRouted,
    Direction,
    EndedData,
    Event,
    Outcome,
    Party,
    Recording,
    RoutedData,
)
from shared.events.ids import call_uid, event_id

START = datetime(2026, 3, 2, 9, 15, tzinfo=UTC)
CHANNEL = 1
UID = call_uid(CHANNEL, "story")

_CLASSES = {"ring": CallRinging, "answer": CallAnswered, "end": CallEnded, "note": CallNoted}
_NUMBERS = {"duration_seconds", "talk_seconds", "leg_reopen_seconds"}
_PARTIES = {"from", "to", "did"}


@dataclass
class Check:
    """What a story claims of the events told so far."""

    events: list[Event]
    claim: str
    legs: list[str] = field(default_factory=list)


def read(text: str, uid: UUID = UID) -> tuple[list[Event], list[Check]]:
    """Return a story's events and its claims, in the order of telling."""
    events: list[Event] = []
    checks: list[Check] = []
    for line in _lines(text):
        if line.startswith("=>"):
            checks.append(Check(list(events), line[2:].strip()))
        elif line[0].isdigit():
            events.append(_event(line.split(), len(events), uid))
        else:
            checks[-1].legs.append(line.removeprefix("-").strip())
    return events, checks


def _lines(text: str) -> Iterator[str]:
    return (line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#"))


def _event(words: list[str], number: int, uid: UUID) -> Event:
    seconds, kind, leg, *rest = words
    leg = "" if leg == "*" else leg
    at = START + timedelta(seconds=float(seconds))
    fields: dict[str, Any] = {}
    received = at
    for word in rest:
        name, _, value = word.partition("=")
        if name == "received":
            received = START + timedelta(seconds=float(value))
        elif value:
            fields[name] = _value(name, value)
        elif word in set(Outcome):
            fields["outcome"] = word
        else:
            fields["authority"] = Authority[word.upper()]
    envelope: dict[str, Any] = {
        "id": event_id(uid, {"line": words}, number),
        "source": f"/ingest/supervoip/{CHANNEL}",
        "subject": uid,
        "time": at,
        "receivedat": received,
        "account": 1,
    }
    if kind == "route":
        users = tuple(int(u) for u in str(fields.pop("to_users", "")).split(",") if u)
        rank = int(fields.pop("rank"))
        routed = RoutedData(channel_id=CHANNEL, leg=leg, audience=users, rule=f"rule-{rank}", rank=rank, trigger=uid)
        return CallRouted(**envelope, data=routed)
    data = EndedData if kind == "end" else CallData
    told = data(channel_id=CHANNEL, provider="supervoip", leg=leg, **fields)
    return cast(Event, _CLASSES[kind](**envelope, data=told))


def _value(name: str, value: str) -> Any:
    if name in _PARTIES:
        return Party(raw=value)
    if name in _NUMBERS:
        return float(value)
    if name == "direction":
        return Direction(value)
    if name == "recording":
        return Recording(url=value)
    if name in {"assignee", "client_id", "contact_id", "call_number", "ticket_number", "department_id"}:
        return int(value)
    if name == "started_at":
        return START + timedelta(seconds=float(value))
    return value


def look(call: Call) -> str:
    """Return a call in the words of a claim."""
    words = [str(call.state)] if call.state else ["unmoved"]
    if call.outcome:
        words.append(str(call.outcome))
    if call.final:
        words.append("for good")
    if call.answered_by:
        words.append(f"by {call.answered_by}")
    return " ".join(words)


def look_of_leg(leg: Leg) -> str:
    return " ".join([leg.leg, str(leg.state), *([str(leg.outcome)] if leg.outcome else [])])

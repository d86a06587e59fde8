"""Random but valid call histories, by seed: rings, hunting, groups, answers, transfers, ends, notes, decisions.

`history(seed)` is one call's events in the order in which they happened; `traffic(calls, seed)` are many calls' as they
would overlap in time. The same seed gives the same events for ever.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

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
    Outcome,
    Party,
    Raw,
    Recording,
    RoutedData,
)
from shared.events.ids import call_uid, derived_id, event_id

Told = CallRinging | CallAnswered | CallEnded | CallNoted | CallRouted

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PROVIDER = "supervoip"


class Story:
    """Tells one call: each method adds an event some time after the last."""

    def __init__(self, key: str, *, account: int = 1, channel: int = 1, seed: int = 0, start: datetime = NOON) -> None:
        self.random = random.Random(f"{key}:{seed}")
        self.account, self.channel, self.key = account, channel, key
        self.uid = call_uid(channel, key)
        self.now = start
        self.direction = self.random.choice(list(Direction))
        self.caller, self.company = _number(self.random), _number(self.random)
        self.events: list[Told] = []
        self._legs_end_it = self.random.random() < 0.5

    def wait(self, least: float = 0.2, most: float = 20.0) -> None:
        self.now += timedelta(seconds=round(self.random.uniform(least, most), 3))

    def ring(self, leg: str = "") -> None:
        self._add(CallRinging, CallData, leg=leg)

    def answer(self, leg: str = "") -> None:
        self._add(CallAnswered, CallData, leg=leg)

    def end(self, outcome: Outcome, leg: str = "", authority: Authority = Authority.LIVE) -> None:
        talked = round(self.random.uniform(1, 600), 1) if outcome is Outcome.ANSWERED else None
        self._add(
            CallEnded,
            EndedData,
            leg=leg,
            outcome=outcome,
            authority=authority,
            cause=outcome.upper(),
            talk_seconds=talked,
        )

    def note(self, **fields: Any) -> None:
        self._add(CallNoted, CallData, **fields)

    def route(self, leg: str = "") -> None:
        """Decide on the latest event of `leg`; its time is the trigger's."""
        trigger = self.events[-1]
        users = tuple(sorted(self.random.sample(range(1, 9), self.random.randint(0, 3))))
        rank = self.random.randint(1, 5)
        data = RoutedData(
            channel_id=self.channel,
            leg=leg,
            trigger=trigger.id,
            audience=users,
            locations=tuple(sorted(self.random.sample(range(1, 4), self.random.randint(0, 2)))),
            assignee=users[0] if len(users) == 1 else None,
            rule=("call", "user", "diversion", "channel", "everyone")[rank - 1],
            rank=rank,
            directory_version=self.random.randint(1, 50),
        )
        self.events.append(
            CallRouted(
                id=derived_id(trigger.id, leg, data.model_dump_json()),
                source="/routing",
                time=trigger.time,
                receivedat=trigger.receivedat + timedelta(milliseconds=3),
                account=self.account,
                requestid=trigger.requestid,
                subject=self.uid,
                data=data,
            )
        )

    def _add(self, event: type[Any], data: type[Any], *, leg: str = "", **fields: Any) -> None:
        self.wait()
        ordinal = len(self.events)
        said = {"callid": self.key, "n": ordinal, "status": event.__name__, "sipnumber": leg, "numberA": self.caller}
        body = orjson.dumps({**said, "padding": "ą" * self.random.choice((5, 60, 300))})
        self.events.append(
            event(
                id=event_id(self.uid, said),
                source=f"/ingest/{PROVIDER}/{self.channel}",
                time=self.now,
                receivedat=self.now + timedelta(milliseconds=self.random.randint(1, 900)),
                account=self.account,
                requestid=f"req-{self.key}-{ordinal}",
                subject=self.uid,
                data=data(
                    channel_id=self.channel,
                    provider=PROVIDER,
                    call_key=self.key,
                    leg=leg,
                    direction=self.direction,
                    from_=Party(raw=self.caller, e164=f"+{self.caller}"),
                    to=Party(raw=self.company, e164=f"+{self.company}"),
                    did=Party(raw=self.company, e164=f"+{self.company}"),
                    says_end="leg" if self._legs_end_it else "call",
                    raw=Raw.pack(body, content_type="application/json"),
                    **fields,
                ),
            )
        )


def history(seed: int, *, account: int = 1, channel: int = 1, start: datetime = NOON) -> list[Told]:
    """Return the events of call number `seed`, in order of effective time: from one to a few dozen."""
    story = Story(f"call-{seed}", account=account, channel=channel, seed=seed, start=start)
    _SCRIPTS[seed % len(_SCRIPTS)](story)
    return story.events


def traffic(
    calls: int, *, seed: int = 0, accounts: Sequence[int] = (1,), start: datetime = NOON
) -> Iterator[list[Told]]:
    """Yield the histories of many calls, a few seconds apart, account `n` on channel `n`."""
    clock = random.Random(seed)
    for number in range(calls):
        account = accounts[number % len(accounts)]
        start += timedelta(seconds=clock.uniform(0, 5))
        yield history(seed * 1_000_003 + number, account=account, channel=account, start=start)


def shuffled_with_repeats(events: Sequence[Told], *, seed: int = 0, repeated: float = 1 / 3) -> list[Told]:
    """Return all `events` in random order, a part of them twice: half of those as received again later."""
    draw = random.Random(seed)
    again = draw.sample(list(events), round(len(events) * repeated))
    copies = [
        e if draw.random() < 0.5 else e.model_copy(update={"receivedat": e.receivedat + timedelta(seconds=7)})
        for e in again
    ]
    everything = [*events, *copies]
    draw.shuffle(everything)
    return everything


def uids(histories: Sequence[Sequence[Told]]) -> list[UUID]:
    """Return the calls' uids."""
    return [events[0].subject for events in histories]


def _number(draw: random.Random) -> str:
    return f"4822{draw.randint(0, 9_999_999):07d}"


def _missed(s: Story) -> None:
    s.ring()
    s.route()
    s.end(s.random.choice([Outcome.MISSED, Outcome.BUSY, Outcome.CANCELED, Outcome.FAILED]))


def _answered(s: Story) -> None:
    s.ring()
    s.route()
    s.answer()
    s.note(comment=f"asked about {s.random.randint(1, 99)} things")
    s.end(Outcome.ANSWERED)
    s.end(Outcome.ANSWERED, authority=Authority.RECORD)


def _hang_up_only(s: Story) -> None:
    s.end(s.random.choice(list(Outcome)))


def _group(s: Story) -> None:
    legs = [str(101 + n) for n in range(s.random.randint(2, 5))]
    s.ring()
    for leg in legs:
        s.ring(leg)
        s.route(leg)
    taker = s.random.choice([*legs, None])
    if taker:
        s.answer(taker)
    for leg in legs:
        s.end(Outcome.ANSWERED if leg == taker else Outcome.MISSED, leg)
    if s.random.random() < 0.7:
        s.end(Outcome.ANSWERED if taker else Outcome.MISSED)


def _hunting(s: Story) -> None:
    for _ in range(s.random.randint(2, 4)):
        leg = str(s.random.randint(101, 103))
        s.ring(leg)
        s.route(leg)
        s.wait(5, 30)
        s.end(s.random.choice([Outcome.MISSED, Outcome.BUSY]), leg)
    if s.random.random() < 0.5:
        s.ring("109")
        s.answer("109")
        s.end(Outcome.ANSWERED, "109")


def _transfer(s: Story) -> None:
    s.ring("101")
    s.answer("101")
    s.ring("102")
    s.end(Outcome.ANSWERED, "101")
    s.answer("102")
    s.note(recording=Recording(url=f"https://rec.example.net/{s.key}.mp3"))
    s.end(Outcome.ANSWERED, "102")


def _guessed(s: Story) -> None:
    s.ring()
    s.wait(120, 121)
    s.end(Outcome.UNKNOWN, authority=Authority.GUESS)
    if s.random.random() < 0.5:
        s.end(s.random.choice([Outcome.ANSWERED, Outcome.MISSED]), authority=Authority.RECORD)


def _written(s: Story) -> None:
    s.ring()
    s.end(Outcome.ANSWERED)
    s.note(assignee=s.random.randint(1, 5), authority=Authority.PERSON)
    s.note(client_id=s.random.randint(1, 99), contact_id=7, external_id=f"crm-{s.key}", authority=Authority.PERSON)
    s.note(comment="corrected by hand", authority=Authority.PERSON)
    if s.random.random() < 0.1:
        s.note(deleted=True, authority=Authority.PERSON)


def _any(s: Story) -> None:
    """Whatever a provider may come up with, in whatever order."""
    legs = ["", "", "101", "102", "103"]
    for _ in range(s.random.randint(1, 25)):
        leg = s.random.choice(legs)
        what = s.random.random()
        if what < 0.4:
            s.ring(leg)
        elif what < 0.6:
            s.answer(leg)
        elif what < 0.9:
            s.end(s.random.choice(list(Outcome)), leg, s.random.choice(list(Authority)))
        else:
            s.note(leg=leg, comment=s.random.choice(["a", "b", 'quote " and \\ and ,}']))


_SCRIPTS = (_missed, _answered, _hang_up_only, _group, _hunting, _transfer, _guessed, _written, _any)

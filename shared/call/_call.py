"""What a call looks like."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import cast, overload
from uuid import UUID

from shared.call._legs import ITSELF, Movement, Track, move
from shared.call._order import Folded, Told, distinct
from shared.call._told import comments, describe, duration_seconds, recordings, seen_by, talk_seconds
from shared.events import (
    CallEnded,
    CallNoted,
    CallRouted,
    ContactMatch,
    Direction,
    Event,
    Outcome,
    Party,
    Recording,
)


class State(StrEnum):
    RINGING = "ringing"
    IN_PROGRESS = "in_progress"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Leg:
    """One extension's (or PBX user's) part in a call, as its latest round stands."""

    leg: str
    state: State
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    outcome: Outcome | None
    talk_seconds: float | None


@dataclass(frozen=True, slots=True)
class Call:
    """A call as all of its events together say it is. Times are effective times unless they say otherwise."""

    uid: UUID
    account: int
    channel_id: int
    provider: str
    call_key: str | None

    state: State | None
    """None while nothing but notes is known of the call."""
    final: bool
    """It has ended for good; an ended call that is not final comes back when another leg starts."""
    outcome: Outcome | None
    """None until it has ended."""
    cause: str | None
    """The provider's own word for the outcome."""

    direction: Direction | None
    from_: Party | None
    to: Party | None
    did: Party | None
    queue: str | None

    started_at: datetime
    answered_at: datetime | None
    """First answer; None also where the provider never says it."""
    ended_at: datetime | None
    duration_seconds: float | None
    talk_seconds: float | None
    """As told; where nobody tells it, from the first answer to the end; None where that isn't known either."""

    legs: tuple[Leg, ...]
    """By start, then name. Empty where the provider names none."""
    answered_by: str | None
    """Name of the answered leg that was last alive: who has, or had, the call."""

    audience: tuple[int, ...]
    """Users who must see it now (of an ended call: who had to), ascending."""
    locations: tuple[int, ...]
    assignee: int | None
    contacts: tuple[ContactMatch, ...]

    client_id: int | None
    contact_id: int | None
    external_id: str | None
    call_number: int | None
    ticket_number: int | None
    department_id: int | None
    """Where its ticket goes."""
    comments: tuple[str, ...]
    """Every different comment, in order."""
    recordings: tuple[Recording, ...]
    """Every different recording, in order."""
    deleted: bool

    events: int
    """How many different events it was made of."""
    first_received_at: datetime
    last_received_at: datetime
    """Our clock, at the first and at the last of them."""

    @classmethod
    def of(cls, events: Iterable[Event]) -> "Call":
        """Return the call that `events` tell of: in any order, each any number of times.

        Takes every `call.*` event of one uid but `call.missed*`, which are ignored as are cards and agents.
        Raises `ValueError` for none, or for those of several calls.
        """
        folded = distinct(events)
        if not folded:
            raise ValueError("a call is made of at least one call event")
        first = folded[0]
        if any(e.subject != first.subject for e in folded):
            raise ValueError("events of several calls")
        told = [cast(Told, e) for e in folded if type(e) is not CallRouted]
        decisions = [e for e in folded if type(e) is CallRouted]
        return _look(cls, folded, told, decisions)


def _look(cls: type[Call], folded: Sequence[Folded], told: Sequence[Told], decisions: Sequence[CallRouted]) -> Call:
    at = move(told)
    fields = describe(told)
    state, ended_at = _state(at)
    ended = state is State.ENDED
    end = at.deciding_end()
    answers = [t.first_answered_at for t in at.tracks.values() if t.first_answered_at is not None]
    answered_at = _not_after(ended_at, min(answers, default=None))
    talked = talk_seconds(told, at)
    if talked is None and ended_at is not None and answered_at is not None:
        talked = max(0.0, (ended_at - answered_at).total_seconds())
    audience, standing = seen_by(decisions, at)
    if fields["assignee"] is None:
        fields["assignee"] = next((d.data.assignee for d in reversed(standing) if d.data.assignee is not None), None)
    return cls(
        uid=folded[0].subject,
        account=folded[0].account,
        channel_id=folded[0].data.channel_id,
        provider=told[0].data.provider if told else "",
        state=state,
        final=bool(at.ends),
        outcome=at.outcome() if ended else None,
        cause=_cause(told, end) if ended else None,
        started_at=_started_at(folded, told),
        answered_at=answered_at,
        ended_at=ended_at,
        duration_seconds=duration_seconds(told),
        talk_seconds=talked,
        legs=_legs(at, ended_at),
        answered_by=_answered_by(at),
        audience=audience,
        locations=tuple(sorted({location for d in standing for location in d.data.locations})),
        contacts=tuple(dict.fromkeys(contact for d in standing for contact in d.data.contacts)),
        comments=comments(told),
        recordings=recordings(told),
        deleted=any(e.data.deleted for e in told),
        events=len(folded),
        first_received_at=min(e.receivedat for e in folded),
        last_received_at=max(e.receivedat for e in folded),
        **fields,
    )


def _state(at: Movement) -> tuple[State | None, datetime | None]:
    if at.ends:
        return State.ENDED, at.ends[0].time
    if at.live:
        return State.IN_PROGRESS if at.talked else State.RINGING, None
    if not at.tracks:
        return None, None
    return State.ENDED, max(t.ended_at for t in at.tracks.values() if t.ended_at is not None)


def _started_at(folded: Sequence[Folded], told: Sequence[Told]) -> datetime:
    moving = [e.time for e in told if type(e) is not CallNoted] or [e.time for e in folded]
    return min([*moving, *(e.data.started_at for e in told if e.data.started_at is not None)])


def _cause(told: Sequence[Told], end: CallEnded | None) -> str | None:
    """Return the provider's word of the deciding end; where legs decide, the last leg's."""
    if end is not None:
        return end.data.cause
    return next((e.data.cause for e in reversed(told) if type(e) is CallEnded and e.data.cause), None)


def _legs(at: Movement, ended_at: datetime | None) -> tuple[Leg, ...]:
    outcome = at.outcome() if at.ends else None
    legs = [_leg(t, outcome, ended_at) for t in at.tracks.values() if t.leg != ITSELF]
    return tuple(sorted(legs, key=lambda leg: (leg.started_at, leg.leg)))


def _leg(track: Track, outcome: Outcome | None, ended_at: datetime | None) -> Leg:
    """Return a leg as it stands. The end of the call ends the legs that were left; `outcome` is the call's by then.

    A leg that was over by a guess alone counts as left.
    """
    state, settled, over_at = State.ENDED, track.settled, track.ended_at
    if track.live and outcome is None:
        state = State.RINGING if track.answered_at is None else State.IN_PROGRESS
        settled = over_at = None
    elif outcome is not None and (track.live or track.guessed):
        over_at = ended_at
        if track.answered_at is not None:
            settled = Outcome.ANSWERED
        else:
            settled = Outcome.CANCELED if outcome is Outcome.ANSWERED else outcome  # answered elsewhere
    return Leg(
        leg=track.leg,
        state=state,
        started_at=_not_after(over_at, track.started_at),
        answered_at=_not_after(over_at, track.answered_at),
        ended_at=over_at,
        outcome=settled,
        talk_seconds=track.talked_seconds,
    )


@overload
def _not_after(end: datetime | None, at: datetime) -> datetime: ...
@overload
def _not_after(end: datetime | None, at: datetime | None) -> datetime | None: ...
def _not_after(end: datetime | None, at: datetime | None) -> datetime | None:
    """Return `at`, at the latest `end`: what is told after an end happened before it."""
    return end if end is not None and at is not None and at > end else at


def _answered_by(at: Movement) -> str | None:
    """Return the leg that talks, of several the last to answer; with none, the one that talked last."""
    had = [(t.talking, t.last_talked_at, t.leg) for t in at.tracks.values() if t.leg != ITSELF and t.last_talked_at]
    return max(had)[2] if had else None

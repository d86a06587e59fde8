"""How the legs of a call move, and the call itself where events name no leg."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.call._order import Told
from shared.events import Authority, CallAnswered, CallEnded, CallRinging, Outcome

ITSELF = ""
"""The track of what is said of the call itself, beside those of its legs."""

_OPEN_TO_DOUBT = {Outcome.MISSED, Outcome.CANCELED, Outcome.UNKNOWN}
_BEST_FIRST = {
    outcome: rank
    for rank, outcome in enumerate(
        (Outcome.ANSWERED, Outcome.BUSY, Outcome.CANCELED, Outcome.MISSED, Outcome.FAILED, Outcome.UNKNOWN)
    )
}


def refined(outcome: Outcome, authority: Authority, *, answered: bool) -> Outcome:
    """Return `answered` where somebody did answer and the end merely did not know of it."""
    if answered and outcome in _OPEN_TO_DOUBT and authority <= Authority.LIVE:
        return Outcome.ANSWERED
    return outcome


def best(outcomes: Iterable[Outcome]) -> Outcome:
    """Return what several legs make of a call: one that was answered makes it answered, and so on down."""
    return min(outcomes, key=_BEST_FIRST.__getitem__, default=Outcome.UNKNOWN)


class Track:
    """One leg's way through its rounds. A round begins with a ring (or an answer) and ends with an end."""

    __slots__ = (
        "_talked_before",
        "answered_at",
        "authority",
        "ended_at",
        "first_answered_at",
        "had_call_at",
        "leg",
        "live",
        "outcome",
        "past",
        "started_at",
        "talked_seconds",
    )

    def __init__(self, leg: str, started_at: datetime) -> None:
        self.leg = leg
        self.live = False
        self.started_at = started_at
        self.answered_at: datetime | None = None
        self.first_answered_at: datetime | None = None
        """Of all rounds."""
        self.had_call_at: datetime | None = None
        """End of the latest round that is over and was answered."""
        self.ended_at: datetime | None = None
        self.outcome: Outcome | None = None
        self.authority = Authority.GUESS
        self.talked_seconds: float | None = None
        """As told, of all rounds together."""
        self._talked_before = 0.0
        self.past: list[Outcome] = []

    @property
    def settled(self) -> Outcome | None:
        """How this round ended, knowing whether it was answered; None if nothing said how."""
        if self.outcome is None:
            return None
        return refined(self.outcome, self.authority, answered=self.answered_at is not None)

    @property
    def outcomes(self) -> list[Outcome]:
        """Of every round."""
        settled = self.settled
        return self.past if settled is None else [*self.past, settled]

    @property
    def was_answered(self) -> bool:
        return self.answered_at is not None or Outcome.ANSWERED in self.outcomes

    @property
    def talking(self) -> bool:
        return self.live and self.answered_at is not None

    @property
    def last_talked_at(self) -> datetime | None:
        """Until when it had the call, as far as is known; None if it never had."""
        if self.answered_at is not None or self.settled is Outcome.ANSWERED:
            return self.ended_at or self.answered_at
        return self.had_call_at

    @property
    def guessed(self) -> bool:
        """It is over only because Callbus supposes so."""
        return not self.live and self.ended_at is not None and self.authority == Authority.GUESS

    def ring(self, at: datetime, reopen_after: timedelta) -> None:
        if self.live:
            return
        # A ring soon after the end is the late or repeated ring of the round that ended.
        if self.ended_at is None or self.guessed or at - self.ended_at > reopen_after:
            self._begin(at)

    def answer(self, at: datetime) -> None:
        if not self.live and (self.ended_at is None or self.guessed):
            self._begin(at)
        if self.answered_at is None:
            # An answer that is told after the end is still a fact, but it can't have come after it.
            self.answered_at = at if self.live or self.ended_at is None else min(at, self.ended_at)
            self.first_answered_at = self.first_answered_at or self.answered_at

    def end(self, at: datetime, outcome: Outcome | None, authority: Authority, talk_seconds: float | None) -> None:
        """End this round, or correct how it ended: the higher authority wins, then the later word."""
        if self.live or self.guessed or self.ended_at is None:
            self.ended_at = at
        elif authority < self.authority:
            return
        self.live = False
        self.outcome, self.authority = outcome, authority
        if talk_seconds is not None:
            self.talked_seconds = self._talked_before + talk_seconds

    def _begin(self, at: datetime) -> None:
        if self.ended_at is not None:
            # A guess is withdrawn; that somebody had answered is none.
            if self.settled is not None and (not self.guessed or self.settled is Outcome.ANSWERED):
                self.past.append(self.settled)
            self.had_call_at = self.last_talked_at
            self.started_at = at
            self.answered_at = self.ended_at = self.outcome = None
            self._talked_before = self.talked_seconds or 0
            self.authority = Authority.GUESS
        self.live = True


@dataclass(slots=True)
class Movement:
    """Where the events have brought the call and its legs."""

    tracks: dict[str, Track]
    ends: list[CallEnded]
    """Ends of the call itself that count for good, in order."""
    talked: bool = False
    """Somebody has talked since the call last came alive, so it does not go back to ringing."""

    @property
    def itself(self) -> Track | None:
        return self.tracks.get(ITSELF)

    @property
    def live(self) -> list[Track]:
        return [] if self.ends else [t for t in self.tracks.values() if t.live]

    @property
    def was_answered(self) -> bool:
        return any(t.was_answered for t in self.tracks.values())

    def deciding_end(self) -> CallEnded | None:
        """Return the call's own end of the highest authority, of those the latest."""
        chosen: CallEnded | None = None
        for end in self.ends:
            if chosen is None or end.data.authority >= chosen.data.authority:
                chosen = end
        return chosen

    def outcome(self) -> Outcome:
        """Return how the call ended, given that it has."""
        end = self.deciding_end()
        if end is not None:
            return refined(end.data.outcome, end.data.authority, answered=self.was_answered)
        return best(o for t in self.tracks.values() for o in t.outcomes)


def move(events: Sequence[Told]) -> Movement:
    """Return where `events`, in their order, bring the call."""
    at = Movement({}, [])
    legs_end_it = any(e.data.says_end == "leg" for e in events)
    for event in events:
        if type(event) is CallRinging or type(event) is CallAnswered:
            _start(at, event)
        elif type(event) is CallEnded:
            _end(at, event, legs_end_it)
    return at


def _start(at: Movement, event: CallRinging | CallAnswered) -> None:
    data = event.data
    track = at.tracks.get(data.leg)
    if track is None:
        track = at.tracks[data.leg] = Track(data.leg, event.time)
    elif at.ends and track.ended_at is not None and type(event) is CallRinging:
        return  # no new round in a call that is over: the one that was stands
    if type(event) is CallRinging:
        track.ring(event.time, timedelta(seconds=data.leg_reopen_seconds))
    else:
        track.answer(event.time)
        at.talked = at.talked or track.live


def _end(at: Movement, event: CallEnded, legs_end_it: bool) -> None:
    data = event.data
    if data.leg == ITSELF:
        if data.authority > Authority.GUESS:
            at.ends.append(event)
        else:
            _end_by_guess(at, event)
    else:
        track = at.tracks.get(data.leg)
        if track is None:
            track = at.tracks[data.leg] = Track(data.leg, event.time)
        track.end(event.time, data.outcome, data.authority, data.talk_seconds)
        itself = at.itself
        if legs_end_it and itself is not None and [t for t in at.tracks.values() if t.live] == [itself]:
            # Nobody will ever end the call itself here, so its last leg takes it along, without an outcome of its own.
            itself.end(event.time, None, Authority.LIVE, None)
    if not any(t.live for t in at.tracks.values()):
        at.talked = False


def _end_by_guess(at: Movement, event: CallEnded) -> None:
    if not at.tracks:
        at.tracks[ITSELF] = Track(ITSELF, event.time)
        at.tracks[ITSELF].end(event.time, event.data.outcome, Authority.GUESS, None)
    for track in at.tracks.values():
        if track.live:
            track.end(event.time, event.data.outcome, Authority.GUESS, None)

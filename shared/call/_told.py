"""What events tell of a call beside its movements: who, which number, what was written, who must see it."""

from collections.abc import Sequence
from typing import Any

from shared.call._legs import ITSELF, Movement
from shared.call._order import Told
from shared.events import Authority, CallRouted, Recording

_FIRST_WORD = (
    "direction",
    "from_",
    "to",
    "did",
    "queue",
    "call_key",
)
_GIVEN = ("call_number", "ticket_number", "department_id")
_LAST_WORD = ("assignee", "client_id", "contact_id", "external_id")
_LIVE = int(Authority.LIVE)
_PERSON = int(Authority.PERSON)


def describe(events: Sequence[Told]) -> dict[str, Any]:
    """Return the descriptive fields of a call by name, as the highest authority tells them.

    Among equals the first word stands for what a call is (a provider's later leg may carry a colleague's extension as
    the caller) unless it is a record or a person who corrects it, and the last word for what is decided about it. What
    we gave the call ourselves no record corrects, for it is not a provider's to tell: only a person may move a ticket.
    A leg's record speaks of its leg, so for the call it counts as live.
    """
    told: dict[str, Any] = dict.fromkeys(_FIRST_WORD + _GIVEN + _LAST_WORD)
    weights: dict[str, int] = {}
    for event in events:
        said = event.data.__dict__  # half the time of thirteen attributes, one by one
        weight = said["authority"] if said["leg"] == ITSELF else min(said["authority"], _LIVE)
        given = weight if weight >= _PERSON else _LIVE
        for names, counts, last_word in (
            (_FIRST_WORD, weight, weight > _LIVE),
            (_GIVEN, given, given > _LIVE),
            (_LAST_WORD, weight, True),
        ):
            for name in names:
                value = said[name]
                if value is not None:
                    known = weights.get(name, -1)
                    if counts > known or (last_word and counts == known):
                        told[name], weights[name] = value, counts
    return told


def comments(events: Sequence[Told]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(e.data.comment for e in events if e.data.comment))


def recordings(events: Sequence[Told]) -> tuple[Recording, ...]:
    return tuple(dict.fromkeys(e.data.recording for e in events if e.data.recording))


def talk_seconds(events: Sequence[Told], at: Movement) -> float | None:
    """Return the talked time as told: by the call's own record before the sum of what its legs' records say."""
    told = _of_the_call(events, "talk_seconds")
    if told is not None:
        return told
    legs = [t.talked_seconds for t in at.tracks.values() if t.talked_seconds is not None]
    return sum(legs) if legs else None


def duration_seconds(events: Sequence[Told]) -> float | None:
    return _of_the_call(events, "duration_seconds")


def _of_the_call(events: Sequence[Told], name: str) -> float | None:
    value, authority = None, Authority.GUESS
    for event in events:
        told: float | None = getattr(event.data, name) if event.data.leg == ITSELF else None
        if told is not None and event.data.authority >= authority:
            value, authority = told, event.data.authority
    return value


def seen_by(decisions: Sequence[CallRouted], at: Movement) -> tuple[tuple[int, ...], list[CallRouted]]:
    """Return the audience, and the decisions that stand (the latest of each leg).

    The audience is that of the live legs (of an ended call: of all) at the sharpest rank among them; what was decided
    for the call itself counts only where no leg has a decision, so a later, vaguer event never widens an audience.
    """
    latest = {d.data.leg: d for d in decisions}
    legs = [d for leg, d in latest.items() if leg != ITSELF]
    if legs and at.live:
        alive = {t.leg for t in at.live}
        counting = [d for d in legs if d.data.leg in alive]
    else:
        counting = legs or list(latest.values())
    rank = min((d.data.rank for d in counting), default=0)
    audience = {user for d in counting if d.data.rank == rank for user in d.data.audience}
    return tuple(sorted(audience)), list(latest.values())

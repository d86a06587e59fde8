"""The decision: what the rules find, weighed with directions, working hours and do-not-disturb."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from shared.directory.model import Channel, Location, User
from shared.directory.snapshot import Snapshot
from shared.events import CallData, Decision, Direction
from shared.routing._hours import is_open
from shared.routing._people import People, Reached
from shared.routing._rules import Case, Found, find, route_of_number
from shared.routing._words import listed, short

_INCOMING_ALONE: Final = frozenset({"partner"})
"""Providers whose API documents that only incoming calls are shown."""

_NO_CHANNEL: Final = Decision(
    rule="unknown_channel", rank=6, sentence="The channel is not in the directory: shown to nobody."
)


class _Weighed(NamedTuple):
    """What the rules found, and what came in between."""

    found: Found
    locations: tuple[Location, ...]
    hidden: bool
    """Calls of this direction are never shown, whatever else is so."""
    closed: bool
    fallback: Reached | None
    """Who is shown the call instead of those found (closed) or beside them (all in do-not-disturb)."""


@dataclass(frozen=True, slots=True)
class Other:
    """A user who does not see a call, and why not."""

    user_id: int
    why_not: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision, and why the other users of the account do not see the call, by id."""

    decision: Decision
    others: tuple[Other, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as the APIs answer it."""
        decision = self.decision
        return {
            "audience": list(decision.audience),
            "assignee": decision.assignee,
            "locations": list(decision.locations),
            "rule": decision.rule,
            "rank": decision.rank,
            "sentence": decision.sentence,
            "others": [{"user_id": other.user_id, "why_not": other.why_not} for other in self.others],
        }


def decide(data: CallData, directory: Snapshot, at: datetime) -> Decision:
    """Return who must see what `data` tells of, a call or one leg of it, at `at` (aware; our clock).

    Never raises: a channel that is not in `directory` shows to nobody, with rule `unknown_channel`. `contacts` is
    left empty.
    """
    channel = directory.channels.get(data.channel_id)
    if channel is None:
        return _NO_CHANNEL
    people = People(directory, channel.account_id)
    return _decision(_weigh(data, directory, channel, people, at), data, channel, people)


def explain(data: CallData, directory: Snapshot, at: datetime) -> Explanation:
    """Return what `decide` does, and why everyone else of the account is not shown the call."""
    channel = directory.channels.get(data.channel_id)
    if channel is None:
        return Explanation(_NO_CHANNEL, ())
    people = People(directory, channel.account_id)
    weighed = _weigh(data, directory, channel, people, at)
    decision = _decision(weighed, data, channel, people)
    return Explanation(decision, tuple(_others(directory.users_of.get(channel.account_id, ()), decision, weighed)))


def _weigh(data: CallData, directory: Snapshot, channel: Channel, people: People, at: datetime) -> _Weighed:
    case = Case(data, directory, channel, people, route_of_number(directory, channel, data.did))
    found = find(case)
    locations = tuple(_locations(case, found))
    hidden = channel.provider in _INCOMING_ALONE and data.direction is not Direction.INCOMING
    closed = found.heeds_hours and bool(locations) and not any(is_open(place, at) for place in locations)
    needs_fallback = closed or people.all_disturbed(found.reached.users)
    return _Weighed(found, locations, hidden, closed, people.fallback() if needs_fallback else None)


def _locations(case: Case, found: Found) -> Iterator[Location]:
    """Yield where the call belongs, by id: what the route that decided says, else the number's, else the channel."""
    ids: tuple[int | None, ...] = (case.channel.location_id,)
    for route in (found.route, case.number_route):
        if route is not None and route.location_ids:
            ids = tuple(sorted(set(route.location_ids)))
            break
    for location_id in ids:
        location = case.directory.locations.get(location_id) if location_id is not None else None
        if location is not None and location.account_id == case.channel.account_id:
            yield location


def _decision(weighed: _Weighed, data: CallData, channel: Channel, people: People) -> Decision:
    audience, responsible = _audience(weighed)
    # Everything in it is made here; to validate an audience of 10,000 would cost more than to find it.
    return Decision.model_construct(
        audience=audience,
        locations=tuple(location.id for location in weighed.locations),
        assignee=responsible[0] if len(responsible) == 1 else None,
        rule=weighed.found.rule,
        rank=weighed.found.rank,
        sentence=_sentence(weighed, data, channel, people),
    )


def _audience(weighed: _Weighed) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return who is shown the call, and those of whom one alone is its assignee."""
    found = weighed.found.reached.users
    instead = weighed.fallback.users if weighed.fallback is not None else ()
    if weighed.hidden:
        return (), found
    if weighed.closed:
        return instead, instead
    if instead:
        return tuple(sorted({*found, *instead})), found
    return found, found


# --- in words


def _sentence(weighed: _Weighed, data: CallData, channel: Channel, people: People) -> str:
    found = weighed.found
    if weighed.hidden:
        direction = data.direction or "of unknown direction"
        return (
            f"{found.cause}, but channel {short(channel.name)} shows incoming calls alone and this one is {direction}:"
            " shown to nobody."
        )
    if weighed.closed:
        return f"{found.cause}, but {_closed(weighed)}: {_shown(people, *_fallback(weighed.fallback))}."
    sentence = f"{found.cause}: {_shown(people, found.reached, found.empty)}"
    added = _added(weighed)
    if added:
        sentence += f", all in do-not-disturb, so to the fallback too: {people.names(added)}"
    return sentence + "."


def _added(weighed: _Weighed) -> tuple[int, ...]:
    """Return who is added because everyone found is in do-not-disturb."""
    if weighed.fallback is None:
        return ()
    return tuple(sorted(set(weighed.fallback.users).difference(weighed.found.reached.users)))


def _closed(weighed: _Weighed) -> str:
    places = weighed.locations
    return f"{listed(places, lambda place: place.name)} {'is' if len(places) == 1 else 'are'} closed"


def _fallback(fallback: Reached | None) -> tuple[Reached, str, str]:
    if fallback is None:
        return Reached(()), "no fallback is configured", ""
    return fallback, "the fallback has no user left", " as the fallback"


def _shown(people: People, reached: Reached, empty: str, role: str = "") -> str:
    """Return "shown to Anna Nowak", or to nobody and why."""
    if reached.users:
        return f"shown to {people.names(reached.users)}{role}"
    if reached.without:
        has = "has" if len(reached.without) == 1 else "have"
        return f"shown to nobody, as {people.names(reached.without)} {has} no access to telephony"
    return f"shown to nobody, as {empty}" if empty else "shown to nobody"


def _others(users: Iterable[User], decision: Decision, weighed: _Weighed) -> Iterator[Other]:
    seeing, found = frozenset(decision.audience), frozenset(weighed.found.reached.users)
    for user in sorted(users, key=lambda user: user.id):
        if user.id in seeing:
            continue
        if not user.telephony:
            why_not = "no access to telephony"
        elif weighed.hidden:
            why_not = "only incoming calls of this channel are shown"
        elif user.id in found:
            why_not = _closed(weighed)
        else:
            why_not = weighed.found.others
        yield Other(user.id, why_not)

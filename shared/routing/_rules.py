"""The rules, the sharpest first. The first that matches decides, even where it leads to nobody: a vaguer one would show
the call to people whom it was not meant for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from shared.directory.model import Channel, Extension, Route, SipAccount
from shared.directory.snapshot import Line, Snapshot, number_tail
from shared.events import CallData, Party
from shared.phone import to_e164
from shared.routing._people import People, Reached
from shared.routing._words import counted, short

NAMED: Final = 1
BY_USER: Final = 2
BY_NUMBER: Final = 3
BY_CHANNEL: Final = 4
EVERYONE: Final = 5

_NAMES_NOBODY: Final = {
    "user_ids": "that is nobody of this account",
    "group_ids": "nobody of this account is in it",
    "pbx_user_ids": "nobody is mapped to that",
}


class Found(NamedTuple):
    """What the rule that matched leads to, before hours and states are looked at."""

    rule: str
    rank: int
    reached: Reached
    cause: str
    """Beginning of the sentence."""
    empty: str
    """Why it leads to nobody, where it names no user of the account at all; empty where that goes without saying."""
    others: str
    """Why somebody else with access to telephony does not see the call."""
    route: Route | None = None

    @property
    def heeds_hours(self) -> bool:
        """Whoever is called by name or by his own phone is called at any hour."""
        return self.rank >= BY_NUMBER


class Case(NamedTuple):
    """What is decided on."""

    data: CallData
    directory: Snapshot
    channel: Channel
    people: People
    number_route: Route | None
    """The route of the company's number that was called."""


def find(case: Case) -> Found:
    """Return what the first rule that matches leads to."""
    return _named(case) or _by_user(case) or _by_number(case) or _by_channel(case) or _everyone(case)


def _named(case: Case) -> Found | None:
    """Users, groups or PBX users that the call names, an API allowing one of the three; an empty list names nobody."""
    data, rule, named = case.data, "", []
    users: list[int] = []
    if data.pbx_user_ids is not None:
        rule = "pbx_user_ids"
        named.append(counted("PBX user", data.pbx_user_ids))
        mapped = (case.directory.pbx_users.get((case.channel.id, name)) for name in data.pbx_user_ids)
        users += [user_id for user_id in mapped if user_id is not None]
    if data.group_ids is not None:
        rule = "group_ids"
        named.append(counted("group", data.group_ids, lambda group_id: _group_name(case, group_id)))
    if data.user_ids is not None:
        rule = "user_ids"
        named.append(counted("user", data.user_ids))
        users += data.user_ids
    if not rule:
        return None
    return Found(
        rule=rule,
        rank=NAMED,
        reached=case.people.reach(users, data.group_ids or ()),
        cause=f"The call names {' and '.join(named)}",
        empty=_NAMES_NOBODY[rule] if data.user_ids or data.group_ids or data.pbx_user_ids else "",
        others="not named by the call",
    )


def _group_name(case: Case, group_id: int) -> str:
    group = case.directory.groups.get(group_id)
    return group.name if group is not None and group.account_id == case.channel.account_id else str(group_id)


def _by_user(case: Case) -> Found | None:
    """The PBX subscriber, else the leg: by a route for it, else by whose extension or SIP account it is."""
    for name in dict.fromkeys(((case.data.user or "").strip(), case.data.leg.strip())):
        if name:
            found = _by_route_of_user(case, name) or _by_line(case, name)
            if found is not None:
                return found
    return None


def _by_route_of_user(case: Case, name: str) -> Found | None:
    routes = case.directory.routes_by.get((case.channel.account_id, "user", name), ())
    route = _preferred(routes, case.channel)
    return None if route is None else _by_route(case, "user", BY_USER, f"user {short(name)}", route)


def _by_line(case: Case, name: str) -> Found | None:
    lines = _lines(case, name)
    if not lines:
        return None
    title = " and ".join(dict.fromkeys(_title(line.row) for line in lines))
    return Found(
        rule="user",
        rank=BY_USER,
        reached=case.people.reach(line.row.user_id for line in lines if line.row.user_id is not None),
        cause=f"{short(name)} is {title}",
        empty="that has no user of this account",
        others=f"does not use {title}",
    )


def _lines(case: Case, name: str) -> list[Line]:
    """Return the surest rows with a user that `name` may mean: several only where nothing tells them apart.

    Two PBXs of one account may both have a 101: those of the call's channel, or of none, go before those of another,
    and where they are nobody's (a queue) no other PBX's is meant.
    """
    lines = case.directory.lines.get((case.channel.account_id, name), ())
    own = [line for line in lines if line.row.channel_id in (None, case.channel.id)]
    used = [line for line in own or lines if line.row.user_id is not None]

    def remoteness(line: Line) -> tuple[int, bool]:
        return line.order, line.row.channel_id is None

    nearest = min(map(remoteness, used), default=None)
    return [line for line in used if remoteness(line) == nearest]


def _title(row: Extension | SipAccount) -> str:
    if isinstance(row, Extension):
        return f"extension {short(row.number)}"
    return f"SIP account {short(row.name)}"


def _by_number(case: Case) -> Found | None:
    """The company's own number that was called, by the route for it."""
    route = case.number_route
    return None if route is None else _by_route(case, "diversion", BY_NUMBER, f"number {short(route.value)}", route)


def route_of_number(directory: Snapshot, channel: Channel, did: Party | None) -> Route | None:
    """Return the route for the company's number `did`, compared in E.164 as `channel`'s country writes numbers."""
    if did is None:
        return None
    written = did.raw.strip() or did.e164 or ""
    routes = directory.routes_by.get((channel.account_id, "diversion", number_tail(written)), ())
    if not routes:
        return None
    e164 = did.e164 or to_e164(written, channel.country)
    same = [
        route
        for route in routes
        if route.value.strip() == written or (e164 is not None and to_e164(route.value, channel.country) == e164)
    ]
    return _preferred(same, channel)


def _preferred(routes: Sequence[Route], channel: Channel) -> Route | None:
    """Return the channel's own route, else one that counts on every channel."""
    for channel_id in (channel.id, None):
        for route in routes:
            if route.channel_id == channel_id:
                return route
    return None


def _by_route(case: Case, rule: str, rank: int, title: str, route: Route) -> Found:
    return Found(
        rule=rule,
        rank=rank,
        reached=case.people.reach(route.user_ids, route.group_ids),
        cause=f"There is a route for {title}",
        empty="it leads to no user",
        others=f"not in the route for {title}",
        route=route,
    )


def _by_channel(case: Case) -> Found | None:
    configured = case.channel.audience
    if configured is None:
        return None
    title = f"the audience of channel {short(case.channel.name)}"
    return Found(
        rule="channel",
        rank=BY_CHANNEL,
        reached=case.people.audience(configured),
        cause=f"The call goes to {title}",
        empty="it has no user left",
        others=f"not in {title}",
    )


def _everyone(case: Case) -> Found:
    return Found(
        rule="everyone",
        rank=EVERYONE,
        reached=case.people.everyone(),
        cause="Nothing says whom the call is for, so it goes to everyone with access to telephony",
        empty="nobody has it",
        others="",
    )

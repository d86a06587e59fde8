"""A small world to decide in: two accounts that have the same numbers, and people with and without telephony."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from shared.directory import (
    Account,
    AgentState,
    Audience,
    Channel,
    Extension,
    Group,
    Location,
    PbxUser,
    Route,
    Rows,
    SipAccount,
    Snapshot,
    User,
)
from shared.events import CallData, Direction, Party

MONDAY_NOON: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)
MONDAY_NIGHT: Final = datetime(2026, 3, 2, 22, tzinfo=UTC)

ANNA, PIOTR, MARIA, JAN, NINA, OLGA = 1, 2, 3, 4, 5, 21
"""Jan has no access to telephony; Nina is the fallback; Olga is of another account."""
EVERYONE: Final = (ANNA, PIOTR, MARIA, NINA)
SALON, SPA = 1, 2
"""The salon works on weekdays from nine to five in Warsaw; the spa never closes."""
FRONT, CHAIN, DESK, VIP, LOST, SALON_LINE, OTHER = 10, 11, 12, 13, 14, 15, 20
"""Channels: plain, a partner's, with mapped PBX users, with an audience of its own, with one that has lost its last
member, of the salon, of the other account."""
NUMBER: Final = "+48220000900"

WEEK: Final = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}

ROWS: Final = Rows(
    version=1,
    accounts=(Account(id=1, name="Aurora", fallback=Audience(user_ids=(NINA,))), Account(id=2, name="Other")),
    locations=(
        Location(id=SALON, account_id=1, name="Salon", time_zone="Europe/Warsaw", hours=WEEK),
        Location(id=SPA, account_id=1, name="Spa"),
        Location(id=9, account_id=2, name="Elsewhere"),
    ),
    users=(
        User(id=ANNA, account_id=1, name="Anna Nowak"),
        User(id=PIOTR, account_id=1, name="Piotr Zieliński"),
        User(id=MARIA, account_id=1, name="Maria Wójcik"),
        User(id=JAN, account_id=1, name="Jan Kowalski", telephony=False),
        User(id=NINA, account_id=1, name="Nina Lis"),
        User(id=OLGA, account_id=2, name="Olga Other"),
    ),
    groups=(
        Group(id=1, account_id=1, name="Front desk", user_ids=(ANNA, PIOTR)),
        Group(id=2, account_id=1, name="Managers", user_ids=(PIOTR, MARIA, JAN)),
        Group(id=3, account_id=1, name="Empty"),
        Group(id=4, account_id=2, name="Secret", user_ids=(OLGA,)),
    ),
    channels=(
        Channel(id=FRONT, account_id=1, provider="supervoip", name="Front"),
        Channel(id=CHAIN, account_id=1, provider="partner", name="Chain"),
        Channel(id=DESK, account_id=1, provider="channel_key", name="Desk", location_id=SPA),
        Channel(id=VIP, account_id=1, provider="telecube", name="Vip", audience=Audience(user_ids=(MARIA,))),
        Channel(id=LOST, account_id=1, provider="telecube", name="Lost", audience=Audience()),
        Channel(id=SALON_LINE, account_id=1, provider="supervoip", name="Salon line", location_id=SALON),
        Channel(id=OTHER, account_id=2, provider="supervoip", name="Other"),
    ),
    pbx_users=(
        PbxUser(id=1, account_id=1, channel_id=DESK, pbx_user_id="101", user_id=ANNA),
        PbxUser(id=2, account_id=1, channel_id=DESK, pbx_user_id="102", user_id=PIOTR),
        PbxUser(id=3, account_id=1, channel_id=DESK, pbx_user_id="104", user_id=JAN),
    ),
    extensions=(
        Extension(id=1, account_id=1, kind="phone", number="0001*102", short="102", user_id=PIOTR),
        Extension(id=2, account_id=1, kind="phone", number="0001*104", short="104", user_id=JAN),
        Extension(id=3, account_id=1, kind="queue", number="0001*700", short="700"),
        Extension(id=4, account_id=2, kind="phone", number="0001*102", short="102", user_id=OLGA),
    ),
    sip_accounts=(
        SipAccount(id=1, account_id=1, name="Maria's desk", sip="maria@pbx", username="maria", number="103", user_id=3),
        SipAccount(id=2, account_id=1, name="Old phone", sip="105", active=False, user_id=ANNA),
        SipAccount(id=3, account_id=1, name="Reception", sip="106", channel_id=FRONT, user_id=ANNA),
        SipAccount(id=4, account_id=1, name="Bar", sip="106", channel_id=VIP, user_id=MARIA),
    ),
    routes=(
        Route(id=1, account_id=1, match="user", value="101", user_ids=(ANNA,), location_ids=(SALON,)),
        Route(id=2, account_id=1, match="diversion", value=NUMBER, user_ids=(PIOTR, MARIA), location_ids=(SPA,)),
        Route(id=3, account_id=1, match="diversion", value="22 000 09 01", group_ids=(1,), location_ids=(SALON,)),
        Route(id=4, account_id=1, match="user", value="107", group_ids=(2,)),
        Route(id=5, account_id=1, channel_id=VIP, match="user", value="107", user_ids=(ANNA,)),
        Route(id=6, account_id=1, channel_id=VIP, match="user", value="108", user_ids=(ANNA,)),
        Route(id=7, account_id=1, match="user", value="109", location_ids=(SPA,)),
        Route(id=8, account_id=1, match="diversion", value="reception", user_ids=(MARIA,)),
        Route(id=9, account_id=1, match="user", value="110", user_ids=(JAN,)),
        Route(id=10, account_id=2, match="user", value="101", user_ids=(OLGA,), location_ids=(9,)),
        Route(id=11, account_id=2, match="diversion", value=NUMBER, user_ids=(OLGA,)),
    ),
)


def world(**changes: Any) -> Snapshot:
    """The world, with whole kinds of rows replaced."""
    return Snapshot.of(replace(ROWS, **changes))


def disturbed(*user_ids: int) -> Snapshot:
    """The world in which these are in do-not-disturb."""
    states = (AgentState(user_id=user_id, account_id=1, do_not_disturb=True) for user_id in user_ids)
    return world(agent_states=tuple(states))


def call(channel_id: int = FRONT, **said: Any) -> CallData:
    """An incoming call; `did` is a number as it was written."""
    did = said.pop("did", None)
    said.setdefault("direction", Direction.INCOMING)
    return CallData(
        channel_id=channel_id, provider="any", did=None if did is None else Party(raw=did), from_=Party(raw="1"), **said
    )

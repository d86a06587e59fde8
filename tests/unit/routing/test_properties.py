"""What holds for every directory and call, even where rows tie two accounts together, which the database forbids."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

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
from shared.routing import decide, explain
from tests.unit.routing.world import MONDAY_NOON

ACCOUNTS: Final = (1, 2)
OF_ACCOUNTS: Final = (
    "users",
    "agent_states",
    "locations",
    "groups",
    "channels",
    "pbx_users",
    "extensions",
    "sip_accounts",
    "routes",
)
USERS = st.integers(1, 8)
USER_IDS = st.lists(USERS, max_size=4, unique=True).map(tuple)
GROUP_IDS = st.lists(st.integers(1, 4), max_size=2, unique=True).map(tuple)
LOCATION_IDS = st.lists(st.integers(1, 4), max_size=2, unique=True).map(tuple)
CHANNEL_IDS = st.integers(1, 4)
ACCOUNT_IDS = st.sampled_from(ACCOUNTS)
NAMES = st.sampled_from(["101", "102", "103", "0001*101", " 101"])
NUMBERS = st.sampled_from(["+48220000900", "22 000 09 00", "48220000900", "900", "reception", "+48220010900"])
AUDIENCES = st.builds(Audience, user_ids=USER_IDS, group_ids=GROUP_IDS)
HOURS = st.none() | st.dictionaries(
    st.sampled_from(["mon", "tue", "sun"]), st.just([["09:00", "17:00"]]) | st.just([["22:00", "06:00"]]) | st.just([])
)
TIMES = st.integers(0, 7 * 24 * 60).map(lambda minutes: MONDAY_NOON + timedelta(minutes=minutes))


def rows(builder: Any, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """A few rows of one kind, their ids 1, 2, 3…"""
    return st.lists(st.fixed_dictionaries({"account_id": ACCOUNT_IDS, **fields}), max_size=4).map(
        lambda drawn: tuple(builder(id=number, **fields) for number, fields in enumerate(drawn, 1))
    )


@st.composite
def directories(draw: st.DrawFn) -> Rows:
    """Two accounts with rows that name anybody's users, groups, channels and locations."""
    users = tuple(
        User(id=number, account_id=draw(ACCOUNT_IDS), name=f"User {number}", telephony=draw(st.booleans()))
        for number in range(1, 9)
    )
    channels = tuple(
        Channel(
            id=number,
            account_id=draw(ACCOUNT_IDS),
            name="C",
            provider=draw(st.sampled_from(["supervoip", "partner"])),
            audience=draw(st.none() | AUDIENCES),
            location_id=draw(st.none() | st.integers(1, 4)),
            country=draw(st.sampled_from(["PL", "UA"])),
        )
        for number in range(1, 4)
    )
    pbx_users = {
        (channel.id, name): PbxUser(
            id=number, account_id=channel.account_id, channel_id=channel.id, pbx_user_id=name, user_id=draw(USERS)
        )
        for number, channel in enumerate(channels, 1)
        for name in draw(st.sets(NAMES, max_size=2))
    }
    disturbed = draw(st.sets(USERS))
    return Rows(
        accounts=tuple(Account(id=number, name="A", fallback=draw(st.none() | AUDIENCES)) for number in ACCOUNTS),
        users=users,
        agent_states=tuple(
            AgentState(user_id=user.id, account_id=user.account_id, do_not_disturb=True)
            for user in users
            if user.id in disturbed
        ),
        locations=draw(rows(Location, name=st.just("L"), hours=HOURS)),
        groups=draw(rows(Group, name=st.just("G"), user_ids=USER_IDS)),
        channels=channels,
        pbx_users=tuple(pbx_users.values()),
        extensions=draw(
            rows(
                Extension,
                kind=st.just("phone"),
                number=NAMES,
                short=st.none() | NAMES,
                user_id=st.none() | USERS,
                channel_id=st.none() | CHANNEL_IDS,
            )
        ),
        sip_accounts=draw(
            rows(
                SipAccount,
                name=st.just("S"),
                sip=st.none() | NAMES,
                number=st.none() | NAMES,
                user_id=st.none() | USERS,
                channel_id=st.none() | CHANNEL_IDS,
                active=st.booleans(),
            )
        ),
        routes=draw(
            rows(
                Route,
                match=st.sampled_from(["user", "diversion"]),
                value=NAMES | NUMBERS,
                channel_id=st.none() | CHANNEL_IDS,
                user_ids=USER_IDS,
                group_ids=GROUP_IDS,
                location_ids=LOCATION_IDS,
            )
        ),
    )


CALLS = st.builds(
    CallData,
    channel_id=CHANNEL_IDS,
    provider=st.just("any"),
    direction=st.none() | st.sampled_from(Direction),
    leg=st.just("") | NAMES,
    user=st.none() | NAMES,
    did=st.none() | NUMBERS.map(lambda raw: Party(raw=raw)),
    user_ids=st.none() | USER_IDS,
    group_ids=st.none() | GROUP_IDS,
    pbx_user_ids=st.none() | st.lists(NAMES, max_size=2).map(tuple),
)


@given(directories(), CALLS, TIMES)
def test_only_people_of_the_account_with_telephony_are_ever_shown_a_call(
    directory: Rows, data: CallData, at: datetime
) -> None:
    decision = decide(data, Snapshot.of(directory), at)

    account = {channel.id: channel.account_id for channel in directory.channels}.get(data.channel_id)
    allowed = {user.id for user in directory.users if user.account_id == account and user.telephony}
    assert allowed.issuperset(decision.audience)
    assert decision.assignee is None or decision.assignee in allowed
    assert list(decision.audience) == sorted(set(decision.audience))
    places = {location.id for location in directory.locations if location.account_id == account}
    assert places.issuperset(decision.locations)
    assert decision.sentence.endswith(".")


@given(directories(), CALLS, TIMES)
def test_another_account_changes_nothing(directory: Rows, data: CallData, at: datetime) -> None:
    account = {channel.id: channel.account_id for channel in directory.channels}.get(data.channel_id)
    alone: dict[str, Any] = {
        kind: tuple(row for row in getattr(directory, kind) if row.account_id == account) for kind in OF_ACCOUNTS
    }
    alone["accounts"] = tuple(row for row in directory.accounts if row.id == account)

    assert explain(data, Snapshot.of(replace(directory, **alone)), at) == explain(data, Snapshot.of(directory), at)


@given(directories(), CALLS, TIMES)
def test_everyone_of_the_account_sees_a_call_or_is_told_why_not(directory: Rows, data: CallData, at: datetime) -> None:
    explanation = explain(data, Snapshot.of(directory), at)

    account = {channel.id: channel.account_id for channel in directory.channels}.get(data.channel_id)
    people = [user.id for user in directory.users if user.account_id == account]
    others = [other.user_id for other in explanation.others]
    assert sorted([*explanation.decision.audience, *others]) == people
    assert all(other.why_not for other in explanation.others)
    assert explanation.decision == decide(data, Snapshot.of(directory), at)

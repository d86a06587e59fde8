"""What comes between a rule and its audience: working hours, do-not-disturb, the fallback."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from shared.directory import Account, Audience, Location, Route
from shared.directory.snapshot import Snapshot
from shared.events import CallData, Decision, Direction
from shared.routing import decide
from tests.unit.routing.world import (
    ANNA,
    CHAIN,
    MARIA,
    MONDAY_NIGHT,
    MONDAY_NOON,
    NINA,
    NUMBER,
    OLGA,
    PIOTR,
    ROWS,
    SALON,
    SALON_LINE,
    SPA,
    VIP,
    call,
    disturbed,
    world,
)

WORLD: Final = world()
ROUTE: Final = "There is a route for number +48220000900: shown to Piotr Zieliński and Maria Wójcik"
CLOSED: Final = (
    "Nothing says whom the call is for, so it goes to everyone with access to telephony, but Salon is closed: shown to"
)


def with_fallback(audience: Audience | None) -> Snapshot:
    return world(accounts=(replace(ROWS.accounts[0], fallback=audience),))


@pytest.mark.parametrize(
    ("directory", "data", "audience", "assignee", "sentence"),
    [
        (
            WORLD,
            call(did="+48220000901"),
            (NINA,),
            NINA,
            "There is a route for number 22 000 09 01, but Salon is closed: shown to Nina Lis as the fallback.",
        ),
        (
            with_fallback(None),
            call(did="+48220000901"),
            (),
            None,
            (
                "There is a route for number 22 000 09 01, but Salon is closed:"
                " shown to nobody, as no fallback is configured."
            ),
        ),
        (
            with_fallback(Audience(group_ids=(3,))),
            call(SALON_LINE),
            (),
            None,
            f"{CLOSED} nobody, as the fallback has no user left.",
        ),
        (
            with_fallback(Audience(group_ids=(1,))),
            call(SALON_LINE),
            (ANNA, PIOTR),
            None,
            f"{CLOSED} Anna Nowak and Piotr Zieliński as the fallback.",
        ),
        (
            world(channels=(replace(ROWS.channels[3], location_id=SALON),)),
            call(VIP),
            (NINA,),
            NINA,
            "The call goes to the audience of channel Vip, but Salon is closed: shown to Nina Lis as the fallback.",
        ),
        (WORLD, call(SALON_LINE, user="101"), (ANNA,), ANNA, "There is a route for user 101: shown to Anna Nowak."),
        (WORLD, call(SALON_LINE, user_ids=(ANNA,)), (ANNA,), ANNA, "The call names user 1: shown to Anna Nowak."),
        (
            WORLD,
            call(SALON_LINE, did=NUMBER),
            (PIOTR, MARIA),
            None,
            f"{ROUTE}.",
        ),
    ],
    ids=[
        "a route's location is closed",
        "no fallback",
        "a fallback that has lost its last member",
        "everyone",
        "the channel's audience",
        "his own phone rings at any hour",
        "named at any hour",
        "the route's location is open though the channel's is not",
    ],
)
def test_outside_working_hours(
    directory: Snapshot, data: CallData, audience: tuple[int, ...], assignee: int | None, sentence: str
) -> None:
    decision = decide(data, directory, MONDAY_NIGHT)

    assert (decision.audience, decision.assignee, decision.sentence) == (audience, assignee, sentence)


def test_a_route_of_several_locations_is_open_while_one_of_them_is() -> None:
    salon, spa = ROWS.locations[:2]
    route = Route(id=1, account_id=1, match="diversion", value=NUMBER, user_ids=(ANNA,), location_ids=(SPA, SALON))

    def at_night(*locations: Location) -> Decision:
        return decide(call(did=NUMBER), world(locations=locations, routes=(route,)), MONDAY_NIGHT)

    assert at_night(salon, spa).audience == (ANNA,)
    decision = at_night(salon, replace(spa, hours={}))
    assert (decision.audience, decision.locations) == ((NINA,), (SALON, SPA))
    assert "but Salon and Spa are closed" in decision.sentence


@pytest.mark.parametrize(
    ("busy", "data", "audience", "assignee", "sentence"),
    [
        (
            (PIOTR,),
            call(did=NUMBER),
            (PIOTR, MARIA),
            None,
            f"{ROUTE}.",
        ),
        (
            (PIOTR, MARIA, ANNA),
            call(did=NUMBER),
            (PIOTR, MARIA, NINA),
            None,
            f"{ROUTE}, all in do-not-disturb, so to the fallback too: Nina Lis.",
        ),
        (
            (ANNA,),
            call(user_ids=(ANNA,)),
            (ANNA, NINA),
            ANNA,
            "The call names user 1: shown to Anna Nowak, all in do-not-disturb, so to the fallback too: Nina Lis.",
        ),
        ((NINA,), call(user_ids=(NINA,)), (NINA,), NINA, "The call names user 5: shown to Nina Lis."),
        (
            (ANNA,),
            call(group_ids=(3,)),
            (),
            None,
            "The call names group Empty: shown to nobody, as nobody of this account is in it.",
        ),
    ],
    ids=["one of two", "all", "the assignee stays", "the fallback itself", "nobody is not all"],
)
def test_do_not_disturb(
    busy: tuple[int, ...], data: CallData, audience: tuple[int, ...], assignee: int | None, sentence: str
) -> None:
    decision = decide(data, disturbed(*busy), MONDAY_NOON)

    assert (decision.audience, decision.assignee, decision.sentence) == (audience, assignee, sentence)


def test_a_partners_outgoing_call_is_not_shown_to_the_fallback_either() -> None:
    data = call(CHAIN, direction=Direction.OUTGOING, user="101")

    assert decide(data, disturbed(ANNA), MONDAY_NIGHT).audience == ()


def test_a_fallback_without_telephony_is_nobody() -> None:
    directory = world(accounts=(Account(id=1, name="A", fallback=Audience(user_ids=(4, OLGA))),))

    assert decide(call(SALON_LINE), directory, MONDAY_NIGHT).audience == ()


def test_sentences_stay_short() -> None:
    data = call(user_ids=tuple(range(1, 5000)), user="x" * 5000)
    users = tuple(replace(user, name=user.name * 500) for user in ROWS.users)

    assert len(decide(data, world(users=users), MONDAY_NOON).sentence) < 400

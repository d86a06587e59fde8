"""Why everyone else does not see a call."""

from __future__ import annotations

from datetime import datetime

import pytest

from shared.events import CallData, Direction
from shared.routing import decide, explain
from tests.unit.routing.world import (
    ANNA,
    CHAIN,
    JAN,
    MARIA,
    MONDAY_NIGHT,
    MONDAY_NOON,
    NINA,
    NUMBER,
    PIOTR,
    SALON_LINE,
    VIP,
    call,
    disturbed,
    world,
)

WORLD = world()
NO_ACCESS = "no access to telephony"


@pytest.mark.parametrize(
    ("data", "at", "why_not"),
    [
        (
            call(user_ids=(ANNA, JAN)),
            MONDAY_NOON,
            {PIOTR: "not named by the call", MARIA: "not named by the call", NINA: "not named by the call"},
        ),
        (
            call(group_ids=(1,), user="101"),
            MONDAY_NOON,
            {MARIA: "not named by the call", NINA: "not named by the call"},
        ),
        (
            call(user="107"),
            MONDAY_NOON,
            {ANNA: "not in the route for user 107", NINA: "not in the route for user 107"},
        ),
        (
            call(leg="102"),
            MONDAY_NOON,
            dict.fromkeys((ANNA, MARIA, NINA), "does not use extension 0001*102"),
        ),
        (
            call(did=NUMBER),
            MONDAY_NOON,
            dict.fromkeys((ANNA, NINA), "not in the route for number +48220000900"),
        ),
        (call(VIP), MONDAY_NOON, dict.fromkeys((ANNA, PIOTR, NINA), "not in the audience of channel Vip")),
        (call(), MONDAY_NOON, {}),
        (call(SALON_LINE), MONDAY_NIGHT, dict.fromkeys((ANNA, PIOTR, MARIA), "Salon is closed")),
        (
            call(did="+48220000901"),
            MONDAY_NIGHT,
            {
                ANNA: "Salon is closed",
                PIOTR: "Salon is closed",
                MARIA: "not in the route for number 22 000 09 01",
            },
        ),
        (
            call(CHAIN, direction=Direction.OUTGOING, user="101"),
            MONDAY_NOON,
            dict.fromkeys((ANNA, PIOTR, MARIA, NINA), "only incoming calls of this channel are shown"),
        ),
    ],
    ids=[
        "users",
        "groups",
        "route",
        "extension",
        "number",
        "audience",
        "everyone",
        "hours",
        "route's hours",
        "outgoing",
    ],
)
def test_others(data: CallData, at: datetime, why_not: dict[int, str]) -> None:
    explanation = explain(data, WORLD, at)

    assert explanation.decision == decide(data, WORLD, at)
    assert {other.user_id: other.why_not for other in explanation.others} == {**why_not, JAN: NO_ACCESS}


def test_whoever_is_shown_it_as_the_fallback_is_no_other() -> None:
    explanation = explain(call(leg="102"), disturbed(PIOTR), MONDAY_NOON)

    assert explanation.decision.audience == (PIOTR, NINA)
    assert [other.user_id for other in explanation.others] == [ANNA, MARIA, JAN]


def test_a_channel_that_is_gone_has_no_others() -> None:
    assert explain(call(999), WORLD, MONDAY_NOON).others == ()


def test_as_the_apis_answer_it() -> None:
    assert explain(call(user="107"), WORLD, MONDAY_NOON).to_dict() == {
        "audience": [PIOTR, MARIA],
        "assignee": None,
        "locations": [],
        "rule": "user",
        "rank": 2,
        "sentence": "There is a route for user 107: shown to Piotr Zieliński and Maria Wójcik.",
        "others": [
            {"user_id": ANNA, "why_not": "not in the route for user 107"},
            {"user_id": JAN, "why_not": "no access to telephony"},
            {"user_id": NINA, "why_not": "not in the route for user 107"},
        ],
    }

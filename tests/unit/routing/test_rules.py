"""Who sees a call and the sentence that says so: every rule, and which goes first."""

from __future__ import annotations

from typing import Final, NamedTuple

import pytest

from shared.directory import Channel, Extension, Route, SipAccount
from shared.events import CallData, Decision, Direction, Party
from shared.routing import decide
from tests.unit.routing.world import (
    ANNA,
    CHAIN,
    DESK,
    EVERYONE,
    FRONT,
    LOST,
    MARIA,
    MONDAY_NOON,
    NINA,
    NUMBER,
    OLGA,
    OTHER,
    PIOTR,
    SALON,
    SPA,
    VIP,
    call,
    world,
)

WORLD: Final = world()
RANKS: Final = {
    "user_ids": 1,
    "group_ids": 1,
    "pbx_user_ids": 1,
    "user": 2,
    "diversion": 3,
    "channel": 4,
    "everyone": 5,
    "unknown_channel": 6,
}
NUMBER_SENTENCE: Final = "There is a route for number +48220000900: shown to Piotr Zieliński and Maria Wójcik."
NOBODY_NAMED: Final = "Nothing says whom the call is for, so it goes to everyone with access to telephony"


class Case(NamedTuple):
    """A call in the world at noon, and what is decided of it."""

    name: str
    data: CallData
    decision: Decision


def seen(
    rule: str,
    audience: tuple[int, ...],
    sentence: str,
    *,
    locations: tuple[int, ...] = (),
    assignee: int | None = None,
) -> Decision:
    """A decision; the only one of an audience is its assignee."""
    return Decision(
        audience=audience,
        locations=locations,
        assignee=audience[0] if len(audience) == 1 else assignee,
        rule=rule,
        rank=RANKS[rule],
        sentence=sentence,
    )


CASES = [
    # 1. Named by the call
    Case(
        "users",
        call(user_ids=(PIOTR, ANNA, ANNA)),
        seen("user_ids", (ANNA, PIOTR), "The call names users 2, 1 and 1: shown to Anna Nowak and Piotr Zieliński."),
    ),
    Case(
        "one user of two has telephony, so he is the assignee",
        call(user_ids=(ANNA, 4)),
        seen("user_ids", (ANNA,), "The call names users 1 and 4: shown to Anna Nowak."),
    ),
    Case(
        "groups that overlap",
        call(DESK, group_ids=(1, 2)),
        seen(
            "group_ids",
            (ANNA, PIOTR, MARIA),
            "The call names groups Front desk and Managers: shown to Anna Nowak, Piotr Zieliński and Maria Wójcik.",
            locations=(SPA,),
        ),
    ),
    Case(
        "an empty group",
        call(group_ids=(3,)),
        seen("group_ids", (), "The call names group Empty: shown to nobody, as nobody of this account is in it."),
    ),
    Case(
        "PBX users by the channel's mapping",
        call(DESK, pbx_user_ids=("101", "104")),
        seen("pbx_user_ids", (ANNA,), "The call names PBX users 101 and 104: shown to Anna Nowak.", locations=(SPA,)),
    ),
    Case(
        "PBX users of another channel's mapping",
        call(FRONT, pbx_user_ids=("101",)),
        seen("pbx_user_ids", (), "The call names PBX user 101: shown to nobody, as nobody is mapped to that."),
    ),
    Case(
        "nobody with telephony",
        call(user_ids=(4,)),
        seen("user_ids", (), "The call names user 4: shown to nobody, as Jan Kowalski has no access to telephony."),
    ),
    Case(
        "a user and a group of another account do not exist, and their names are not told",
        call(user_ids=(OLGA,), group_ids=(4,)),
        seen("user_ids", (), "The call names group 4 and user 21: shown to nobody, as that is nobody of this account."),
    ),
    Case(
        "a filter goes before user, number and the channel's audience",
        call(VIP, user_ids=(ANNA,), user="107", did=NUMBER),
        seen("user_ids", (ANNA,), "The call names user 1: shown to Anna Nowak.", locations=(SPA,)),
    ),
    Case(
        "an empty list of users",
        call(user_ids=(), user="101"),
        seen("user_ids", (), "The call names no user: shown to nobody."),
    ),
    Case(
        "an empty list of PBX users",
        call(DESK, pbx_user_ids=(), user="101", did=NUMBER),
        seen(
            "pbx_user_ids",
            (),
            "The call names no PBX user: shown to nobody.",
            locations=(SPA,),
        ),
    ),
    # 2. The PBX subscriber or the leg
    Case(
        "user before diversion",
        call(CHAIN, user="101", did=NUMBER),
        seen("user", (ANNA,), "There is a route for user 101: shown to Anna Nowak.", locations=(SALON,)),
    ),
    Case(
        "the leg by a route",
        call(leg="101"),
        seen("user", (ANNA,), "There is a route for user 101: shown to Anna Nowak.", locations=(SALON,)),
    ),
    Case(
        "the leg by its short number; where, says the number's route",
        call(CHAIN, leg="102", did=NUMBER),
        seen("user", (PIOTR,), "102 is extension 0001*102: shown to Piotr Zieliński.", locations=(SPA,)),
    ),
    Case(
        "the leg by its extended number",
        call(leg="0001*102"),
        seen("user", (PIOTR,), "0001*102 is extension 0001*102: shown to Piotr Zieliński."),
    ),
    Case(
        "the leg by a SIP account's name at the PBX",
        call(leg="maria"),
        seen("user", (MARIA,), "maria is SIP account Maria's desk: shown to Maria Wójcik."),
    ),
    Case(
        "the leg by a SIP account's number",
        call(user="103"),
        seen("user", (MARIA,), "103 is SIP account Maria's desk: shown to Maria Wójcik."),
    ),
    Case(
        "a phone of somebody without telephony is not shown to all others",
        call(leg="104"),
        seen("user", (), "104 is extension 0001*104: shown to nobody, as Jan Kowalski has no access to telephony."),
    ),
    Case(
        "a queue is nobody's",
        call(leg="700"),
        seen("everyone", EVERYONE, f"{NOBODY_NAMED}: shown to Anna Nowak, Piotr Zieliński, Maria Wójcik and 1 other."),
    ),
    Case(
        "an inactive SIP account is none",
        call(VIP, leg="105"),
        seen("channel", (MARIA,), "The call goes to the audience of channel Vip: shown to Maria Wójcik."),
    ),
    Case(
        "two PBXs have a 106: this is the channel's",
        call(FRONT, leg="106"),
        seen("user", (ANNA,), "106 is SIP account Reception: shown to Anna Nowak."),
    ),
    Case(
        "two PBXs have a 106 and this is neither: nothing tells them apart",
        call(DESK, leg="106"),
        seen(
            "user",
            (ANNA, MARIA),
            "106 is SIP account Reception and SIP account Bar: shown to Anna Nowak and Maria Wójcik.",
            locations=(SPA,),
        ),
    ),
    Case(
        "a channel's own route before the account's",
        call(VIP, leg="107"),
        seen("user", (ANNA,), "There is a route for user 107: shown to Anna Nowak."),
    ),
    Case(
        "the account's route on every other channel",
        call(FRONT, leg="107"),
        seen("user", (PIOTR, MARIA), "There is a route for user 107: shown to Piotr Zieliński and Maria Wójcik."),
    ),
    Case(
        "a route of another channel does not count",
        call(LOST, leg="108", did=NUMBER),
        seen("diversion", (PIOTR, MARIA), NUMBER_SENTENCE, locations=(SPA,)),
    ),
    Case(
        "a route that has lost its people shows to nobody",
        call(leg="109"),
        seen("user", (), "There is a route for user 109: shown to nobody, as it leads to no user.", locations=(SPA,)),
    ),
    Case(
        "a route to somebody without telephony shows to nobody",
        call(user="110", did=NUMBER),
        seen(
            "user",
            (),
            "There is a route for user 110: shown to nobody, as Jan Kowalski has no access to telephony.",
            locations=(SPA,),
        ),
    ),
    Case(
        "user goes before leg",
        call(user="101", leg="102"),
        seen("user", (ANNA,), "There is a route for user 101: shown to Anna Nowak.", locations=(SALON,)),
    ),
    # 3. The company's number
    Case(
        "a user without a route, so the number, however it is written",
        call(CHAIN, user="unknown", did="22 000 09 00"),
        seen("diversion", (PIOTR, MARIA), NUMBER_SENTENCE, locations=(SPA,)),
    ),
    Case(
        "a route written nationally",
        call(CHAIN, did="0048220000901"),
        seen(
            "diversion",
            (ANNA, PIOTR),
            "There is a route for number 22 000 09 01: shown to Anna Nowak and Piotr Zieliński.",
            locations=(SALON,),
        ),
    ),
    Case(
        "a name instead of a number",
        call(did=" reception"),
        seen("diversion", (MARIA,), "There is a route for number reception: shown to Maria Wójcik."),
    ),
    Case(
        "the number before the channel's audience",
        call(VIP, did=NUMBER),
        seen("diversion", (PIOTR, MARIA), NUMBER_SENTENCE, locations=(SPA,)),
    ),
    # 4. The channel's own audience
    Case(
        "the channel's audience",
        call(VIP, did="+48220000999"),
        seen("channel", (MARIA,), "The call goes to the audience of channel Vip: shown to Maria Wójcik."),
    ),
    Case(
        "an audience that has lost its last member",
        call(LOST),
        seen("channel", (), "The call goes to the audience of channel Lost: shown to nobody, as it has no user left."),
    ),
    # 5. Everyone
    Case(
        "everyone of another account with the same numbers is its one user",
        call(OTHER, leg="maria", did="+48220000999"),
        seen("everyone", (OLGA,), f"{NOBODY_NAMED}: shown to Olga Other."),
    ),
    Case(
        "the same user in another account",
        call(OTHER, user="101"),
        seen("user", (OLGA,), "There is a route for user 101: shown to Olga Other.", locations=(9,)),
    ),
    Case(
        "the same extension in another account",
        call(OTHER, leg="102"),
        seen("user", (OLGA,), "102 is extension 0001*102: shown to Olga Other."),
    ),
    Case(
        "the same number in another account",
        call(OTHER, did=NUMBER),
        seen("diversion", (OLGA,), "There is a route for number +48220000900: shown to Olga Other."),
    ),
    # Directions
    Case(
        "a partner's outgoing call is shown to nobody, but has a location and somebody whose it is",
        call(CHAIN, direction=Direction.OUTGOING, user="101"),
        seen(
            "user",
            (),
            "There is a route for user 101, but channel Chain shows incoming calls alone and this one is outgoing:"
            " shown to nobody.",
            locations=(SALON,),
            assignee=ANNA,
        ),
    ),
    Case(
        "a partner's call of unknown direction is shown to nobody",
        call(CHAIN, direction=None),
        seen(
            "everyone",
            (),
            f"{NOBODY_NAMED}, but channel Chain shows incoming calls alone and this one is of unknown direction:"
            " shown to nobody.",
        ),
    ),
    Case(
        "outgoing calls of others are shown",
        call(DESK, direction=Direction.OUTGOING, leg="101"),
        seen("user", (ANNA,), "There is a route for user 101: shown to Anna Nowak.", locations=(SALON,)),
    ),
    Case(
        "a channel that is gone",
        call(999, user_ids=(ANNA,)),
        seen("unknown_channel", (), "The channel is not in the directory: shown to nobody."),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_decision(case: Case) -> None:
    assert decide(case.data, WORLD, MONDAY_NOON) == case.decision


def test_a_decision_is_a_valid_part_of_an_event() -> None:
    decision = decide(call(did=NUMBER), WORLD, MONDAY_NOON)

    assert Decision.model_validate_json(decision.model_dump_json()) == decision


def test_five_phones_that_ring_are_five_decisions() -> None:
    decided = {leg: decide(call(leg=leg), WORLD, MONDAY_NOON) for leg in ("101", "102", "103", "104", "700")}

    assert {leg: (d.rank, d.audience, d.assignee) for leg, d in decided.items()} == {
        "101": (2, (ANNA,), ANNA),
        "102": (2, (PIOTR,), PIOTR),
        "103": (2, (MARIA,), MARIA),
        "104": (2, (), None),
        "700": (5, EVERYONE, None),
    }


def test_extended_number_then_short_then_sip_then_username_then_number() -> None:
    extensions = (
        Extension(id=1, account_id=1, kind="phone", number="x", user_id=ANNA),
        Extension(id=2, account_id=1, kind="phone", number="a", short="x", user_id=PIOTR),
    )
    sips = (
        SipAccount(id=1, account_id=1, name="s", number="x", user_id=ANNA),
        SipAccount(id=2, account_id=1, name="s", username="x", user_id=NINA),
        SipAccount(id=3, account_id=1, name="s", sip="x", user_id=MARIA),
    )

    def found(extensions: tuple[Extension, ...], sips: tuple[SipAccount, ...]) -> tuple[int, ...]:
        return decide(call(leg="x"), world(extensions=extensions, sip_accounts=sips), MONDAY_NOON).audience

    assert found(extensions, sips) == (ANNA,)
    assert found(extensions[1:], sips) == (PIOTR,)
    assert found((), sips) == (MARIA,)
    assert found((), sips[:2]) == (NINA,)
    assert found((), sips[:1]) == (ANNA,)


def test_an_extension_of_another_pbx_gives_way_to_one_of_none() -> None:
    elsewhere = Extension(id=1, account_id=1, kind="phone", number="1*1", short="1", user_id=ANNA, channel_id=VIP)
    anywhere = SipAccount(id=1, account_id=1, name="s", number="1", user_id=MARIA)

    directory = world(extensions=(elsewhere,), sip_accounts=(anywhere,))

    assert decide(call(FRONT, leg="1"), directory, MONDAY_NOON).audience == (MARIA,)
    assert decide(call(VIP, leg="1"), directory, MONDAY_NOON).audience == (ANNA,)


@pytest.mark.parametrize("channel_id", [FRONT, None])
def test_a_queue_of_the_calls_pbx_is_not_the_phone_that_another_pbx_has_under_its_number(
    channel_id: int | None,
) -> None:
    queue = Extension(id=1, account_id=1, kind="queue", number="1*600", short="600", channel_id=channel_id)
    phone = Extension(id=2, account_id=1, kind="phone", number="2*600", short="600", user_id=ANNA, channel_id=VIP)

    directory = world(extensions=(queue, phone))

    assert decide(call(FRONT, leg="600", did=NUMBER), directory, MONDAY_NOON).audience == (PIOTR, MARIA)
    assert decide(call(VIP, leg="600"), directory, MONDAY_NOON).audience == (ANNA,)


def test_one_number_is_written_differently_in_two_countries() -> None:
    channels = (
        Channel(id=1, account_id=1, provider="telecube", name="Poland", country="PL"),
        Channel(id=2, account_id=1, provider="telecube", name="Ukraine", country="UA"),
    )
    routes = (
        Route(id=1, account_id=1, match="diversion", value="+48443334455", user_ids=(ANNA,)),
        Route(id=2, account_id=1, match="diversion", value="+380443334455", user_ids=(MARIA,)),
    )
    directory = world(channels=channels, routes=routes)

    assert decide(call(1, did="443334455"), directory, MONDAY_NOON).audience == (ANNA,)
    assert decide(call(2, did="044 333 44 55"), directory, MONDAY_NOON).audience == (MARIA,)


@pytest.mark.parametrize("did", [Party(raw="", e164=NUMBER), Party(raw="sip:0048220000900@pbx", e164=NUMBER)])
def test_a_number_is_known_by_its_e164(did: Party) -> None:
    data = call().model_copy(update={"did": did})

    assert decide(data, WORLD, MONDAY_NOON).rule == "diversion"


def test_an_account_in_which_nobody_has_telephony() -> None:
    decision = decide(call(), world(users=()), MONDAY_NOON)

    assert (decision.audience, decision.sentence) == ((), f"{NOBODY_NAMED}: shown to nobody, as nobody has it.")

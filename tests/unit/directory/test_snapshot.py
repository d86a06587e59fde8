"""Look-ups in a snapshot."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.directory import (
    AgentState,
    Channel,
    ChannelKey,
    Contact,
    Extension,
    Partner,
    Route,
    Rows,
    SipAccount,
    Snapshot,
    Token,
    User,
)
from shared.directory.model import Entitlement, PartnerToken
from shared.directory.snapshot import number_tail, parse_rows

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
CHANNEL = Channel(id=7, account_id=1, provider="supervoip", name="Warsaw")


def test_both_keys_name_the_channel_while_they_are_rotated_and_the_old_one_ends() -> None:
    keys = (
        ChannelKey(channel_id=7, kind="key", hash="new"),
        ChannelKey(channel_id=7, kind="key", hash="old", valid_until=NOON),
    )
    snapshot = Snapshot.of(Rows(channels=(CHANNEL,), channel_keys=keys))
    assert [snapshot.channel(key, "key", NOON - SECOND) for key in ("new", "old")] == [CHANNEL, CHANNEL]
    assert [snapshot.channel(key, "key", NOON) for key in ("new", "old")] == [CHANNEL, None]


def test_a_key_of_one_kind_is_nothing_as_the_other() -> None:
    snapshot = Snapshot.of(
        Rows(channels=(CHANNEL,), channel_keys=(ChannelKey(channel_id=7, kind="crm_token", hash="h"),))
    )
    assert snapshot.channel("h", "key", NOON) is None
    assert snapshot.channel("h", "crm_token", NOON) == CHANNEL


def test_a_token_ends_when_it_expires() -> None:
    token = Token(id=1, account_id=1, name="t", hash="h", expires_at=NOON)
    snapshot = Snapshot.of(Rows(tokens=(token,)))
    assert (snapshot.token("h", NOON - SECOND), snapshot.token("h", NOON)) == (token, None)


def test_a_partner_may_use_the_channels_it_is_entitled_to() -> None:
    other = Channel(id=8, account_id=2, provider="partner", name="Other")
    account = Partner(id=1, name="all of one", entitlements=(Entitlement(account_id=1),))
    channel = Partner(id=2, name="one channel", entitlements=(Entitlement(account_id=2, channel_id=9),))
    assert [account.may_use(CHANNEL), account.may_use(other), channel.may_use(other)] == [True, False, False]
    snapshot = Snapshot.of(Rows(partners=(account,), partner_tokens=(PartnerToken(partner_id=1, hash="h"),)))
    assert snapshot.partner("h", NOON) == account


def test_people_and_contacts_are_found_within_their_account_only() -> None:
    anna, other = User(id=1, account_id=1, name="Anna"), User(id=2, account_id=2, name="Other")
    here = Contact(id=1, account_id=1, name="Client", phones=("+48601234567",))
    there = Contact(id=2, account_id=2, name="Other client", phones=("+48601234567",))
    snapshot = Snapshot.of(Rows(users=(anna, other), contacts=(here, there)))
    assert snapshot.users_of == {1: (anna,), 2: (other,)}
    assert snapshot.contacts_by_phone[1, "+48601234567"] == (here,)


def test_a_number_that_very_many_share_is_indexed_in_linear_time() -> None:
    # A switchboard, or the zeros of those who had to enter something. Quadratic, it would meet the tests' time-out.
    contacts = tuple(Contact(id=number, account_id=1, name="c", phones=("000000000",)) for number in range(250_000))

    assert Snapshot.of(Rows(contacts=contacts)).contacts_by_phone == {(1, "000000000"): contacts}


def test_a_newer_document_with_more_fields_is_read_and_a_broken_one_refused() -> None:
    assert parse_rows(b'{"version": 3, "accounts": [{"id": 1, "name": "a", "new": true}], "more": []}').version == 3
    with pytest.raises(ValueError, match="accounts"):
        parse_rows(b'{"accounts": [{"id": "x"}]}')


def test_routes_are_found_by_what_they_match_a_number_by_its_last_digits_however_it_is_written() -> None:
    user = Route(id=1, account_id=1, match="user", value="101")
    same = Route(id=2, account_id=1, match="diversion", value="22 000 09 00")
    other = Route(id=3, account_id=2, match="diversion", value="+48220000900")
    routes = Snapshot.of(Rows(routes=(other, same, user))).routes_by
    assert dict(routes) == {
        (1, "user", "101"): (user,),
        (1, "diversion", "0900"): (same,),
        (2, "diversion", "0900"): (other,),
    }
    assert [number_tail(written) for written in ("tel:+48220000900;ext=5", "٤٨٢٢٠٠٠٠٩٠٠", "90", " front ", "")] == [
        "0900",
        "0900",
        "90",
        "front",
        "",
    ]


def test_a_legs_name_means_extensions_then_sip_accounts_the_surest_first() -> None:
    extensions = (
        Extension(id=1, account_id=1, kind="phone", number="0001*101", short="101"),
        Extension(id=2, account_id=1, kind="phone", number="101"),
        Extension(id=3, account_id=2, kind="phone", number="101"),
    )
    sips = (
        SipAccount(id=1, account_id=1, name="s", sip="101", username="anna", number="101"),
        SipAccount(id=2, account_id=1, name="off", sip="101", active=False),
    )
    lines = Snapshot.of(Rows(extensions=extensions, sip_accounts=sips)).lines
    assert [(line.order, line.row) for line in lines[1, "101"]] == [
        (0, extensions[1]),
        (1, extensions[0]),
        (2, sips[0]),
        (4, sips[0]),
    ]
    assert [line.row for line in lines[2, "101"]] == [extensions[2]]
    assert [line.order for line in lines[1, "anna"]] == [3]


def test_an_accounts_people_with_telephony_and_those_in_do_not_disturb() -> None:
    users = (
        User(id=3, account_id=1, name="c"),
        User(id=1, account_id=1, name="a"),
        User(id=2, account_id=1, name="b", telephony=False),
    )
    states = (
        AgentState(user_id=1, account_id=1, do_not_disturb=True),
        AgentState(user_id=3, account_id=1, available=False),
    )
    snapshot = Snapshot.of(Rows(users=users, agent_states=states))
    assert (dict(snapshot.telephony_of), dict(snapshot.do_not_disturb_of)) == ({1: (1, 3)}, {1: frozenset({1})})

"""Which messages are one call: every window's rule, with the clock held, and whole crowds at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import uuid4

import aiohttp

from services.ingest.app import build
from services.ingest.settings import Settings
from shared.call import Call, State
from shared.events import Event, Outcome
from shared.http.auth import DIRECTORY
from tests.integration.ingest.partner.support import ACCEPTED, DIVERSION, Chain, Clock, Partner, add_chain, calls
from tests.integration.ingest.support import eventually, running, take
from tests.support.directory import connected, migrate, role_dsn, writing

OTHER = "+15550100901"


class Step(NamedTuple):
    """One message of a story: when it is received, in seconds, and what it says; `date` is in seconds too."""

    at: float
    command: str
    fields: dict[str, Any]


def ring(at: float, **fields: Any) -> Step:
    return Step(at, "event", fields)


def report(at: float, call_id: int | None = None, **fields: Any) -> Step:
    return Step(at, "history", fields if call_id is None else {"call_id": call_id, **fields})


STORIES: dict[str, tuple[list[Step], str]] = {
    # what it shows: messages about one phone, and the call of each
    "rings of one queue": ([ring(0, user="1"), ring(1, user="2"), ring(89, user="3")], "AAA"),
    "rings join for 90 s from the first": ([ring(0), ring(60), ring(90), ring(91)], "AABB"),
    "another company number is another call": ([ring(0), ring(1, diversion=OTHER)], "AB"),
    "but for the same subscriber": (
        [ring(0, user="1"), ring(1, user="1", diversion=OTHER), ring(2, diversion=OTHER)],
        "AAB",
    ),
    "no subscriber is not the same subscriber": ([ring(0), ring(1, diversion=OTHER, user="")], "AB"),
    "another direction is another call": (
        [ring(0), ring(1, type_="outgoing"), ring(2, type_="internal"), ring(3)],
        "ABCA",
    ),
    "a number however it is written": (
        [ring(0, phone="5550100777"), ring(1, phone="+1 555-010-0777"), report(2, phone="0015550100777")],
        "AAA",
    ),
    "after its history a ring is a new call": ([ring(0), report(5, 1, date=0), ring(6), report(9, 2, date=6)], "AABB"),
    "a history that came first": ([report(0, 1, date=0), ring(10), ring(10, user="2")], "AAA"),
    "and one that did so too long ago": ([report(0, 1, date=0), ring(10.1)], "AB"),
    "only one that has opened its call is overtaken": ([ring(0), report(5, 1, date=0), ring(6)], "AAB"),
    "an open call goes before an overtaking history": ([ring(0), report(60, 1, date=-500), ring(61)], "ABA"),
    "a date up to 120 s before the ring": ([ring(120), report(200, 1, date=0)], "AA"),
    "and not more": ([ring(121), report(200, 1, date=0)], "AB"),
    "a date and duration up to 120 s after it": ([ring(200), report(400, 1, date=0, duration=80)], "AA"),
    "and not less": ([ring(201), report(400, 1, date=0, duration=80)], "AB"),
    "a ring up to 120 s before the date": ([ring(0), report(300, 1, date=120)], "AA"),
    "and not earlier": ([ring(0), report(300, 1, date=121)], "AB"),
    "without a date the duration and 120 s back": ([ring(0), report(193, 1, duration=73)], "AA"),
    "and no further": ([ring(0), report(193.1, 1, duration=73)], "AB"),
    "the oldest first": ([ring(0), ring(95), report(100, 1), report(101, 2), report(102, 3)], "ABABC"),
    "of two calls at once the one of its number": (
        [ring(0), ring(1, diversion=OTHER), report(5, diversion=OTHER), report(6)],
        "ABBA",
    ),
    "a call id is bound once": (
        [ring(0), report(5, 1), ring(6), report(7, 1), report(8, 1, link="https://rec.example.net/1"), report(9, 2)],
        "AABAAB",
    ),
    "and for ever": ([report(0, 1, date=0), report(10**6, 1, date=0)], "AA"),
    "and with whatever number it comes again": (
        [report(0, 1), report(1, 1, diversion=OTHER, type_="internal", phone="2")],
        "AA",
    ),
    "without an id the words": (
        [ring(0), report(5, date=0), ring(6), report(10**6, date=0), report(10**6, date=1)],
        "AABAB",
    ),
    "missed calls say all the same": ([report(0), report(1), report(120), report(121)], "AAAB"),
    "and a ring in between tells them apart": (
        [ring(0), report(5), report(6), ring(30), report(35), report(36)],
        "AAABBB",
    ),
    "a ring that is received a moment later and dealt with before": ([ring(1), report(0)], "AA"),
}


async def told(partner: Partner, clock: Clock, steps: Sequence[Step], phone: str) -> None:
    """Send a story's messages about `phone`."""
    for at, command, fields in steps:
        clock.at = clock.after(at)
        sent = {"type_": "incoming", "phone": phone, "diversion": DIVERSION, **fields}
        if "date" in fields:
            sent["date"] = clock.after(fields["date"]).isoformat()
        if "call_id" in fields:
            sent["call_id"] = f"{phone}-{fields['call_id']}"
        assert await partner.say(command, **sent) == (202, ACCEPTED)


def letters(events: Sequence[Event]) -> str:
    """Return one letter for each event: the same for those of one call, in order of first appearance."""
    seen: dict[object, str] = {}
    return "".join(seen.setdefault(event.subject, chr(ord("A") + len(seen))) for event in events)


async def test_every_window(partner: Partner, clock: Clock, amqp_url: str) -> None:
    found = {}
    for number, (name, (steps, _)) in enumerate(STORIES.items()):
        await told(partner, clock, steps, f"+1555020{number:04}")
        found[name] = letters(await take(amqp_url, "history.calls"))

    assert found == {name: expected for name, (_, expected) in STORIES.items()}


async def test_windows_are_the_channels_own(
    partner: Partner, chain: Chain, clock: Clock, amqp_url: str, database_dsn: str, configured: Settings, token: str
) -> None:
    async with connected(database_dsn) as connection:
        await connection.execute(
            "UPDATE directory.channels SET nameless_join_seconds = 5, nameless_slack_seconds = 'infinity',"
            " nameless_late_seconds = 0, trust_clock = false WHERE channel_id = $1",
            chain.channel,
        )
    steps: list[Step] = [
        ring(0),
        ring(6),
        report(7, 1, date=-(10**6)),  # a clock that is not trusted says nothing
        report(7, 2),
        report(8, 3),
        ring(8.5),
    ]
    app = build(configured)
    async with running(configured, app=app) as client:
        await app[DIRECTORY].refresh()  # it may have started from the directory that the other has left on disk
        await told(Partner(client, token, chain), clock, steps, "+15550300000")

    assert letters(await take(amqp_url, "history.calls")) == "ABABCD"


async def test_a_crowd_for_one_phone_makes_the_right_number_of_calls(
    partner: Partner, replica: Partner, amqp_url: str
) -> None:
    """Two replicas, ten calls in a row, and of each every message several times at once and in no order."""
    replicas = [partner, replica]
    for number in range(10):
        rings = [replica.ring(user=f"{user}") for replica in replicas for user in (1, 2, 3, 1, 2)]
        reports = [
            replica.report(call_id=f"c-{number}", status="success", duration=1, **more)
            for replica in replicas
            for more in ({}, {"link": f"https://rec.example.net/{number}"}, {})
        ]
        # What rings, then all of it once more with the end: late rings join what they belong to, or start anew.
        answers = await asyncio.gather(*rings)
        answers += await asyncio.gather(*reports)
        assert answers == [(202, ACCEPTED)] * 16

    made = await calls(amqp_url)

    assert len(made) == 10
    assert {call.call_key for call in made} == {f"c-{number}" for number in range(10)}
    assert {(call.state, call.final, call.outcome, call.events) for call in made} == {
        (State.ENDED, True, Outcome.ANSWERED, 5)  # three phones, a history with and without its link
    }


async def test_a_ring_and_a_history_at_the_same_moment_are_one_call(
    partner: Partner, replica: Partner, amqp_url: str
) -> None:
    phones = [f"+1555040{number:04}" for number in range(40)]
    rings = [partner.ring(phone=phone) for phone in phones]
    reports = [replica.report(phone=phone, call_id=phone) for phone in phones]
    await asyncio.gather(*(each for both in zip(rings, reports, strict=True) for each in both))

    made = await calls(amqp_url)

    assert sorted(call.call_key or "" for call in made) == phones
    assert {(call.final, call.events) for call in made} == {(True, 2)}


async def test_one_call_id_from_many_phones_at_once_is_one_call(
    partner: Partner, replica: Partner, amqp_url: str
) -> None:
    replicas = [partner, replica]
    answers = await asyncio.gather(
        *(replicas[n % 2].report(call_id="the one", phone=f"+1555050{n:04}") for n in range(40))
    )

    assert answers == [(202, ACCEPTED)] * 40
    assert len(await calls(amqp_url)) == 1


async def test_chains_share_no_identity(
    partner: Partner, database_dsn: str, amqp_url: str, client: aiohttp.ClientSession
) -> None:
    async with writing(database_dsn) as store:
        other = await add_chain(store, "Other")
        token = (await store.issue_partner_token(await store.create_partner("Other vendor", [other.account]))).secret
    neighbour = Partner(client, token, other)
    await neighbour.enable()

    for each in (partner, neighbour):
        await each.ring()
        await each.report(call_id="1")

    made = await calls(amqp_url)
    assert [(call.account, call.events) for call in made] == [(partner.chain.account, 2), (other.account, 2)]


async def test_every_request_may_be_repeated(partner: Partner, amqp_url: str) -> None:
    for _ in range(3):
        await partner.enable()
        await partner.ring(user="1")
    for _ in range(3):
        await partner.report(call_id="1", status="missed")
        await partner.report(call_id="1", status="success", link="https://rec.example.net/1")

    events = await take(amqp_url, "history.calls")

    assert (len(events), len({event.id for event in events}), len({event.subject for event in events})) == (9, 3, 1)
    assert Call.of(events).outcome is Outcome.ANSWERED


async def test_a_disable_by_another_replica_holds_at_once(partner: Partner, replica: Partner, amqp_url: str) -> None:
    async def statuses(of: Partner) -> list[int]:
        return [(await of.ring())[0], (await of.report(call_id="1"))[0], (await of.say("event", "?"))[0]]

    seen = []
    for _ in range(5):
        assert await partner.say("setup", "disable") == (202, ACCEPTED)
        seen += await statuses(replica)
        assert await replica.say("setup", "enable") == (202, ACCEPTED)
        seen += await statuses(partner)

    assert seen == [403, 403, 403, 202, 202, 422] * 5


async def test_what_is_long_over_is_forgotten(
    chain: Chain, token: str, configured: Settings, database_dsn: str, amqp_url: str
) -> None:
    async with connected(database_dsn) as connection:
        await connection.executemany(
            "INSERT INTO ingest.identities"
            " (uid, account_id, channel_id, direction, phone, did, opened_at, opened_by, call_key, bound_at)"
            " VALUES (gen_random_uuid(), $1, $2, 'incoming', $3, '2', now() - $4 * interval '1 day', 'ring', $5,"
            " now() - $6 * interval '1 day')",
            [
                *((chain.account, chain.channel, f"old {n}", 31, f"old {n}", 31) for n in range(1200)),
                *((chain.account, chain.channel, f"open {n}", 400, None, None) for n in range(10)),
                (chain.account, chain.channel, "recent", 29, "recent", 29),
                (chain.account, chain.channel, "recent, open", 29, None, None),
                (chain.account, chain.channel, "told of lately", 40, "told of lately", 1),
            ],
        )

        async def left() -> set[str]:
            return {row["phone"] for row in await connection.fetch("SELECT phone FROM ingest.identities")}

        async with running(configured) as client:
            await eventually(left, {"recent", "recent, open", "told of lately"})
            partner = Partner(client, token, chain)
            await partner.enable()
            assert await partner.report(phone="old 1", call_id="old 1") == (202, ACCEPTED)
            assert await partner.report(phone="told of lately", call_id="told of lately") == (202, ACCEPTED)
        assert await left() == {"recent", "recent, open", "told of lately", "old 1"}


async def test_the_dialer_may_leave_an_identity_for_a_call_that_it_places(
    partner: Partner, chain: Chain, database_dsn: str, amqp_url: str
) -> None:
    uid = uuid4()
    await migrate(database_dsn, ["dialer"])
    async with connected(role_dsn(database_dsn, "dialer")) as connection:
        await connection.execute(
            "INSERT INTO ingest.identities"
            " (uid, account_id, channel_id, direction, phone, subscriber, opened_at, opened_by)"
            " VALUES ($1, $2, $3, 'outgoing', '+15550100123', 'sip-201', now(), 'dialer')",
            uid,
            chain.account,
            chain.channel,
        )

    await partner.report(type_="outgoing", user="sip-201", call_id="1")

    assert [call.uid for call in await calls(amqp_url)] == [uid]

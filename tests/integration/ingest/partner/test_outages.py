"""The database or the broker away: rings are taken, reports are bound later, and nothing is taken twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from services.ingest.app import build
from services.ingest.journal.entries import HEAD_BYTES, Deferred, pack
from services.ingest.journal.files import FIRST, JournalFile
from services.ingest.partner import NAMELESS
from services.ingest.settings import Settings
from shared.call import Call
from shared.events import Authority, CallEnded, CallRinging, Event, Outcome
from shared.http.auth import DIRECTORY
from tests.integration.ingest.channel_key_support import Desk, count
from tests.integration.ingest.partner.support import ACCEPTED, PHONE, Answer, Chain, Clock, Partner, add_chain
from tests.integration.ingest.support import eventually, running, settings, take
from tests.support.directory import connected, writing
from tests.support.proxy import Proxy


@pytest.fixture(params=["cut", "half-open"])
def lose(request: pytest.FixtureRequest, database_network: Proxy) -> Callable[[], None]:
    """Loses the database."""

    def lose() -> None:
        database_network.swallow()
        if request.param == "cut":
            database_network.cut()

    return lose


def heal(network: Proxy) -> None:
    network.heal()
    network.cut()


async def taken_from(amqp_url: str, least: int) -> list[Event]:
    """Return what history would get, once it is at least so much."""
    found: list[Event] = []

    async def enough() -> bool:
        found.extend(await take(amqp_url, "history.calls"))
        return len(found) >= least

    await eventually(enough, True)
    return found


async def enabling(partner: Partner) -> int:
    return (await partner.say("setup", "enable"))[0]


async def others(partner: Partner) -> list[int]:
    """Return how a history, a switching on and a ring with a fault are answered."""
    wrong = {"phone": PHONE, "diversion": None}
    return [
        (await partner.report(call_id="1"))[0],
        await enabling(partner),
        (await partner.say("event", "incoming", **wrong))[0],
    ]


async def test_without_the_database_rings_are_taken_and_the_history_finds_them(
    partner: Partner,
    replica: Partner,
    database_network: Proxy,
    lose: Callable[[], None],
    clock: Clock,
    amqp_url: str,
) -> None:
    lose()
    rings = [{"user": "1"}, {"user": "2"}, {"phone": "+15550100124"}]
    taken = await asyncio.gather(*(each.ring(**fields) for each in (partner, replica) for fields in rings))
    assert taken == [(202, ACCEPTED)] * 6
    assert await others(partner) == [202, 503, 422]
    guessed = await take(amqp_url, "history.calls")
    heal(database_network)
    for each in (partner, replica):
        await eventually(partial(enabling, each), 202)
    assert await partner.ring(user="1") == (202, ACCEPTED)
    assert await replica.report(call_id="1", status="missed") == (202, ACCEPTED)
    # The report that came meanwhile, and the two of just now.
    later = await taken_from(amqp_url, 3)
    again = next(event for event in later if isinstance(event, CallRinging))
    end = next(event for event in later if isinstance(event, CallEnded))

    assert {event.data.authority for event in guessed if isinstance(event, CallRinging)} == {Authority.GUESS}
    assert len(guessed) == 6
    assert len({event.subject for event in guessed}) == 2
    assert len({event.id for event in guessed}) == 3
    assert again.id in {event.id for event in guessed}
    assert isinstance(again, CallRinging)
    assert again.data.authority is Authority.LIVE
    call = Call.of([event for event in (*guessed, *later) if event.subject == end.subject])
    assert (call.final, call.outcome, call.events) == (True, Outcome.MISSED, 4)


# Every other transaction that inserts something is ended, with its connection, as it commits.
CUT = """
CREATE SEQUENCE ingest.cuts;
GRANT USAGE ON SEQUENCE ingest.cuts TO public;
CREATE FUNCTION ingest.cut() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('ingest.cuts') % 2 = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON ingest.identities
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ingest.cut();
CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON ingest.call_events
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ingest.cut();
"""


async def test_a_connection_that_is_lost_is_no_outage(
    partner: Partner, desk: Desk, database_dsn: str, amqp_url: str
) -> None:
    async with connected(database_dsn) as connection:
        await connection.execute(CUT)

    assert await partner.ring() == (202, ACCEPTED)
    assert await partner.report(phone="+15550100124", call_id="1") == (202, ACCEPTED)
    assert (await desk.create()).status == 200
    assert await count(database_dsn, "ingest.identities") == 2
    assert await count(database_dsn, "ingest.calls") == 1
    events = await taken_from(amqp_url, 3)
    assert [event.data.authority for event in events if isinstance(event, CallRinging)] == [Authority.LIVE] * 2


async def test_a_guess_is_found_by_whoever_gets_the_history(
    partner: Partner, replica: Partner, database_network: Proxy, database_dsn: str, amqp_url: str
) -> None:
    """One process took the rings and hears no more of the chain; the other gets the histories, late and later."""

    async def identities() -> int:
        return await count(database_dsn, "ingest.identities")

    phones = [f"+1555060{number:04}" for number in range(4)]
    database_network.swallow()
    assert [await partner.ring(phone=phone) for phone in phones] == [(202, ACCEPTED)] * 4
    assert await replica.report(phone=phones[0], call_id="0") == (202, ACCEPTED)
    heal(database_network)
    await eventually(identities, 4)
    assert [await replica.report(phone=phone, call_id=phone) for phone in phones[1:]] == [(202, ACCEPTED)] * 3

    events = await taken_from(amqp_url, 8)
    assert len({event.subject for event in events}) == 4


async def test_a_guess_is_there_before_anything_is_decided(
    partner: Partner, database_network: Proxy, database_dsn: str, amqp_url: str
) -> None:
    chain = partner.chain
    database_network.swallow()
    assert await partner.ring() == (202, ACCEPTED)
    async with connected(database_dsn) as connection, connection.transaction():
        # Another process decides about another phone, and ours, which is back by now, waits for it.
        turn = f"phone:{chain.account}:{chain.channel}:incoming:+15550100777"
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", turn)
        heal(database_network)
        rings: list[asyncio.Task[Answer]] = []

        async def is_waited_for() -> bool:
            if not rings or rings[-1].done():
                rings.append(asyncio.create_task(partner.ring(phone="+15550100777")))
            return await count(database_dsn, "pg_locks WHERE NOT granted") > 0

        await eventually(is_waited_for, True)
        assert await partner.report(call_id="1") == (202, ACCEPTED)
    assert [await ring for ring in rings] == [(202, ACCEPTED)] * len(rings)

    events = await taken_from(amqp_url, 2 + len(rings))
    ring, end = [event for event in events if b"0777" not in event.to_json()]
    assert ring.subject == end.subject


async def test_without_the_database_what_was_last_known_counts(
    partner: Partner, database_network: Proxy, database_dsn: str, lose: Callable[[], None], amqp_url: str
) -> None:
    async with writing(database_dsn) as store:
        other = await add_chain(store, "Never enabled")
        await store.entitle_partner(1, other.account)
    never = Partner(partner.client, partner.token, other)

    async def is_told_why() -> bool:  # and not that the partner has nothing to say there, as until a moment ago
        status, answer = await never.ring()
        return status == 403 and "disabled" in answer["meta"]["message"]

    await eventually(is_told_why, True)
    assert await partner.say("setup", "disable") == (202, ACCEPTED)
    lose()

    for each in (partner, never):
        assert (await each.ring())[0] == 403
        assert await others(each) == [403, 503, 403]
    heal(database_network)
    await eventually(partial(enabling, partner), 202)
    assert (await partner.ring())[0] == 202
    assert len(await take(amqp_url, "history.calls")) == 1


async def test_a_process_knows_what_others_were_told(
    partner: Partner, configured: Settings, database_network: Proxy, chain: Chain, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = configured.model_copy(update={"data_dir": tmp_path / "other"})
    app = build(other)
    async with running(other, app=app) as client:

        async def known() -> bool | None:
            channel = app[DIRECTORY].snapshot.channels[chain.channel]
            return app[NAMELESS].integrations.last_known(channel)

        await eventually(known, True)
        database_network.swallow()

        assert (await Partner(client, partner.token, chain).ring())[0] == 202
        heal(database_network)


async def test_a_process_that_never_knew_does_not_guess(
    partner: Partner, configured: Settings, amqp_url: str, chain: Chain
) -> None:
    cache = configured.data_dir / "ingest-directory.json"

    async def is_cached() -> bool:
        return str(chain.channel) in cache.read_text()

    await eventually(is_cached, True)
    without = settings(amqp_url, "postgresql://127.0.0.1:9/nowhere", configured.data_dir)
    async with running(without) as client:
        stranger = Partner(client, partner.token, chain)
        body = {"command": "event", "type": "incoming", "crm_token": chain.crm_token, "phone": "1", "diversion": "2"}
        status, answer, headers = await stranger.send(body)
        assert (status, answer["success"], headers["Retry-After"]) == (503, False, "2")
        assert await others(stranger) == [503, 503, 503]
        assert (await stranger.send({**body, "crm_token": "new"}))[
            0
        ] == 503  # whether there is such a chain can't be said


async def test_without_the_broker_nothing_is_taken_twice(
    partner: Partner, broker_network: Proxy, amqp_url: str
) -> None:
    async def ring() -> int:
        return (await partner.ring())[0]

    async def report() -> int:
        return (await partner.report(call_id="1", status="busy"))[0]

    events: list[Event] = []
    for each in (ring, report):
        broker_network.swallow()
        assert await each() == 202
        heal(broker_network)
        await eventually(each, 202)
        events += await taken_from(amqp_url, 1)

    assert (Call.of(events).outcome, Call.of(events).events) == (Outcome.BUSY, 2)


async def test_reports_that_waited_outlive_their_chain_and_what_can_not_be_read(
    partner: Partner, database_network: Proxy, database_dsn: str, configured: Settings, amqp_url: str
) -> None:
    """Nothing that lies in the journal ends the process, or keeps what lies behind it from being bound."""
    database_network.swallow()
    assert await partner.report(call_id="1", status="busy") == (202, ACCEPTED)
    folder = configured.journal_dir / "reports"
    (kept,) = folder.glob("*.journal")
    unbound = kept.read_bytes()[FIRST + HEAD_BYTES :]
    torn = JournalFile.create(folder)
    beginning = unbound[3:].removeprefix(b"partner")
    for body in (b"", b"{}", beginning[:-20], beginning.replace(b'"history"', b'"setup"'), b"[" * 100_000):
        torn.append(pack([Deferred("partner", body)]))
    torn.append(pack([Deferred("partner", beginning.replace(b'"busy"', b'"missed"').replace(b'"1"', b'"2"'))]))
    torn.release()
    connection = await asyncpg.connect(database_dsn)
    await connection.execute("DELETE FROM directory.accounts WHERE account_id = $1", partner.chain.account)
    await connection.close()
    heal(database_network)
    events: list[Event] = []
    # A process that starts now takes over the files of the one that has gone.
    other = configured.model_copy(update={"data_dir": configured.data_dir / "other"})
    other.data_dir.mkdir()
    async with running(other):
        events += await taken_from(amqp_url, 2)

        async def refused() -> int:
            return len(list(folder.glob("*.refused")))

        await eventually(refused, 1)

    ends = [event for event in events if isinstance(event, CallEnded)]
    assert {(end.data.call_key, end.data.outcome) for end in ends} == {("1", Outcome.BUSY), ("2", Outcome.MISSED)}
    assert {end.account for end in ends} == {partner.chain.account}

"""What a batch becomes in the database, without the broker: copies, accounts, contention, rebuilding."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import orjson
import pytest

from services.history.bodies import Body, join
from services.history.errors import ForeignCall
from services.history.rebuild import rebuild
from services.history.stored import Arrived, read
from services.history.writer import Stored, Writer
from shared.errors import Permanent
from shared.events import CallMissed, MissedData, Outcome, Party
from tests.integration.history.support import expected, stored_calls, stored_events
from tests.support.histories import Story, Told, history, shuffled_with_repeats, traffic

NOWHERE = "amqp://guest:guest@127.0.0.1:1/"


def arrived(events: list[Told]) -> list[Arrived]:
    """Return events as the consumer reads them."""
    return [read(event.to_json()) for event in events]


async def test_a_batch_becomes_the_rows_of_its_calls_and_every_event_with_its_raw(
    writer: Writer, pool: asyncpg.Pool[Any]
) -> None:
    calls = list(traffic(40))
    events = [event for call in calls for event in call]
    assert await writer.store(arrived(events)) == Stored(len(events), 0, 40)
    assert await stored_calls(pool) == {call[0].subject: expected(call) for call in calls}
    assert await stored_events(pool) == {event.id: event.to_json() for event in events}


async def test_events_that_come_one_by_one_in_any_order_make_the_same_rows_as_all_at_once(
    writer: Writer, pool: asyncpg.Pool[Any]
) -> None:
    calls = list(traffic(18))
    for event in shuffled_with_repeats([event for call in calls for event in call], seed=5):
        await writer.store(arrived([event]))
    assert await stored_calls(pool) == {call[0].subject: expected(call) for call in calls}


async def test_a_batch_stored_again_changes_nothing(writer: Writer, pool: asyncpg.Pool[Any]) -> None:
    events = history(3)
    await writer.store(arrived(events))
    before = await pool.fetch("SELECT * FROM history.calls")
    assert await writer.store(arrived(events)) == Stored(0, len(events), 0)
    assert await pool.fetch("SELECT * FROM history.calls") == before


@pytest.mark.parametrize("earlier_first", [True, False])
async def test_of_two_copies_the_one_received_first_stands(
    writer: Writer, pool: asyncpg.Pool[Any], earlier_first: bool
) -> None:
    first, *rest = history(1)
    later = first.model_copy(update={"receivedat": first.receivedat + timedelta(seconds=9), "requestid": "the-retry"})
    copies = [first, later] if earlier_first else [later, first]
    for copy in copies:
        await writer.store(arrived([copy]))
    await writer.store(arrived([*rest]))
    assert (await stored_events(pool))[first.id] == first.to_json()
    assert await stored_calls(pool) == {first.subject: expected([first, *rest])}
    assert await pool.fetchval("SELECT request_id FROM history.events WHERE id = $1", first.id) == first.requestid


async def test_of_two_copies_in_one_batch_the_one_received_first_stands(
    writer: Writer, pool: asyncpg.Pool[Any]
) -> None:
    first, *_ = history(1)
    later = first.model_copy(update={"receivedat": first.receivedat + timedelta(seconds=9)})
    await writer.store(arrived([later, first, later]))
    assert await stored_events(pool) == {first.id: first.to_json()}


async def test_an_event_that_names_a_call_of_another_account_is_refused_and_leaves_no_trace(
    writer: Writer, pool: asyncpg.Pool[Any]
) -> None:
    ours = history(1, account=1, channel=1)
    await writer.store(arrived(ours[:2]))
    theirs = ours[2].model_copy(update={"account": 2})
    same_id = ours[0].model_copy(update={"account": 2})
    for foreign in (theirs, same_id):
        with pytest.raises(ForeignCall, match="another account"):
            await writer.store(arrived([foreign]))
    with pytest.raises(ForeignCall, match="two accounts"):
        await writer.store(arrived([ours[2], theirs]))
    assert await stored_events(pool) == {event.id: event.to_json() for event in ours[:2]}


async def test_a_missed_call_that_is_told_before_the_call_is_kept_and_shown_nowhere_until_it_comes(
    writer: Writer, pool: asyncpg.Pool[Any]
) -> None:
    events = history(0)
    end = events[-1]
    missed = CallMissed(
        id=uuid4(),
        source="/history",
        time=end.time,
        receivedat=end.receivedat,
        account=end.account,
        subject=end.subject,
        data=MissedData(channel_id=1, number=Party(raw="1"), outcome=Outcome.MISSED, revision=1, ended_at=end.time),
    )
    await writer.store([read(missed.to_json())])
    row = await pool.fetchrow("SELECT started_at, events FROM history.calls")
    assert row is not None
    assert tuple(row) == (None, 0)
    await writer.store(arrived(events))
    assert await stored_calls(pool) == {end.subject: expected(events)}
    assert await pool.fetchval("SELECT count(*) FROM history.events") == len(events) + 1


async def test_two_replicas_at_once_on_the_same_few_calls_make_exactly_the_calls_of_the_ordered_stream(
    pool: asyncpg.Pool[Any],
) -> None:
    calls = [history(n) for n in (3, 8, 12, 17, 26, 35)]
    events = [event for call in calls for event in call]
    replicas = [Writer(pool) for _ in range(3)]

    async def run(replica: Writer, seed: int) -> None:
        stream = shuffled_with_repeats(events, seed=seed)
        draw = random.Random(seed)
        while stream:
            size = draw.randint(1, 6)
            await replica.store(arrived(stream[:size]))
            stream = stream[size:]

    await asyncio.gather(*(run(replica, seed) for seed, replica in enumerate(replicas)))
    for replica in replicas:
        await replica.close()
    assert await stored_calls(pool) == {call[0].subject: expected(call) for call in calls}
    assert await stored_events(pool) == {event.id: event.to_json() for event in events}


async def test_the_revision_rises_only_when_an_ended_call_has_another_outcome(
    writer: Writer, pool: asyncpg.Pool[Any]
) -> None:
    story = Story("revised")
    story.ring("101")
    story.end(Outcome.MISSED, "101")
    story.note(comment="nobody there")
    story.ring("102")
    story.answer("102")
    story.end(Outcome.ANSWERED, "102")
    story.end(Outcome.ANSWERED)
    revisions = []
    for event in story.events:
        await writer.store(arrived([event]))
        revisions.append(await pool.fetchval("SELECT revision FROM history.calls"))
    assert revisions == [0, 1, 1, 1, 1, 2, 2]


async def test_an_event_whose_numbers_fit_no_column_is_refused_for_good(writer: Writer) -> None:
    story = Story("too-big")
    story.note(assignee=2**70)
    with pytest.raises(Permanent):
        await writer.store(arrived(story.events))
    story.note(comment="fine")
    assert (await writer.store(arrived(story.events[1:]))).events == 1


async def test_a_connection_that_was_cut_between_two_batches_is_replaced(
    writer: Writer, admin: asyncpg.Connection[Any]
) -> None:
    await writer.store(arrived(history(1)))
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert (await writer.store(arrived(history(2)))).events == len(history(2))


async def test_rebuilding_gives_the_same_rows_and_keeps_the_crms_ids(writer: Writer, pool: asyncpg.Pool[Any]) -> None:
    calls = list(traffic(30))
    for call in calls:
        await writer.store(arrived(call))
    before = await pool.fetch("SELECT uid, id, revision, created_at FROM history.calls ORDER BY uid")
    await pool.execute(
        "UPDATE history.calls SET outcome = NULL, state = 'ringing', from_raw = 'wrong', comments = '{x}'"
    )
    assert await rebuild(pool) == 30
    assert await pool.fetch("SELECT uid, id, revision, created_at FROM history.calls ORDER BY uid") == before
    assert await stored_calls(pool) == {call[0].subject: expected(call) for call in calls}


async def test_rebuilding_some_calls_leaves_the_others_alone(writer: Writer, pool: asyncpg.Pool[Any]) -> None:
    calls = list(traffic(4))
    for call in calls:
        await writer.store(arrived(call))
    await pool.execute("UPDATE history.calls SET from_raw = 'wrong'")
    assert await rebuild(pool, [calls[1][0].subject]) == 1
    wrong = await pool.fetchval("SELECT count(*) FROM history.calls WHERE from_raw = 'wrong'")
    assert wrong == 3


@pytest.mark.parametrize("which", ["one", "all"])
async def test_rebuilding_by_hand_says_how_many_calls_it_was(writer: Writer, dsn: str, pool: Any, which: str) -> None:
    calls = list(traffic(3))
    for call in calls:
        await writer.store(arrived(call))
    await pool.execute("UPDATE history.calls SET from_raw = 'wrong'")
    uids = [str(calls[0][0].subject)] if which == "one" else []
    count = 1 if which == "one" else 3
    assert await by_hand(*uids, CALLBUS_POSTGRES_DSN=dsn, CALLBUS_AMQP_URL=NOWHERE) == (0, f"calls rebuilt: {count}\n")
    assert await pool.fetchval("SELECT count(*) FROM history.calls WHERE from_raw <> 'wrong'") == count


async def test_rebuilding_by_hand_says_in_a_line_why_it_cannot(dsn: str) -> None:
    assert await by_hand(CALLBUS_POSTGRES_DSN=f"{dsn}_away", CALLBUS_AMQP_URL=NOWHERE) == (1, "")
    assert await by_hand(CALLBUS_AMQP_URL=NOWHERE) == (2, "")
    code, said = await by_hand("--help")
    assert (code, said.startswith("usage: python -m services.history.rebuild")) == (0, True)


async def by_hand(*arguments: str, **settings: str) -> tuple[int | None, str]:
    """Run it with these settings alone; return exit code and stdout, having seen that stderr has no traceback."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CALLBUS_")} | settings
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.history.rebuild",
        *arguments,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert b"Traceback" not in err
    return process.returncode, out.decode()


async def test_a_body_is_kept_in_two_parts_that_together_are_the_message(
    writer: Writer, pool: asyncpg.Pool[Any]
) -> None:
    events = history(1)
    await writer.store(arrived(events))
    for row in await pool.fetch("SELECT body, raw FROM history.events"):
        assert "raw" not in orjson.loads(row["body"])["data"]
        assert join(Body(row["body"], row["raw"])) in {event.to_json() for event in events}

"""Tickets: written with the calls that they come from, kept by a rebuild, and listed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from services.history.reading import SQL
from services.history.rebuild import rebuild
from services.history.stored import read
from services.history.writer import Writer
from shared.call import Call
from shared.events import Authority, Direction, Outcome
from tests.integration.history.support import Api, rows_read
from tests.support.histories import NOON, Story, Told


def told(number: int, *, account: int = 1, start: int = 0, **fields: Any) -> Story:
    """A ringing call with the ticket `number`, `start` seconds after noon."""
    story = Story(f"t{number}", account=account, channel=account, start=NOON + timedelta(seconds=start))
    story.direction = Direction.INCOMING
    story.ring()
    first = story.events[0]
    data = {"call_number": number - 5000, "ticket_number": number, "department_id": 3, **fields}
    story.events[0] = first.model_copy(update={"data": first.data.model_copy(update=data)})
    return story


async def store(writer: Writer, *stories: Sequence[Told]) -> None:
    """Store the events of all calls in one batch."""
    await writer.store([read(event.to_json()) for events in stories for event in events])


async def tickets(pool: asyncpg.Pool[Any]) -> list[dict[str, Any]]:
    """Return what is in the table, times left out."""
    names = "uid, account_id, id, channel_id, department_id, assignee"
    return [dict(row) for row in await pool.fetch(f"SELECT {names} FROM history.tickets ORDER BY id")]


def row(story: Story, number: int, assignee: int | None = None, department: int | None = 3) -> dict[str, Any]:
    """Return the row that a call's ticket has."""
    return {
        "uid": story.uid,
        "account_id": story.account,
        "id": number,
        "channel_id": story.channel,
        "department_id": department,
        "assignee": assignee,
    }


async def test_every_call_with_a_number_gets_its_ticket_and_no_other_call_does(
    writer: Writer, pool: asyncpg.Pool[Any]
) -> None:
    plain = Story("plain")
    plain.ring()
    one, two = told(9001), told(9002, account=2, department_id=None)
    await store(writer, one.events, plain.events, two.events)
    assert await tickets(pool) == [row(one, 9001), row(two, 9002, department=None)]


async def test_the_ticket_belongs_to_whom_the_call_was_last_given(writer: Writer, pool: asyncpg.Pool[Any]) -> None:
    story = told(9001, assignee=1)
    story.note(assignee=2)
    story.note(assignee=3)
    for event in (story.events[2], story.events[0], story.events[1]):
        await store(writer, [event])
    assert await tickets(pool) == [row(story, 9001, assignee=3)]


async def test_the_number_may_come_after_other_events_of_the_call(writer: Writer, pool: asyncpg.Pool[Any]) -> None:
    story = told(9001)
    story.end(Outcome.MISSED)
    await store(writer, story.events[1:])
    assert await tickets(pool) == []
    await store(writer, story.events[:1])
    assert await tickets(pool) == [row(story, 9001)]


async def test_the_same_events_again_change_nothing(writer: Writer, pool: asyncpg.Pool[Any]) -> None:
    story = told(9001)
    await store(writer, story.events)
    before = await pool.fetch("SELECT * FROM history.tickets")
    await store(writer, story.events)
    assert await pool.fetch("SELECT * FROM history.tickets") == before


async def test_two_replicas_at_once_on_the_same_calls_make_the_tickets_that_the_calls_say(
    writer: Writer, pool: asyncpg.Pool[Any]
) -> None:
    stories = [told(9000 + n, assignee=1) for n in range(6)]
    for story in stories:
        for user in range(2, 8):
            story.note(assignee=user)
    events = [event for story in stories for event in story.events]
    other = Writer(pool)

    async def run(replica: Writer, seed: int) -> None:
        mine = random.Random(seed).sample(events, len(events))
        for start in range(0, len(mine), 5):
            await store(replica, mine[start : start + 5])

    try:
        await asyncio.gather(run(writer, 1), run(other, 2))
    finally:
        await other.close()
    assert await tickets(pool) == [row(story, 9000 + n, assignee=7) for n, story in enumerate(stories)]


async def test_two_calls_with_one_number_cost_neither(writer: Writer, pool: asyncpg.Pool[Any], api: Api) -> None:
    one, two = told(9001), Story("other")
    two.ring()
    same = two.events[0].data.model_copy(update={"ticket_number": 9001})
    two.events[0] = two.events[0].model_copy(update={"data": same})
    await store(writer, one.events)
    await store(writer, two.events)
    assert {each["uid"] for each in await tickets(pool)} == {one.uid, two.uid}
    assert (await api.get("/api/v1/tickets/9001"))[1]["call_uid"] == str(one.uid)


async def test_a_rebuild_keeps_tickets_and_makes_again_those_that_are_gone(
    writer: Writer, pool: asyncpg.Pool[Any]
) -> None:
    kept, gone, spoilt = told(9001), told(9002), told(9003, assignee=4)
    await store(writer, kept.events, gone.events, spoilt.events)
    created = await pool.fetchval("SELECT created_at FROM history.tickets WHERE id = 9001")
    await pool.execute("DELETE FROM history.tickets WHERE id = 9002")
    await pool.execute("UPDATE history.tickets SET assignee = 99, department_id = NULL WHERE id = 9003")
    assert await rebuild(pool) == 3
    assert await tickets(pool) == [row(kept, 9001), row(gone, 9002), row(spoilt, 9003, assignee=4)]
    assert await pool.fetchval("SELECT created_at FROM history.tickets WHERE id = 9001") == created


async def test_a_ticket_is_shown_with_what_its_call_says(api: Api) -> None:
    story = told(9001, assignee=2)
    story.note(comment="wants a chair")
    story.note(comment="a blue one")
    await api.store(story.events)
    status, ticket, _ = await api.get("/api/v1/tickets/9001")
    assert status == 200
    assert ticket == {
        "id": 9001,
        "call_uid": str(story.uid),
        "call_id": 4001,
        "channel_id": 1,
        "department_id": 3,
        "assignee": 2,
        "number": {"raw": story.caller, "e164": f"+{story.caller}", "name": None},
        "comments": ["wants a chair", "a blue one"],
        "created_at": ticket["created_at"],
        "updated_at": ticket["updated_at"],
    }
    assert (await api.get("/api/v1/tickets"))[1] == {"items": [ticket], "next": None}
    call = (await api.get(f"/api/v1/calls/{story.uid}"))[1]
    assert (call["ticket_number"], call["call_number"], call["department_id"]) == (9001, 4001, 3)


async def test_of_an_outgoing_call_the_customers_number_is_the_one_that_was_called(api: Api) -> None:
    story = told(9001, direction=Direction.OUTGOING)
    await api.store(story.events)
    assert (await api.get("/api/v1/tickets/9001"))[1]["number"]["raw"] == story.company


async def test_the_list_goes_from_the_highest_number_down_by_cursor(api: Api) -> None:
    await api.store(*(told(9000 + n, start=n).events for n in range(7)))
    seen = [item["id"] for item in await api.every("/api/v1/tickets", limit=3)]
    assert seen == list(range(9006, 8999, -1))


async def test_every_filter_finds_its_tickets_and_only_those(api: Api) -> None:
    await api.store(
        told(9001, assignee=1, department_id=3).events,
        told(9002, assignee=2, department_id=3).events,
        told(9003, assignee=2, department_id=None).events,
        told(9004, department_id=4, channel_id=5).events,
    )
    for query, numbers in {
        "assignee=2": [9003, 9002],
        "department_id=3": [9002, 9001],
        "channel_id=5": [9004],
        "assignee=2&department_id=3": [9002],
        "assignee=7": [],
        "assignee=": [9004, 9003, 9002, 9001],
    }.items():
        status, body, _ = await api.get(f"/api/v1/tickets?{query}")
        assert (status, [item["id"] for item in body["items"]]) == (200, numbers), query


async def test_an_agents_few_tickets_are_found_among_those_of_everybody(
    admin: asyncpg.Connection[Any], writer: Writer
) -> None:
    await admin.execute(
        "WITH calls AS (INSERT INTO history.calls (uid, account_id, started_at, events)"
        " SELECT gen_random_uuid(), 1, now(), 1 FROM generate_series(1, 20000) RETURNING id, uid)"
        " INSERT INTO history.tickets (uid, account_id, id, channel_id, assignee) SELECT uid, 1, id, 1, 1 FROM calls"
    )
    await store(writer, told(9001, assignee=2).events)
    await admin.execute("VACUUM ANALYZE history.tickets, history.calls")

    for assignee in (2, 3):
        assert await rows_read(admin, SQL.list_tickets, 1, None, None, assignee, None, None, 50) < 10


async def test_every_wrong_parameter_is_named(api: Api) -> None:
    status, body, _ = await api.get("/api/v1/tickets?assignee=x&department_id=0&channel_id=-1&limit=0&cursor=OTAwMQ")
    assert status == 422
    assert sorted(error["field"] for error in body["errors"]) == [
        "assignee",
        "channel_id",
        "cursor",
        "department_id",
        "limit",
    ]
    for cursor in ("%FF%00", "OTAwMSB4", "LTEgeA", "a" * 2000):
        assert (await api.get(f"/api/v1/tickets?cursor={cursor}"))[0] == 422


async def test_another_accounts_ticket_is_as_unknown_as_none(api: Api) -> None:
    await api.store(told(9001).events)
    theirs, none = [await api.get(f"/api/v1/tickets/{id_}", token="theirs") for id_ in (9001, 9002)]
    for body in (theirs[1], none[1]):
        body.pop("request_id")
    assert theirs[:2] == none[:2]
    assert theirs[0] == 404
    assert (await api.get("/api/v1/tickets", token="theirs"))[1] == {"items": [], "next": None}


async def test_with_its_call_a_ticket_is_deleted(api: Api) -> None:
    story = told(9001)
    story.note(deleted=True, authority=Authority.PERSON)
    await api.store(story.events)
    assert Call.of(story.events).deleted
    assert (await api.get("/api/v1/tickets/9001"))[0] == 404
    assert (await api.get("/api/v1/tickets"))[1]["items"] == []


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/tickets/9223372036854775808",
        "/api/v1/tickets/x",
        "/api/v1/tickets/00000000-0000-4000-8000-000000000000",
    ],
)
async def test_what_can_be_no_number_is_unknown(api: Api, path: str) -> None:
    assert (await api.get(path))[0] == 404


@pytest.mark.parametrize("path", ["/api/v1/tickets", "/api/v1/tickets/1"])
async def test_a_token_that_may_read_calls_is_needed(api: Api, path: str) -> None:
    for token, status in ((None, 401), ("wrong", 401), ("writer", 403)):
        assert (await api.get(path, token=token))[0] == status
    assert (await api.get(path, token="reader"))[0] in (200, 404)
    assert (await api.get(path, method="POST"))[0] == 405

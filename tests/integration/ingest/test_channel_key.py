"""Every documented request and answer of the channel-key API, and every refusal."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from services.ingest import channel_key
from services.ingest.settings import Settings
from shared.events import Authority, CallAnswered, CallEnded, CallNoted, CallRinging, Direction, Outcome
from tests.integration.ingest.channel_key_support import (
    Answer,
    Desk,
    World,
    count,
    events_of,
    path_of,
    published,
)
from tests.integration.ingest.support import eventually, rejected, running, settings
from tests.support.directory import writing

_BOUNDARY = "------------------------d74496d66958873e"


async def curl(client: aiohttp.ClientSession, path: str, *arguments: str) -> Any:
    """Send what the command `curl --location --request POST <path> <arguments>` sends; return the JSON it prints."""
    assert set(arguments[::2]) == {"--form"}
    parts = (argument.split("=", 1) for argument in arguments[1::2])
    body = "".join(
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in parts
    )
    headers = {"Accept": "*/*", "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
    async with client.post(path, data=f"{body}--{_BOUNDARY}--\r\n".encode(), headers=headers) as answer:
        assert answer.status == 200
        return await answer.json()


async def test_the_documented_commands_get_the_documented_answers(
    client: aiohttp.ClientSession, world: World, amqp_url: str
) -> None:
    created = await curl(
        client,
        path_of(world.key),
        *("--form", "action=create_call", "--form", "direction=outgoing", "--form", "phone=777777777"),
        *("--form", "call_status=ringing", "--form", "comment=start"),
    )
    number, ticket = created["data"]["call_id"], created["data"]["ticket_id"]
    updated = await curl(
        client,
        path_of(world.key),
        *("--form", "action=update_call", "--form", f"call_id={number}", "--form", "call_status=canceled"),
        *("--form", f"user_id={world.anna}", "--form", "comment=missed"),
    )

    assert created == {
        "data": {
            "call_id": number,
            "pbx_call_id": None,
            "user_id": None,
            "pbx_user_id": None,
            "call_status": "ringing",
            "audio_record": None,
            "ticket_id": ticket,
        }
    }
    assert updated == {"data": {**created["data"], "user_id": world.anna, "call_status": "canceled"}}
    assert isinstance(number, int)
    assert isinstance(ticket, int)
    ring, end = await published(amqp_url, 2)
    assert (type(ring), type(end)) == (CallRinging, CallEnded)
    assert ring.subject == end.subject
    assert (ring.account, ring.source) == (world.account, f"/ingest/channel_key/{world.channel}")
    said = ring.data
    assert (said.direction, said.to and said.to.raw, said.from_) == (Direction.OUTGOING, "777777777", None)
    assert (said.comment, said.department_id, said.authority) == ("start", world.department, Authority.LIVE)
    assert (said.call_number, said.ticket_number, said.call_key, said.assignee) == (number, ticket, None, None)
    assert said.decision is not None
    assert (said.decision.rank, said.decision.audience) == (5, (world.anna, world.piotr, world.maria))
    assert isinstance(end, CallEnded)
    assert (end.data.outcome, end.data.cause, end.data.authority) == (Outcome.CANCELED, "canceled", Authority.RECORD)
    assert (end.data.assignee, end.data.comment, end.data.call_number) == (world.anna, "missed", number)
    assert end.data.decision == said.decision
    assert end.time > ring.time
    assert ring.data.raw is not None
    assert ring.data.raw.unpack().startswith(f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="action"'.encode())
    assert ring.data.raw.unpack().endswith(f"start\r\n--{_BOUNDARY}--\r\n".encode())
    assert ring.data.raw.content_type == f"multipart/form-data; boundary={_BOUNDARY}"


async def test_each_status_is_answered_as_it_was_said(desk: Desk, amqp_url: str) -> None:
    for status, kind, outcome in (
        ("ringing", CallRinging, None),
        ("in-progress", CallAnswered, None),
        ("canceled", CallEnded, Outcome.CANCELED),
        ("missed", CallEnded, Outcome.MISSED),
        ("failed", CallEnded, Outcome.FAILED),
        ("answered", CallEnded, Outcome.ANSWERED),
        ("busy", CallEnded, Outcome.BUSY),
    ):
        created = await desk.create(call_status=status)
        ringing = await desk.create()
        updated = await desk.update(call_id=str(ringing.call_id), call_status=status, comment="now")

        assert (created.status, created.data["call_status"]) == (200, status)
        assert (updated.status, updated.data["call_status"]) == (200, status)
        first, _, second = await published(amqp_url, 3)
        assert type(first) is type(second) is kind
        assert first.data.outcome is second.data.outcome is outcome
        assert second.data.ticket_number == ringing.data["ticket_id"] == created.data["ticket_id"] + 1


async def test_the_call_is_found_by_either_id_wherever_it_came_from(desk: Desk, amqp_url: str) -> None:
    created = await desk.create(pbx_call_id="pbx-77")
    by_number = await desk.update(call_id=str(created.call_id), call_status="in-progress")
    by_pbx = await desk.update(pbx_call_id="pbx-77", call_status="answered")

    assert created.data["pbx_call_id"] == "pbx-77"
    assert by_number.data == {**created.data, "call_status": "in-progress"}
    assert by_pbx.data == {**created.data, "call_status": "answered"}
    events = await published(amqp_url, 3)
    assert len({event.subject for event in events}) == 1
    assert {event.data.call_key for event in events} == {"pbx-77"}


BODIES: dict[str, dict[str, Any]] = {
    "multipart": {},
    "json": {"json": {"action": "create_call", "direction": "incoming", "phone": 777777777, "pbx_call_id": 9}},
    "json with lists": {
        "json": {
            "action": "create_call",
            "direction": "in",
            "phone": "777777777",
            "pbx_call_id": "9",
            "user_ids": [],
            "group_ids": "",
            "pbx_user_ids[]": None,
            "audio_record": {},
            "comment": "",
        }
    },
    "json without file": {
        "json": {"action": "create_call", "direction": "in", "phone": "777777777", "pbx_call_id": 9, "audio_record": ""}
    },
    "urlencoded": {"data": "action=create_call&direction=incoming&phone=777777777&pbx_call_id=9&audio_record="},
    "urlencoded, said to be json": {
        "data": "action=create_call&direction=incoming&phone=777777777&pbx_call_id=9",
        "headers": {"Content-Type": "application/json"},
    },
    "with basic authorization": {
        "json": {"action": "create_call", "direction": "incoming", "phone": "777777777", "pbx_call_id": 9},
        "headers": {"Authorization": "Basic bWU6c2VjcmV0"},
    },
}


async def test_every_dress_and_both_slashes_and_either_at_sign_will_do(desk: Desk, amqp_url: str) -> None:
    paths = [desk.path, desk.path + "/", desk.path.replace("@", "%40"), desk.path.replace("@", "%40") + "/"]
    for number, (name, body) in enumerate(BODIES.items()):
        desk.path = paths[number % len(paths)]
        answer = await desk.create(pbx_call_id="9") if name == "multipart" else await desk.post(**body)

        assert (name, answer.status, answer.data["pbx_call_id"]) == (name, 200, "9")
        assert answer.data["call_status"] == "ringing"
    events = await events_of(amqp_url)
    assert len({event.subject for event in events}) == 1
    for event in events:
        assert event.data.direction is Direction.INCOMING
        assert event.data.from_ is not None
        assert event.data.from_.raw == "777777777"
        assert (event.data.user_ids, event.data.group_ids, event.data.pbx_user_ids) == (None, None, None)
        assert b"bWU6" not in event.to_json()


async def test_lists_are_understood_in_every_spelling(desk: Desk, world: World, amqp_url: str) -> None:
    anna, piotr = str(world.anna), str(world.piotr)
    call = {"action": "create_call", "direction": "incoming", "phone": "1"}
    spellings: list[dict[str, Any]] = [
        {"json": {**call, "user_ids": [world.anna, world.piotr]}},
        {"json": {**call, "user_ids": [anna, piotr]}},
        {"json": {**call, "user_ids[]": [anna, world.piotr]}},
        {"data": [*call.items(), ("user_ids[]", anna), ("user_ids[]", piotr)]},
        {"data": [*call.items(), ("user_ids[0]", anna), ("user_ids[1]", piotr)]},
        {"data": [*call.items(), ("user_ids", anna), ("user_ids", piotr)]},
        {"data": [*call.items(), ("user_ids", f"[{anna}, {piotr}]")]},
    ]
    answers = [await desk.post(**spelling) for spelling in spellings]
    answers.append(await desk.create(("user_ids[]", anna), ("user_ids[]", piotr)))

    assert [(answer.status, answer.data["user_id"]) for answer in answers] == [(200, None)] * len(answers)
    for event in await published(amqp_url, len(answers)):
        assert event.data.user_ids == (world.anna, world.piotr)
        assert event.data.decision is not None
        assert event.data.decision.audience == (world.anna, world.piotr)


async def test_exactly_one_person_named_or_found_is_the_assignee(desk: Desk, world: World, amqp_url: str) -> None:
    answers = [
        await desk.create(("user_ids[]", str(world.piotr))),
        await desk.create(("user_ids[]", str(world.piotr)), ("user_ids[]", str(world.jan))),
        await desk.create(("user_ids[]", str(world.jan))),
        await desk.create(("group_ids[]", str(world.single))),
        await desk.create(("group_ids[]", str(world.front))),
        await desk.create(("pbx_user_ids[]", "102")),
        await desk.create(("pbx_user_ids[]", "999"), ("pbx_user_ids[]", "103"), ("pbx_user_ids[]", "101")),
        await desk.create(("pbx_user_ids[]", "101"), ("pbx_user_ids[]", "102")),
        await desk.create(("pbx_user_ids[]", "999")),
        await desk.create(user_ids=str(world.maria)),
    ]

    assert [(a.status, a.data["user_id"], a.data["pbx_user_id"]) for a in answers] == [
        (200, world.piotr, None),
        (200, world.piotr, None),
        (200, None, None),
        (200, world.maria, None),
        (200, None, None),
        (200, world.piotr, "102"),
        (200, world.anna, "101"),
        (200, None, None),
        (200, None, None),
        (200, world.maria, None),
    ]
    events = await published(amqp_url, len(answers))
    assert [event.data.assignee for event in events] == [answer.data["user_id"] for answer in answers]
    decisions = [event.data.decision for event in events]
    assert all(decision is not None and decision.rank == 1 for decision in decisions)
    assert [decision.audience for decision in decisions if decision] == [
        (world.piotr,),
        (world.piotr,),
        (),
        (world.maria,),
        (world.anna, world.piotr),
        (world.piotr,),
        (world.anna,),
        (world.anna, world.piotr),
        (),
        (world.maria,),
    ]


async def test_an_update_gives_the_call_to_whom_it_names(desk: Desk, world: World, amqp_url: str) -> None:
    call_id = str((await desk.create(("pbx_user_ids[]", "101"))).call_id)
    answers = [
        await desk.update(call_id=call_id, call_status="in-progress", user_id=str(world.maria)),
        await desk.update(call_id=call_id, call_status="in-progress", pbx_user_id="102"),
        await desk.update(call_id=call_id, call_status="in-progress", pbx_user_id="999"),
        await desk.update(call_id=call_id, call_status="answered"),
        await desk.update(call_id=call_id, call_status="answered", user_id=str(world.jan)),
    ]

    assert [(a.status, a.data["user_id"], a.data["pbx_user_id"]) for a in answers] == [
        (200, world.maria, None),
        (200, world.piotr, "102"),
        (200, world.piotr, "102"),  # nobody is mapped to 999, so nothing changes
        (200, world.piotr, "102"),
        (200, world.jan, None),
    ]
    events = await published(amqp_url, 6)
    assert [event.data.assignee for event in events[1:]] == [world.maria, world.piotr, None, None, world.jan]


async def test_a_person_made_a_moment_ago_is_found(desk: Desk, world: World, database_dsn: str) -> None:
    async with writing(database_dsn) as store:
        user = await store.create_user(world.account, "New")
        answer = await desk.create(("user_ids[]", str(user)))
        await store.create_pbx_user(world.account, world.channel, "new", user)
        by_pbx = await desk.create(("pbx_user_ids[]", "new"))

    assert answer.data["user_id"] == user
    assert (by_pbx.data["user_id"], by_pbx.data["pbx_user_id"]) == (user, "new")


async def test_what_is_over_stays_over_but_takes_what_else_is_said(desk: Desk, world: World, amqp_url: str) -> None:
    call_id = str((await desk.create(call_status="missed")).call_id)
    late = await desk.update(call_id=call_id, call_status="in-progress", comment="late", user_id=str(world.anna))
    corrected = await desk.update(call_id=call_id, call_status="busy")

    assert (late.data["call_status"], late.data["user_id"]) == ("missed", world.anna)
    assert (corrected.data["call_status"], corrected.data["user_id"]) == ("busy", world.anna)
    _, note, end = await published(amqp_url, 3)
    assert (type(note), note.data.comment, type(end)) == (CallNoted, "late", CallEnded)


async def test_a_call_that_is_talked_on_does_not_ring_again(desk: Desk) -> None:
    call_id = str((await desk.create(call_status="in-progress")).call_id)

    answer = await desk.update(call_id=call_id, call_status="ringing")

    assert answer.data["call_status"] == "in-progress"


# --- retries


async def test_a_retry_is_answered_again_and_is_the_same_event(desk: Desk, amqp_url: str, database_dsn: str) -> None:
    first = [await desk.create(pbx_call_id="a") for _ in range(3)]
    second = [await desk.update(pbx_call_id="a", call_status="in-progress", comment="x") for _ in range(3)]
    third = await desk.update(pbx_call_id="a", call_status="in-progress", comment="y")

    assert first[0] == first[1]._replace(headers=first[0].headers) == first[2]._replace(headers=first[0].headers)
    assert [answer.data for answer in second] == [third.data] * 3
    assert await count(database_dsn, "ingest.call_events") == 3
    assert len({event.id for event in await events_of(amqp_url)}) == 3


async def test_what_only_equals_an_earlier_request_is_said_anew(desk: Desk, amqp_url: str) -> None:
    await desk.create(pbx_call_id="a")
    answers = [
        await desk.update(pbx_call_id="a", call_status=status)
        for status in ("busy", "answered", "busy", "answered", "answered")
    ]

    assert [answer.data["call_status"] for answer in answers] == ["busy", "answered", "busy", "answered", "answered"]
    events = await published(amqp_url, 5)
    assert len({event.id for event in events}) == 5


async def test_a_known_pbx_call_id_is_the_same_call_and_the_same_ticket(
    desk: Desk, world: World, amqp_url: str
) -> None:
    created = await desk.create(pbx_call_id="a")
    again = await desk.create(
        ("user_ids[]", str(world.maria)), pbx_call_id="a", call_status="in-progress", comment="once more"
    )

    assert again.data == {**created.data, "call_status": "in-progress", "user_id": world.maria}
    _, event = await published(amqp_url, 2)
    assert event.data.decision is not None
    assert (type(event), event.data.comment, event.data.decision.audience) == (
        CallAnswered,
        "once more",
        (world.maria,),
    )


async def test_without_an_id_of_its_own_each_create_is_a_call(desk: Desk) -> None:
    first, second = await desk.create(), await desk.create()

    assert first.call_id != second.call_id
    assert first.data["ticket_id"] != second.data["ticket_id"]


async def test_an_idempotency_key_names_one_request(desk: Desk, world: World, amqp_url: str) -> None:
    async def create(key: str, comment: str = "x", on: Desk = desk) -> Answer:
        call = {"action": "create_call", "direction": "incoming", "phone": "1", "comment": comment}
        return await on.post(json=call, headers={"Idempotency-Key": key})

    first = await create("k1")
    await desk.update(call_id=str(first.call_id), call_status="answered")
    again, other, conflict = await create("k1"), await create("k2"), await create("k1", comment="y")
    elsewhere = await create("k1", on=Desk(desk.client, world.second_key))
    long = await create("k" * 256)

    assert again.data == {**first.data, "call_status": "answered"}
    assert len({first.call_id, other.call_id, elsewhere.call_id}) == 3
    assert (conflict.status, conflict.errors[0]["details"]) == (422, "Idempotency-Key came with another request before")
    assert long.status == 422
    events = await published(amqp_url, 4)
    assert [type(event) for event in events] == [CallRinging, CallEnded, CallRinging, CallRinging]


async def test_two_replicas_make_one_call_of_one_pbx_call_id(
    configured: Settings, dsn: str, amqp_url: str, world: World, database_dsn: str, tmp_path: Path
) -> None:
    (tmp_path / "b").mkdir()
    second = settings(amqp_url, dsn, tmp_path / "b")
    async with running(configured) as one, running(second) as two:
        desks = [Desk(one, world.key), Desk(two, world.key)] * 6
        answers = await asyncio.gather(
            *(desk.create(pbx_call_id="a", comment=str(number)) for number, desk in enumerate(desks)),
            *(desk.create(pbx_call_id="b", call_status="missed") for desk in desks),
        )

    assert {answer.status for answer in answers} == {200}
    assert [len({answer.call_id for answer in part}) for part in (answers[:12], answers[12:])] == [1, 1]
    assert [len({answer.data["ticket_id"] for answer in part}) for part in (answers[:12], answers[12:])] == [1, 1]
    assert await count(database_dsn, "ingest.calls") == 2
    assert await count(database_dsn, "ingest.call_events") == 13
    events = await events_of(amqp_url)
    assert len({event.id for event in events}) == 13
    assert len({event.subject for event in events}) == 2
    assert {event.data.call_number for event in events} == {answer.call_id for answer in answers}


async def test_updates_at_once_are_taken_one_after_the_other(desk: Desk, amqp_url: str) -> None:
    call_id = str((await desk.create()).call_id)

    await asyncio.gather(
        *(desk.update(call_id=call_id, call_status="in-progress", comment=str(number)) for number in range(20))
    )

    events = await published(amqp_url, 21)
    assert len({event.time for event in events}) == 21
    assert {event.data.comment for event in events[1:]} == {str(number) for number in range(20)}


async def test_there_is_an_end_to_what_can_be_said_of_one_call(
    desk: Desk, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_key, "MAX_EVENTS", 3)
    await desk.create(pbx_call_id="a")
    statuses = [
        (await desk.update(pbx_call_id="a", call_status="in-progress", comment=str(number))).status
        for number in range(4)
    ]

    assert statuses == [200, 200, 422, 422]
    assert await count(database_dsn, "ingest.call_events") == 3
    assert (await desk.create()).status == 200


# --- refusals

BASE = {"action": "create_call", "direction": "incoming", "phone": "1"}


async def test_what_breaks_a_rule_is_422_with_every_fault(desk: Desk, amqp_url: str) -> None:
    both = await desk.create(("user_ids[]", "1"), ("group_ids[]", "2"), direction="sideways", call_status="cancelled")
    nothing = await desk.post(json={"action": "update_call"})

    assert (both.status, nothing.status) == (422, 422)
    assert [error["details"] for error in both.errors] == [
        "group_ids can't be given together with user_ids",
        "direction is incoming or outgoing",
        "call_status is one of ringing, in-progress, canceled, missed, failed, answered, busy",
    ]
    assert [error["details"] for error in nothing.errors] == [
        "call_id is required (or pbx_call_id)",
        "call_status is required",
    ]
    assert {(error["code"], error["title"]) for error in both.errors + nothing.errors} == {
        ("unprocessable_entity", "Unprocessable Entity")
    }
    assert await events_of(amqp_url) == []


async def test_a_field_given_twice_differently_is_422(desk: Desk) -> None:
    answer = await desk.create(("phone", "2"), phone="1")

    assert (answer.status, answer.errors[0]["details"]) == (422, "phone is given twice, with different values")
    assert (await desk.create(("phone", "1"), phone="1")).status == 200


async def test_people_whom_the_account_does_not_have_are_422(desk: Desk, world: World, amqp_url: str) -> None:
    call_id = str((await desk.create()).call_id)
    answers = [
        await desk.create(("user_ids[]", str(world.anna)), ("user_ids[]", "999999")),
        await desk.create(("user_ids[]", str(world.other_user))),
        await desk.create(("user_ids[]", "0")),
        await desk.create(("group_ids[]", str(world.other_group))),
        await desk.update(call_id=call_id, call_status="busy", user_id=str(world.other_user)),
        await desk.update(call_id=call_id, call_status="busy", user_id="0"),
    ]

    assert [(answer.status, answer.errors[0]["details"]) for answer in answers] == [
        (422, "user_ids names user 999999, which the account does not have"),
        (422, f"user_ids names user {world.other_user}, which the account does not have"),
        (422, "user_ids names user 0, which the account does not have"),
        (422, f"group_ids names group {world.other_group}, which the account does not have"),
        (422, f"user_id names user {world.other_user}, which the account does not have"),
        (422, "user_id names user 0, which the account does not have"),
    ]
    assert len(await published(amqp_url, 1)) == 1


async def test_calls_of_another_channel_are_not_there(desk: Desk, world: World, amqp_url: str) -> None:
    mine = await desk.create(pbx_call_id="a")
    for key in (world.second_key, world.other_key):
        other = Desk(desk.client, key)
        by_number = await other.update(call_id=str(mine.call_id), call_status="busy")
        by_pbx = await other.update(pbx_call_id="a", call_status="busy")
        theirs = await other.create(pbx_call_id="a", call_status="missed")

        assert (by_number.status, by_pbx.status) == (404, 404)
        assert by_number.errors == [
            {"code": "unknown_call", "title": "Not Found", "details": "this channel has no such call"}
        ]
        assert (theirs.status, theirs.data["call_status"]) == (200, "missed")
        assert theirs.call_id != mine.call_id
    unknown = [await desk.update(call_id=number, call_status="busy") for number in ("99999", "9" * 30)]
    assert {answer.status for answer in unknown} == {404}
    events = await published(amqp_url, 3)
    assert len({event.subject for event in events}) == 3
    assert [event.account for event in events] == [world.account, world.account, world.other_account]


async def test_keys_of_others_methods_and_broken_bodies(desk: Desk, world: World, amqp_url: str) -> None:
    client = desk.client

    async def status(method: str, path: str, **request: Any) -> tuple[int, str]:
        async with client.request(method, path, **request) as answer:
            body = await answer.json()
            assert set(body) == {"errors"}
            assert all(set(error) == {"code", "title", "details"} for error in body["errors"])
            return answer.status, body["errors"][0]["code"]

    json = {"Content-Type": "application/json"}
    assert await status("POST", path_of("ck_unknown_hunter2"), json=BASE) == (404, "unknown_key")
    assert await status("POST", path_of("%00%ff"), json=BASE) == (404, "unknown_key")
    assert await status("POST", path_of(world.off_key), json=BASE) == (403, "channel_disabled")
    assert await status("GET", desk.path) == (405, "method_not_allowed")
    assert await status("PUT", desk.path + "/", json=BASE) == (405, "method_not_allowed")
    assert await status("POST", "/api/v2/telephony/calls/nothing", json=BASE) == (404, "not_found")
    assert await status("POST", desk.path, data=b"{", headers=json) == (400, "bad_request")
    assert await status("POST", desk.path, data=b"[1]", headers=json) == (400, "bad_request")
    assert await status("POST", desk.path, data=b"nothing at all") == (400, "bad_request")
    assert await status("POST", desk.path, data=b"\xff\xfe\x00", headers=json) == (400, "bad_request")
    assert await status("POST", desk.path, json={**BASE, "comment": "x" * 20_000}) == (
        413,
        "request_entity_too_large",
    )
    assert await status("POST", desk.path, json={**BASE, "user_ids": [1] * 401}) == (413, "request_entity_too_large")
    assert await status("POST", desk.path, data=b"a=" + b"x" * 60_000) == (413, "request_entity_too_large")
    assert await status("POST", desk.path, data=b"") == (422, "unprocessable_entity")
    assert await events_of(amqp_url) == []
    kept = await rejected(amqp_url)
    assert {"channel_key"} <= {event.data.provider for event in kept} <= {"channel_key", "unknown"}
    told = b"".join(event.to_json() for event in kept)
    assert b"hunter2" not in told
    assert world.off_key.encode() not in told


async def test_odd_text_is_no_fault_of_ours(desk: Desk, amqp_url: str) -> None:
    odd = ["\ud800", "\0", "ż" * 100, "\u202e", "'; DROP TABLE ingest.calls; --"]
    answers = [
        await desk.post(
            data=orjson.dumps({**BASE, "pbx_call_id": "x"}).replace(b'"x"', escaped(f"{number}{text}")),
            headers={"Content-Type": "application/json"},
        )
        for number, text in enumerate(odd)
    ]

    assert [answer.status for answer in answers] == [200] * len(odd)
    assert answers[0].data["pbx_call_id"] == "0\ufffd"
    assert answers[1].data["pbx_call_id"] == "1\ufffd"
    assert len(await published(amqp_url, len(odd))) == len(odd)


async def test_odd_text_in_a_list_is_no_fault_of_ours_either(desk: Desk, amqp_url: str) -> None:
    odd = ["\ud800", "\0", "1\0"]
    answers = [
        await desk.post(
            data=orjson.dumps({**BASE, "pbx_user_ids": ["x", "101"]}).replace(b'"x"', escaped(text)),
            headers={"Content-Type": "application/json"},
        )
        for text in odd
    ]
    answers.append(await desk.create(("pbx_user_ids[]", "1\0"), ("pbx_user_ids[]", "101")))

    assert [(answer.status, answer.data["pbx_user_id"]) for answer in answers] == [(200, "101")] * len(answers)
    events = await published(amqp_url, len(answers))
    assert [event.data.pbx_user_ids for event in events] == [
        ("\ufffd", "101"),
        ("\ufffd", "101"),
        ("1\ufffd", "101"),
        ("1\ufffd", "101"),
    ]


def escaped(text: str) -> bytes:
    return b'"' + b"".join(b"\\u%04x" % ord(character) for character in text) + b'"'


async def test_a_channel_over_its_rate_is_429_until_it_is_not(
    configured: Settings, world: World, amqp_url: str
) -> None:
    slow = configured.model_copy(update={"channel_rate_per_second": 2.0, "channel_rate_burst": 1})
    async with running(slow) as client:
        desk = Desk(client, world.key)
        assert (await desk.create()).status == 200
        refused = await desk.create()

        async def again() -> int:
            return (await desk.create()).status

        assert (refused.status, refused.errors[0]["code"]) == (429, "too_many_requests")
        assert int(refused.headers["Retry-After"]) <= 2
        await eventually(again, 200)


async def test_nothing_of_a_credential_stays(desk: Desk, amqp_url: str) -> None:
    answer = await desk.create(api_key="hunter2-secret", comment="hello")

    assert answer.status == 200
    (event,) = await published(amqp_url, 1)
    assert b"hunter2" not in event.to_json()
    assert event.data.raw is not None
    assert b"hunter2" not in event.data.raw.unpack()


async def test_a_trial_which_there_is_none_of_never_becomes_a_call(
    client: aiohttp.ClientSession, world: World, amqp_url: str
) -> None:
    create = {"action": "create_call", "direction": "incoming", "phone": "601234567"}
    async with client.post(f"{path_of(world.key)}?dry_run=1", data=create) as answer:
        assert (answer.status, await answer.json()) == (
            422,
            {
                "errors": [
                    {
                        "code": "unprocessable_entity",
                        "title": "Unprocessable Entity",
                        "details": "dry_run is known under /hooks/ alone",
                    }
                ]
            },
        )
    async with client.post(f"{path_of(world.key)}?dry_run=0", data=create) as answer:
        assert answer.status == 200
    assert len(await published(amqp_url, 1)) == 1

"""Generic and Datera hooks over HTTP: our own names, a channel's mapping, and how far its clock is from ours."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import asyncpg
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from services.ingest.clocks import SKEWED_SECONDS
from shared.call import Call, State
from shared.events import CallEnded, CallRinging, Outcome
from tests.integration.ingest.hooks_support import NewChannel, World, ingest_with
from tests.integration.ingest.support import eventually, rejected, take
from tests.support.nodes import Postgres, RabbitMQ

pytestmark = pytest.mark.asyncio(loop_scope="module")

MAPPING: dict[str, Any] = {
    "fields": {
        "event": "data.state",
        "call": "data.call.uuid",
        "leg": "data.ext",
        "from": "data.call.src",
        "outcome": "data.reason",
        "time": "data.at",
    },
    "words": {"event": {"NEW": "ringing", "UP": "answered", "HANGUP": "ended", "PING": "ignored"}},
    "time": "always",
    "time_format": "unix_ms",
    "ends": "leg",
}
CHANNELS = [
    NewChannel("generic", "own_names"),
    NewChannel("datera", "datera_own_names"),
    NewChannel("generic", "mapped", {"mapping": MAPPING}),
    NewChannel("datera", "datera_mapped", {"mapping": MAPPING}),
    NewChannel("generic", "distrusted", {"mapping": MAPPING, "trust_clock": False}),
    NewChannel("generic", "broken", {"mapping": {"fields": {"call": "c"}, "time": "always"}}),
    NewChannel("generic", "clock"),
]
RING = {"event": "ringing", "call": "c-1", "direction": "incoming", "from": "220000101", "leg": "101"}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(
    rabbitmq: RabbitMQ, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    async with ingest_with(CHANNELS, rabbitmq, postgres, tmp_path_factory.mktemp("ingest")) as world:
        yield world


def hook(key: str) -> str:
    return f"/hooks/{'datera' if key.startswith('datera') else 'generic'}/{key}"


async def post(world: World, key: str, body: Any, query: str = "") -> tuple[int, dict[str, Any]]:
    sent = {"data": body} if isinstance(body, bytes) else {"json": body}
    async with world.client.post(hook(key) + query, **sent) as answer:
        return answer.status, await answer.json()


def milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def mapped(state: str, at: datetime, **more: Any) -> dict[str, Any]:
    return {"data": {"state": state, "call": {"uuid": "u-1", "src": "220000101"}, "at": milliseconds(at), **more}}


@pytest.mark.parametrize("key", ["own_names", "datera_own_names"])
async def test_our_names_in_every_dress_are_one_event(world: World, key: str) -> None:
    end = {"event": "ended", "call": "c-1", "outcome": "busy"}
    xml = b"<x>" + b"".join(f"<{name}>{value}</{name}>".encode() for name, value in end.items()) + b"</x>"
    answers = [
        await post(world, key, end),
        await post(world, key, urlencode(end).encode()),
        await post(world, key, xml),
        await post(world, key, b"", "?" + urlencode(end)),
    ]
    async with world.client.get(hook(key), params=end) as answer:
        answers.append((answer.status, await answer.json()))

    events = await take(world.amqp_url, "history.calls")

    assert [(status, body["events"]) for status, body in answers] == [(200, 1)] * 5
    assert len({event.id for event in events}) == 1
    first = events[0]
    assert isinstance(first, CallEnded)
    assert (first.account, first.source) == (world.account, f"/ingest/{hook(key).split('/')[2]}/{world.channels[key]}")
    assert first.data.outcome is Outcome.BUSY


async def test_a_whole_call_by_our_names(world: World) -> None:
    told = [
        {**RING, "call": "c-2"},
        {**RING, "call": "c-2", "leg": "102"},
        {"event": "answered", "call": "c-2", "leg": "102"},
        {"event": "ended", "call": "c-2", "leg": "101", "outcome": "canceled"},
        {"event": "noted", "call": "c-2", "comment": "wants a call back"},
        {"event": "ended", "call": "c-2", "leg": "102", "outcome": "answered", "talk_seconds": 73},
    ]
    for each in told:
        assert (await post(world, "own_names", each))[0] == 200
    call = Call.of(await take(world.amqp_url, "history.calls"))
    assert (call.state, call.outcome, call.answered_by) == (State.ENDED, Outcome.ANSWERED, "102")
    assert not call.final

    await post(world, "own_names", {"event": "ended", "call": "c-2", "authority": "record", "outcome": "answered"})
    assert Call.of(await take(world.amqp_url, "history.calls")).final


async def test_what_our_names_lack_is_told_field_by_field(world: World) -> None:
    status, body = await post(world, "own_names", {"user_ids": ["x"], "pbx_user_ids": "101", "leg": "l" * 300})
    [kept] = await rejected(world.amqp_url)

    assert status == 422
    assert {error["field"]: error["detail"] for error in body["errors"]} == {
        "event": "is required",
        "call": "is required",
        "leg": "is longer than 255 characters",
        "user_ids": "is a list of whole numbers",
    }
    assert (kept.data.status, kept.data.outcome, kept.account) == (422, "refused", world.account)


async def test_an_unknown_word_is_kept_to_be_applied_some_day(world: World) -> None:
    status, body = await post(world, "mapped", mapped("HOLD", datetime.now(UTC)))
    [kept] = await rejected(world.amqp_url)

    assert (status, body["accepted"], body["reason"]) == (200, False, "unknown data.state: 'HOLD'")
    assert kept.data.outcome == "unrecognised"
    assert kept.data.fields is not None
    assert json.loads(kept.data.fields["data"])["state"] == "HOLD"


async def test_an_ignored_word_is_taken_and_is_no_event(world: World) -> None:
    status, body = await post(world, "mapped", {"data": {"state": "ping"}})

    assert (status, body["accepted"], body["events"]) == (200, True, 0)
    assert await take(world.amqp_url, "history.calls") == await rejected(world.amqp_url) == []


@pytest.mark.parametrize("key", ["mapped", "datera_mapped"])
async def test_events_are_ordered_by_the_providers_time_where_it_always_tells_it(world: World, key: str) -> None:
    began = datetime.now(UTC) - timedelta(seconds=60)
    backwards = [
        mapped("HANGUP", began + timedelta(seconds=30), ext="101", reason="answered"),
        mapped("UP", began + timedelta(seconds=5), ext="101"),
        mapped("NEW", began, ext="101"),
    ]
    for each in backwards:
        await post(world, key, each)
    events = await take(world.amqp_url, "history.calls")
    call = Call.of(events)

    assert [milliseconds(event.time) for event in events] == [each["data"]["at"] for each in backwards]
    assert milliseconds(call.started_at or began) == milliseconds(began)
    assert milliseconds(call.answered_at or began) == backwards[1]["data"]["at"]
    assert (call.state, call.outcome) == (State.ENDED, Outcome.ANSWERED)  # the last leg took the call along


async def test_a_distrusted_clock_orders_nothing(world: World) -> None:
    await post(world, "distrusted", mapped("NEW", datetime(2030, 1, 1, tzinfo=UTC)))
    [ring] = await take(world.amqp_url, "history.calls")

    assert isinstance(ring, CallRinging)
    assert ring.time == ring.receivedat


async def test_a_message_without_its_time_is_422(world: World) -> None:
    status, body = await post(world, "mapped", {"data": {"state": "NEW", "call": {"uuid": "u-1"}}})
    late, told = await post(world, "mapped", {"data": {"state": "NEW", "call": {"uuid": "u-1"}, "at": "yesterday"}})

    assert (status, late) == (422, 422)
    assert body["errors"] == [
        {"field": "data.at", "detail": "is required: every message of this channel tells its time"}
    ]
    assert told["errors"] == [{"field": "data.at", "detail": "can't be read as a time"}]
    assert [event.data.status for event in await rejected(world.amqp_url)] == [422, 422]


async def test_a_dry_run_by_a_mapping_says_what_it_did_not_understand_and_who_would_see_it(world: World) -> None:
    status, body = await post(
        world, "mapped", mapped("HANGUP", datetime.now(UTC), ext="101", reason="WHAT"), "?dry_run=1"
    )

    assert (status, [event["type"] for event in body["events"]]) == (200, ["call.ended.v1"])
    assert body["not_understood"] == ["data.reason"]
    assert body["events"][0]["data"]["cause"] == "WHAT"
    assert await take(world.amqp_url, "history.calls") == []


async def test_users_of_another_account_can_not_be_addressed(world: World) -> None:
    connection = await asyncpg.connect(world.database_dsn)
    other = await connection.fetchval("INSERT INTO directory.accounts (name) VALUES ('B') RETURNING account_id")
    user = await connection.fetchval(
        "INSERT INTO directory.users (account_id, name) VALUES ($1, 'Other') RETURNING user_id", other
    )
    await connection.close()

    _, body = await post(world, "own_names", {**RING, "user_ids": [user]}, "?dry_run=1")

    assert body["routing"]["audience"] == []
    assert "Other" not in str(body)


async def test_a_key_of_one_provider_is_none_of_another(world: World) -> None:
    async with world.client.post("/hooks/datera/own_names", json=RING) as answer:
        assert (answer.status, (await answer.json())["accepted"]) == (404, False)
    await rejected(world.amqp_url)


async def test_a_mapping_that_can_not_be_used_is_503_and_kept_until_it_is_mended(world: World) -> None:
    async with world.client.post(hook("broken"), json=RING) as answer:
        body = await answer.json()
        assert (answer.status, answer.headers["Retry-After"], body["accepted"]) == (503, "60", False)
    [kept] = await rejected(world.amqp_url)
    assert "the mapping of this channel can't be used: fields.event or defaults.event is needed" in body["error"]
    assert (kept.data.status, kept.data.outcome) == (503, "refused")
    assert kept.data.fields is not None
    assert kept.data.fields["call"] == "c-1"

    connection = await asyncpg.connect(world.database_dsn)
    mended = {"fields": {"event": "event", "call": "call"}}
    await connection.execute(
        "UPDATE directory.channels SET mapping = $1::text::jsonb WHERE channel_id = $2",
        json.dumps(mended),
        world.channels["broken"],
    )
    await connection.close()

    async def sent() -> int:
        return (await post(world, "broken", RING))[0]

    await eventually(sent, 200)
    assert await take(world.amqp_url, "history.calls") != []
    await rejected(world.amqp_url)


async def clock_metrics(world: World) -> tuple[float, float]:
    """Return the skew and the flag of the channel `clock`."""
    async with world.client.get("/metrics") as answer:
        lines = (await answer.text()).splitlines()
    labels = f'{{channel="{world.channels["clock"]}",provider="generic"}} '

    def value(name: str) -> Iterator[float]:
        yield from (float(line.removeprefix(name + labels)) for line in lines if line.startswith(name + labels))

    return next(value("ingest_clock_skew_seconds")), next(value("ingest_clock_skewed"))


async def test_a_clock_that_is_wrong_is_flagged_until_it_is_right(world: World) -> None:
    now = datetime.now(UTC)
    seen = []
    with capture_logs() as logs:
        for number, ahead in enumerate((0, 3600, 3600, -3600, 0)):
            at = (now + timedelta(seconds=ahead)).isoformat()
            await post(world, "clock", {"event": "answered", "call": f"c-{number}", "time": at})
            seen.append(await clock_metrics(world))
        dry = {"event": "answered", "call": "c", "time": "2020-01-01T00:00:00Z"}
        record = {"event": "ended", "call": "c-9", "time": "2020-01-01T00:00:00Z", "authority": "record"}
        await post(world, "clock", dry, "?dry_run=1")
        await post(world, "clock", record)
        seen.append(await clock_metrics(world))
    await take(world.amqp_url, "history.calls")

    assert [flag for _, flag in seen] == [0, 1, 1, 1, 0, 0]
    assert [skew > SKEWED_SECONDS for skew, _ in seen] == [False, False, False, True, False, False]
    assert [skew < -SKEWED_SECONDS for skew, _ in seen] == [False, True, True, False, False, False]
    told = [log["event"] for log in logs if log["event"].startswith("provider_clock")]
    assert told == ["provider_clock_skewed", "provider_clock_right_again"]

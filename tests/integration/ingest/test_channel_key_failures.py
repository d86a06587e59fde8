"""The channel-key API while something is away: never a 200 for what is not safe, nothing lost, nothing doubled."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import aiohttp
import orjson

from services.ingest.settings import Settings
from tests.integration.ingest.channel_key_support import (
    MP3,
    Answer,
    CallTold,
    Desk,
    World,
    count,
    events_of,
    files,
    published,
    unconfirmed,
)
from tests.integration.ingest.support import eventually, running, settings, status
from tests.support.directory import connected
from tests.support.proxy import Proxy


def ids(events: list[CallTold]) -> set[UUID]:
    return {event.id for event in events}


async def test_without_the_broker_calls_are_taken_and_published_once_it_is_back(
    desk: Desk, broker_network: Proxy, amqp_url: str, database_dsn: str
) -> None:
    broker_network.swallow()
    answers = [
        await desk.create(pbx_call_id="a"),
        await desk.update(pbx_call_id="a", call_status="answered", file=MP3),
    ]

    assert [(answer.status, answer.data["call_status"]) for answer in answers] == [(200, "ringing"), (200, "answered")]
    assert answers[1].data["audio_record"]
    assert await events_of(amqp_url) == []
    assert await unconfirmed(database_dsn) == 2

    broker_network.heal()
    broker_network.cut()
    await eventually(lambda: unconfirmed(database_dsn), 0)

    events = await events_of(amqp_url)
    assert len(ids(events)) == 2
    assert {event.data.call_number for event in events} == {answers[0].call_id}


async def test_what_a_dead_process_had_not_published_another_publishes(
    configured: Settings,
    broker_network: Proxy,
    amqp_url: str,
    dsn: str,
    world: World,
    database_dsn: str,
    tmp_path: Path,
) -> None:
    async with running(configured) as client:
        broker_network.swallow()
        answers = [await Desk(client, world.key).create(comment=str(number)) for number in range(3)]
        broker_network.cut()  # so that its end does not wait for confirms
    assert [answer.status for answer in answers] == [200] * 3
    assert await unconfirmed(database_dsn) == 3
    (tmp_path / "b").mkdir()
    (tmp_path / "c").mkdir()

    async with (
        running(settings(amqp_url, dsn, tmp_path / "b")),
        running(settings(amqp_url, dsn, tmp_path / "c")),
    ):
        events = await published(amqp_url, 3)
        await eventually(lambda: unconfirmed(database_dsn), 0)

    events += await events_of(amqp_url)
    assert len(ids(events)) == 3
    assert {event.data.call_number for event in events} == {answer.call_id for answer in answers}


async def test_what_goes_wrong_beside_the_requests_ends_nothing(
    desk: Desk, broker_network: Proxy, amqp_url: str, database_dsn: str
) -> None:
    broker_network.swallow()
    assert (await desk.create()).status == 200
    async with connected(database_dsn) as connection:

        async def failures() -> int:
            count: int = await connection.fetchval(
                "SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()"
            )
            return count

        await connection.execute("ALTER TABLE ingest.call_events RENAME due_at TO another_name")
        before = await failures()

        async def has_failed() -> bool:
            return await failures() > before

        await eventually(has_failed, True)
        await connection.execute("ALTER TABLE ingest.call_events RENAME another_name TO due_at")
    broker_network.heal()
    broker_network.cut()

    await eventually(lambda: unconfirmed(database_dsn), 0)
    assert len(ids(await events_of(amqp_url))) == 1


async def test_a_broker_that_is_slow_gets_all_of_it_all_the_same(
    configured: Settings, world: World, amqp_url: str, database_dsn: str
) -> None:
    impatient = configured.model_copy(update={"confirm_seconds": 0.000001})
    async with running(impatient) as client:
        answers = [await Desk(client, world.key).create() for _ in range(3)]
        await eventually(lambda: unconfirmed(database_dsn), 0)

    assert [answer.status for answer in answers] == [200] * 3
    assert len(ids(await events_of(amqp_url))) == 3


async def test_a_repeated_create_is_published_again_before_it_is_answered(
    desk: Desk, broker_network: Proxy, amqp_url: str, database_dsn: str
) -> None:
    broker_network.swallow()
    first = await desk.create(pbx_call_id="a")
    updated = await desk.update(pbx_call_id="a", call_status="in-progress")
    async with connected(database_dsn) as connection:  # nobody else publishes them
        await connection.execute("UPDATE ingest.call_events SET due_at = now() + interval '1 hour'")
    broker_network.heal()
    broker_network.cut()
    told: set[UUID] = set()

    async def again() -> tuple[int, set[str]]:
        answer = await desk.create(pbx_call_id="a", comment="again")
        events = await events_of(amqp_url)
        told.update(event.id for event in events)
        return answer.call_id, {event.type.split(".")[1] for event in events}

    await eventually(again, (first.call_id, {"ringing", "answered"}))
    assert (updated.call_id, len(told)) == (first.call_id, 3)


async def test_without_the_database_it_is_503_and_then_the_same_request_is_one_call(
    desk: Desk, database_network: Proxy, amqp_url: str, database_dsn: str, configured: Settings
) -> None:
    known = await desk.create(pbx_call_id="known")
    database_network.swallow()
    answers = [
        await desk.create(pbx_call_id="new"),
        await desk.update(pbx_call_id="known", call_status="busy", file=MP3),
        await desk.update(call_id="999", call_status="busy"),
        await desk.create(("user_ids[]", "999999")),
        await desk.create(),
    ]
    assert [(answer.status, answer.errors[0]["code"]) for answer in answers] == [(503, "unavailable")] * 5
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers)
    assert files(configured.data_dir / "recordings") == set()
    database_network.heal()
    database_network.cut()

    async def again() -> int:
        return (await desk.create(pbx_call_id="new")).status

    await eventually(again, 200)
    created = await desk.create(pbx_call_id="new")
    updated = await desk.update(pbx_call_id="known", call_status="busy", file=MP3)

    assert (created.data["call_status"], updated.data["call_status"]) == ("ringing", "busy")
    assert updated.call_id == known.call_id
    assert await count(database_dsn, "ingest.calls") == 2
    assert len(ids(await events_of(amqp_url))) == 3


async def test_a_database_that_comes_and_goes_loses_and_doubles_nothing(
    desk: Desk, database_network: Proxy, amqp_url: str, database_dsn: str
) -> None:
    """Every sender repeats until it has a 200, as the API asks for."""
    calls, chance = 12, random.Random(7)
    done = 0

    async def until_taken(**request: Any) -> Answer:
        async with asyncio.timeout(60):
            while True:
                say = desk.update if "call_status" in request else desk.create
                answer = await say(**request)
                if answer.status == 200:
                    return answer
                assert answer.status == 503
                await asyncio.sleep(0.1)

    async def call(number: int) -> set[int]:
        nonlocal done
        answers = [await until_taken(pbx_call_id=f"call-{number}")]
        for word in ("in-progress", "answered"):
            answers.append(await until_taken(pbx_call_id=f"call-{number}", call_status=word))
            await asyncio.sleep(0.05)
        done += 1
        return {answer.call_id for answer in answers}

    async def disturb() -> None:
        while done < calls:
            await asyncio.sleep(chance.uniform(0.05, 0.3))
            database_network.cut()
            if chance.random() < 0.3:
                database_network.swallow()
                await asyncio.sleep(0.2)
                database_network.heal()
                database_network.cut()

    results, _ = await asyncio.gather(asyncio.gather(*(call(number) for number in range(calls))), disturb())

    assert [len(numbers) for numbers in results] == [1] * calls
    assert await count(database_dsn, "ingest.calls") == calls
    assert await count(database_dsn, "ingest.call_events") == 3 * calls
    await eventually(lambda: unconfirmed(database_dsn), 0)
    assert len(ids(await events_of(amqp_url))) == 3 * calls


async def test_a_call_whose_row_somebody_holds_is_503_and_others_go_on(desk: Desk, database_dsn: str) -> None:
    held = await desk.create(pbx_call_id="held")
    async with connected(database_dsn) as connection, connection.transaction():
        await connection.execute("SELECT FROM ingest.calls WHERE call_number = $1 FOR UPDATE", held.call_id)
        stuck = await desk.update(pbx_call_id="held", call_status="busy")
        other = await desk.create(pbx_call_id="other")

    assert (stuck.status, other.status) == (503, 200)
    assert (await desk.update(pbx_call_id="held", call_status="busy")).status == 200


class Process(NamedTuple):
    process: asyncio.subprocess.Process
    base_url: str


@asynccontextmanager
async def ingest(environment: dict[str, str]) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.ingest", env=environment, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        while (line := orjson.loads(await process.stdout.readline()))["event"] != "service_started":
            pass
        yield Process(process, f"http://127.0.0.1:{line['port']}")
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_process_that_is_killed_under_load_loses_no_call_that_it_has_answered(
    configured: Settings, world: World, amqp_url: str, database_dsn: str
) -> None:
    environment = {
        **os.environ,
        "CALLBUS_AMQP_URL": configured.amqp_url.get_secret_value(),
        "CALLBUS_POSTGRES_DSN": configured.postgres_dsn.get_secret_value(),
        "CALLBUS_DATA_DIR": str(configured.data_dir),
        "CALLBUS_RECORDINGS_URL": configured.recordings_url,
        "CALLBUS_LINK_KEY_FILE": str(configured.link_key_file),
    }
    answered: dict[int, set[str]] = {}

    async def send(desk: Desk) -> None:
        while True:
            try:
                created = await desk.create()
                if created.status == 200:
                    answered[created.call_id] = {"ringing"}
                    ended = await desk.update(call_id=str(created.call_id), call_status="busy", file=MP3)
                    if ended.status == 200:
                        answered[created.call_id].add("ended")
            except (aiohttp.ClientError, OSError):
                return

    async with ingest(environment) as (process, base_url), aiohttp.ClientSession(base_url) as client:
        await eventually(lambda: status(client, "/readyz"), 200)
        senders = [asyncio.create_task(send(Desk(client, world.key))) for _ in range(4)]

        async def enough() -> bool:
            return len(answered) > 60

        await eventually(enough, True)
        process.send_signal(signal.SIGKILL)
        await asyncio.gather(*senders)
    async with ingest(environment):
        await eventually(lambda: unconfirmed(database_dsn), 0)

    told: dict[int, set[str]] = {}
    for event in await events_of(amqp_url):
        assert event.data.call_number is not None
        told.setdefault(event.data.call_number, set()).add(event.type.split(".")[1])
    assert {number: words for number, words in answered.items() if not words <= told.get(number, set())} == {}
    kept = files(configured.data_dir / "recordings")
    assert len({key for key in kept if not key.startswith("incoming/")}) >= sum("ended" in w for w in answered.values())

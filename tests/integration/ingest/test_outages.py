"""Broker or database away: what is answered 200 is safe, and all goes on without a restart."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import asyncpg
import orjson
import pytest

from services.ingest.settings import Settings
from tests.integration.ingest.support import KEY, Ids, eventually, running, settings, status, take
from tests.support.nodes import RabbitMQ
from tests.support.proxy import Proxy

HOOK = f"/hooks/supervoip/{KEY}"


def call(number: int) -> dict[str, str]:
    return {"status": "callend", "callid": f"call-{number}", "numberA": "220000101", "disposition": "BUSY"}


async def post(client: aiohttp.ClientSession, number: int) -> tuple[int, str | None]:
    async with client.post(HOOK, data=call(number)) as answer:
        await answer.read()
        return answer.status, answer.headers.get("Retry-After")


def keys(events: Sequence[Any]) -> set[str]:
    return {event.data.call_key for event in events}


async def arrive(amqp_url: str, expected: set[str]) -> None:
    """Return once these calls, and no others, have come to history's queue."""
    found: set[str] = set()

    async def so_far() -> set[str]:
        found.update(keys(await take(amqp_url, "history.calls")))
        return found

    await eventually(so_far, expected)


async def left(journal: Path) -> list[Path]:
    return list(journal.glob("*/*"))


async def test_with_the_broker_lost_calls_go_to_the_journal_and_on_from_there(
    client: aiohttp.ClientSession, broker_network: Proxy, amqp_url: str
) -> None:
    assert await post(client, 1) == (200, None)

    broker_network.swallow()  # half-open: nothing says that it is gone
    answers = await asyncio.gather(*(post(client, number) for number in range(2, 12)))
    broker_network.cut()
    await eventually(lambda: status(client, "/readyz"), 503)
    answers.append(await post(client, 12))
    broker_network.heal()
    broker_network.cut()

    assert answers == [(200, None)] * 11
    await eventually(lambda: status(client, "/readyz"), 200)
    assert await post(client, 13) == (200, None)
    await arrive(amqp_url, {f"call-{number}" for number in range(1, 14)})


async def test_with_the_broker_blocked_or_killed_calls_go_to_the_journal(
    own_rabbitmq: RabbitMQ, dsn: str, ids: Ids, tmp_path: Path
) -> None:
    amqp_url = own_rabbitmq.amqp_url()
    async with running(settings(amqp_url, dsn, tmp_path)) as client:
        assert await post(client, 1) == (200, None)
        await asyncio.to_thread(own_rabbitmq.set_memory_alarm, True)

        async def blocked() -> bool:
            """A broker tells of its alarm when it is published to."""
            assert await post(client, 2) == (200, None)
            return await status(client, "/readyz") == 503

        await eventually(blocked, True)
        assert await post(client, 3) == (200, None)
        await asyncio.to_thread(own_rabbitmq.set_memory_alarm, False)
        await eventually(lambda: status(client, "/readyz"), 200)

        await asyncio.to_thread(own_rabbitmq.kill)
        assert await post(client, 4) == (200, None)
        await asyncio.to_thread(own_rabbitmq.start)
        assert await post(client, 5) == (200, None)
        await arrive(amqp_url, {f"call-{number}" for number in range(1, 6)})


async def test_without_broker_and_disk_nothing_is_accepted(
    configured: Settings, broker_network: Proxy, amqp_url: str
) -> None:
    full = configured.model_copy(update={"journal_limit_bytes": 10})
    async with running(full) as client:
        broker_network.swallow()
        broker_network.cut()
        await eventually(lambda: status(client, "/readyz"), 503)

        assert await post(client, 1) == (503, "5")
        broker_network.heal()
        broker_network.cut()
        await eventually(lambda: post(client, 2), (200, None))
        await arrive(amqp_url, {"call-2"})


async def test_a_process_that_starts_without_the_broker_takes_calls(
    configured: Settings, amqp_url: str, ids: Ids
) -> None:
    nowhere = settings(
        "amqp://guest:guest@127.0.0.1:1/", configured.postgres_dsn.get_secret_value(), configured.data_dir
    )
    async with running(nowhere, until_ready=False) as client:
        await eventually(lambda: post(client, 1), (200, None))
    async with running(configured):
        await arrive(amqp_url, {"call-1"})


async def test_an_unrecognised_word_is_not_answered_200_unless_it_is_kept(
    client: aiohttp.ClientSession, broker_network: Proxy
) -> None:
    broker_network.swallow()
    async with client.post(HOOK, data={"status": "voicemail", "callid": "1"}) as answer:
        assert answer.status == 503
    broker_network.cut()


async def test_a_refusal_does_not_wait_for_a_lost_broker(client: aiohttp.ClientSession, broker_network: Proxy) -> None:
    broker_network.swallow()
    broker_network.cut()
    await eventually(lambda: status(client, "/readyz"), 503)

    assert await status(client, HOOK, b"{") == 400
    assert await status(client, "/hooks/supervoip/unknown", b"{") == 404


async def test_a_lost_database_stops_no_known_channel(
    client: aiohttp.ClientSession, database_network: Proxy, amqp_url: str
) -> None:
    database_network.swallow()
    database_network.cut()

    assert await post(client, 1) == (200, None)
    # Whether an unknown key is new or wrong can't be said now.
    await eventually(lambda: status(client, "/hooks/supervoip/unknown", call(2)), 503)
    assert await status(client, "/readyz") == 200

    database_network.heal()
    database_network.cut()
    await eventually(lambda: status(client, "/hooks/supervoip/unknown", call(2)), 404)
    assert keys(await take(amqp_url, "history.calls")) == {"call-1"}


async def test_a_start_without_the_database_works_from_the_cache(
    configured: Settings, amqp_url: str, database_dsn: str
) -> None:
    cache = configured.data_dir / "ingest-directory.json"
    async with running(configured):

        async def is_written() -> bool:
            return cache.exists()

        await eventually(is_written, True)
    without = settings(amqp_url, "postgresql://127.0.0.1:9/nowhere", configured.data_dir)

    async with running(without) as client:
        assert await post(client, 1) == (200, None)

    connection = await asyncpg.connect(database_dsn)
    role = urlsplit(configured.postgres_dsn.get_secret_value()).username
    await connection.execute(f'ALTER ROLE "{role}" CONNECTION LIMIT 0')
    await connection.close()
    async with running(configured) as client:  # it is there, but full
        assert await post(client, 2) == (200, None)

    assert KEY.encode() not in cache.read_bytes()
    assert keys(await take(amqp_url, "history.calls")) == {"call-1", "call-2"}


async def test_a_start_without_anything_is_unready_and_503(tmp_path: Path) -> None:
    nowhere = settings("amqp://127.0.0.1:9/", "postgresql://127.0.0.1:9/x", tmp_path)
    async with running(nowhere, until_ready=False) as client:
        async with client.get("/readyz") as answer:
            checks = (await answer.json())["checks"]
        assert (answer.status, checks["rabbitmq"]["ok"], checks["directory"]["ok"]) == (503, False, False)
        assert (await post(client, 1))[0] == 503


@pytest.mark.parametrize("broker", ["there", "away"])
async def test_sigterm_under_load_loses_nothing_that_was_accepted(
    amqp_url: str, dsn: str, ids: Ids, tmp_path: Path, broker: str
) -> None:
    environment = {
        **os.environ,
        "CALLBUS_AMQP_URL": amqp_url if broker == "there" else "amqp://guest:guest@127.0.0.1:1/",
        "CALLBUS_POSTGRES_DSN": dsn,
        "CALLBUS_DATA_DIR": str(tmp_path),
        "CALLBUS_JOURNAL_DIR": str(tmp_path / "journal"),
        "CALLBUS_RECORDINGS_URL": (tmp_path / "recordings").as_uri(),
    }
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.ingest", env=environment, stdout=pipe
    )
    assert process.stdout is not None
    while (line := orjson.loads(await process.stdout.readline()))["event"] != "service_started":
        pass
    accepted: set[str] = set()

    async def send(client: aiohttp.ClientSession, start: int) -> None:
        for number in range(start, start + 10_000):
            try:
                if (await post(client, number))[0] == 200:
                    accepted.add(f"call-{number}")
            except aiohttp.ClientError:
                return

    async with aiohttp.ClientSession(f"http://127.0.0.1:{line['port']}") as client:
        await eventually(lambda: status(client, HOOK, call(0)), 200)
        senders = [asyncio.create_task(send(client, 10_000 * n)) for n in range(8)]
        while len(accepted) < 200:
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        await asyncio.gather(*senders)

    assert await asyncio.wait_for(process.wait(), 20) == 0
    if broker == "away":
        async with running(settings(amqp_url, dsn, tmp_path)):
            await eventually(lambda: left(tmp_path / "journal"), [])
    assert accepted <= keys(await take(amqp_url, "history.calls"))

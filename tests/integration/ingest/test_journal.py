"""The journal against a real broker behind a faulty network."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from services.ingest.journal import Deferred, JournalFull, Unwritable
from services.ingest.journal.entries import pack
from services.ingest.journal.files import FIRST, SUFFIX, JournalFile
from shared.bus import Broker, Message
from shared.errors import Transient
from tests.integration.ingest.journal_support import EVENTS, MESSAGES, arrived, emptied, files, largest_file, running
from tests.integration.ingest.support import eventually, take
from tests.support.proxy import Proxy

PROGRAM = str(Path(__file__).with_name("killed_journal.py"))


async def test_what_is_written_while_the_broker_is_away_is_forwarded_in_order_when_it_is_back(
    broker: Broker, broker_network: Proxy, amqp_url: str, folder: Path
) -> None:
    await broker.until_ready()
    async with running(folder, broker) as journal:
        broker_network.stall()
        broker_network.cut()

        async def is_ready() -> bool:
            return broker.ready

        await eventually(is_ready, False)
        for message in MESSAGES:
            await journal.append([message])
        waiting = journal.size_bytes
        broker_network.heal()
        broker_network.cut()
        await emptied(folder)

        assert waiting > sum(len(message.body) for message in MESSAGES)
        assert files(folder) == []
    assert [event.id for event in await take(amqp_url, "history.calls")] == [event.id for event in EVENTS]


async def test_many_at_once_share_a_write_and_all_arrive(broker: Broker, amqp_url: str, folder: Path) -> None:
    async with running(folder, broker) as journal:
        await asyncio.gather(*(journal.append([message]) for message in MESSAGES))
        await emptied(folder)

    assert await arrived(amqp_url) == Counter({str(event.id): 1 for event in EVENTS})


async def test_a_stopped_process_leaves_its_file_and_the_next_forwards_it(amqp_url: str, folder: Path) -> None:
    nowhere = Broker("amqp://guest:guest@127.0.0.1:1/", name="nowhere")
    async with running(folder, nowhere) as journal:
        await journal.append(MESSAGES)
    left = files(folder)
    async with Broker(amqp_url, name="journal test") as broker, running(folder, broker) as journal:
        await emptied(folder)

    assert len(left) == 1
    assert files(folder) == []
    assert await arrived(amqp_url) == Counter({str(event.id): 1 for event in EVENTS})


async def test_of_two_processes_one_forwards_a_file(amqp_url: str, folder: Path) -> None:
    folder.mkdir()
    for start in range(0, len(MESSAGES), 100):
        file = JournalFile.create(folder)
        file.append(pack(MESSAGES[start : start + 100]))
        file.release()
    async with (
        Broker(amqp_url, name="journal test") as broker,
        running(folder, broker),
        running(folder, broker),
    ):
        await emptied(folder)

    assert await arrived(amqp_url) == Counter({str(event.id): 1 for event in EVENTS})


async def test_a_full_journal_refuses_and_takes_again_when_it_is_empty(
    broker: Broker, broker_network: Proxy, amqp_url: str, folder: Path
) -> None:
    broker_network.stall()
    broker_network.cut()
    async with running(folder, broker, limit_bytes=len(pack(MESSAGES[:10])) + 10) as journal:
        await journal.append(MESSAGES[:10])
        with pytest.raises(JournalFull) as full:
            await journal.append(MESSAGES[10:11])
        broker_network.heal()
        broker_network.cut()
        await emptied(folder)
        await journal.append(MESSAGES[10:11])
        await emptied(folder)

    assert full.value.retry_after_seconds
    assert sum((await arrived(amqp_url)).values()) == 11


async def test_a_disk_that_takes_no_more_refuses_and_what_it_took_arrives(
    broker: Broker, broker_network: Proxy, amqp_url: str, folder: Path
) -> None:
    broker_network.stall()
    broker_network.cut()
    async with running(folder, broker) as journal:
        await journal.append(MESSAGES[:5])
        size = (folder / files(folder)[0]).stat().st_size
        with largest_file(size + 100), pytest.raises(Unwritable):
            await journal.append(MESSAGES[5:10])
        await journal.append(MESSAGES[10:15])
        broker_network.heal()
        broker_network.cut()
        await emptied(folder)

    took = await arrived(amqp_url)
    assert took == Counter({str(event.id): 1 for event in [*EVENTS[:5], *EVENTS[10:15]]})


async def test_a_damaged_file_is_kept_aside_and_all_else_is_forwarded(amqp_url: str, folder: Path) -> None:
    folder.mkdir()
    damaged, sound = JournalFile.create(folder), JournalFile.create(folder)
    damaged.append(pack(MESSAGES[:10]))
    sound.append(pack(MESSAGES[10:20]))
    for file in (damaged, sound):
        file.release()
    content = bytearray(damaged.path.read_bytes())
    content[FIRST + len(pack(MESSAGES[:4])) + 5] ^= 0xFF  # in the length of the fifth
    damaged.path.write_bytes(content)
    (folder / f"0-0{SUFFIX}").write_bytes(b"no journal at all, whoever put it here")
    async with Broker(amqp_url, name="journal test") as broker, running(folder, broker) as journal:

        async def strange() -> object:
            return journal.status()["not_adopted"]

        await eventually(strange, [f"0-0{SUFFIX}"])
        await emptied(folder, but=1)
        status = journal.status()

    assert status["damaged"] == [damaged.path.with_suffix(".damaged").name]
    assert (status["files"], status["of_others"], status["refused"]) == ([], [], [])
    wanted = {str(event.id): 1 for event in [*EVENTS[:4], *EVENTS[5:20]]}
    assert await arrived(amqp_url) == Counter(wanted)


async def test_what_is_deferred_is_done_when_it_can_be(broker: Broker, amqp_url: str, folder: Path) -> None:
    failures = 2

    async def bind(body: bytes) -> Sequence[Message]:
        nonlocal failures
        if failures:
            failures -= 1
            raise Transient("the database is away")
        return [MESSAGES[int(body)]]

    async with running(folder, broker, deferred={"partner": bind}) as journal:
        await journal.append([Deferred("partner", b"7")])
        await emptied(folder)

    assert await arrived(amqp_url) == Counter({str(EVENTS[7].id): 1})


async def test_a_kill_while_it_writes_and_forwards_loses_nothing(amqp_url: str, folder: Path) -> None:
    """Two generations of a process are killed; whatever they had said was written arrives."""
    said: set[str] = set()
    for generation in range(2):
        read_end, write_end = os.pipe()
        process = await asyncio.create_subprocess_exec(
            sys.executable, PROGRAM, str(folder), amqp_url, str(generation * 100), str(write_end), pass_fds=[write_end]
        )
        os.close(write_end)
        told = b""
        while told.count(b"\n") < 60:
            told += await asyncio.to_thread(os.read, read_end, 4096)
        process.kill()
        await process.wait()
        os.close(read_end)
        said |= {line.decode() for line in told.split(b"\n")[:-1]}
    async with Broker(amqp_url, name="journal test") as broker, running(folder, broker):
        await emptied(folder)

    assert said <= (await arrived(amqp_url)).keys()

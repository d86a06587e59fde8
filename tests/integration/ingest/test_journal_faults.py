"""The journal where everything goes wrong at once: bad disks, entries that nobody can forward, processes that die."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from services.ingest.durable import Durable
from services.ingest.journal import Deferred, Unwritable
from services.ingest.journal.backlog import MOST_FILES
from services.ingest.journal.entries import Entry, Foreign, pack
from services.ingest.journal.files import FIRST, REFUSED_SUFFIX, SUFFIX, JournalFile
from shared.bus import Broker, Message
from shared.errors import Permanent, Transient
from tests.integration.ingest.journal_support import (
    EVENTS,
    LIMIT,
    MESSAGES,
    arrived,
    emptied,
    files,
    largest_file,
    running,
)
from tests.integration.ingest.support import eventually
from tests.support.proxy import Proxy

PROGRAM = str(Path(__file__).with_name("killed_journal.py"))


def once(numbers: range) -> Counter[str]:
    return Counter({str(EVENTS[number].id): 1 for number in numbers})


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def on_message(body: bytes) -> Sequence[Message]:
    if body == b"never":
        raise Permanent("it can't be read")
    if body == b"bug":
        raise ValueError("something nobody thought of")
    return [MESSAGES[int(body)]]


def written(folder: Path, entries: Sequence[Entry]) -> Path:
    folder.mkdir(exist_ok=True)
    file = JournalFile.create(folder)
    file.append(pack(entries))
    file.release()
    return file.path


async def test_what_can_never_be_forwarded_is_kept_aside_and_holds_up_nothing(
    broker: Broker, amqp_url: str, folder: Path
) -> None:
    bad: list[Entry] = [Deferred("partner", b"never"), Deferred("a kind of tomorrow", b"{}"), Foreign(b"\x09")]
    good = [Deferred("partner", str(number).encode()) for number in range(3)]
    written(folder, [bad[0], good[0], bad[1], bad[2], good[1], bad[0]])
    written(folder, [good[2]])
    async with running(folder, broker, deferred={"partner": on_message}) as journal:
        await emptied(folder)
        status = journal.status()

    (name,) = files(folder)
    assert status["refused"] == [name]
    assert await arrived(amqp_url) == once(range(3))

    # As operators do once the release is there that knows them.
    (folder / name).rename((folder / name).with_suffix(SUFFIX))
    known: list[bytes] = []

    async def learnt(body: bytes) -> Sequence[Message]:
        known.append(body)
        return []

    async with running(folder, broker, deferred={"partner": learnt, "a kind of tomorrow": learnt}):
        await emptied(folder)
    assert known == [b"never", b"{}", b"never"]
    assert [Path(name).suffix for name in files(folder)] == [REFUSED_SUFFIX]


async def test_a_fault_of_ours_is_tried_again_and_then_kept_aside(
    broker: Broker, amqp_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.ingest.journal.journal._RETRY_CAP_SECONDS", 0.1)
    tried = 0

    async def sometimes(body: bytes) -> Sequence[Message]:
        nonlocal tried
        tried += body == b"1"
        if body == b"1" and tried < 5:
            raise KeyError("not yet")
        return await on_message(body)

    written(folder, [Deferred("partner", body) for body in (b"0", b"1", b"bug", b"2")])
    async with running(folder, broker, deferred={"partner": sometimes}):
        await emptied(folder)

    assert tried == 5
    assert [Path(name).suffix for name in files(folder)] == [REFUSED_SUFFIX]
    assert await arrived(amqp_url) == once(range(3))


async def test_what_waits_holds_up_neither_what_is_before_it_nor_other_files(
    broker: Broker, amqp_url: str, folder: Path
) -> None:
    async def waits(body: bytes) -> Sequence[Message]:
        if body == b"never":
            raise Transient("the database is away")
        return await on_message(body)

    written(folder, [Deferred("partner", body) for body in (b"0", b"1", b"never", b"5")])
    written(folder, [Deferred("partner", b"2")])
    await broker.until_ready()
    found: Counter[str] = Counter()
    async with running(folder, broker, deferred={"partner": waits}):

        async def so_far() -> object:
            found.update(await arrived(amqp_url))
            return found

        await eventually(so_far, once(range(3)))
    assert len(files(folder)) == 1


async def test_a_disk_that_takes_nothing_costs_no_descriptors(broker_network: Proxy, folder: Path) -> None:
    nowhere = Broker("amqp://guest:guest@127.0.0.1:1/", name="nowhere")
    async with running(folder, nowhere) as journal:
        await journal.append(MESSAGES[:1])
        before = descriptors()
        with largest_file(FIRST + 10):
            for message in MESSAGES[:50]:
                with pytest.raises(Unwritable):
                    await journal.append([message])
        assert not journal.readiness()[0]

        async def tidied() -> object:
            return len(files(folder)), descriptors() <= before

        await eventually(tidied, (1, True))
        await journal.append(MESSAGES[1:2])
        assert journal.readiness()[0]


async def test_a_broker_that_was_slow_once_is_asked_again_where_the_disk_takes_nothing(
    broker: Broker, broker_network: Proxy, amqp_url: str, folder: Path
) -> None:
    folder.write_text("a file where the journal's folder should be")
    await broker.until_ready()
    async with running(folder, broker) as journal:
        durable = Durable(broker.publisher(), journal, confirm_seconds=0.2)
        broker_network.stall()
        with pytest.raises(Unwritable):
            await durable.keep(MESSAGES[:1])
        broker_network.heal()

        async def taken() -> bool:
            with suppress(Unwritable):
                await durable.keep(MESSAGES[1:2])
                return True
            return False

        await eventually(taken, True)
    assert str(EVENTS[1].id) in await arrived(amqp_url)


async def test_a_file_that_can_not_be_deleted_holds_up_no_other(broker: Broker, amqp_url: str, folder: Path) -> None:
    first, second = written(folder, MESSAGES[:10]), written(folder, MESSAGES[10:20])
    open_first = JournalFile.adopt(first)
    assert open_first is not None
    open_first.release()

    async def in_its_place(body: bytes) -> Sequence[Message]:
        first.unlink()
        first.mkdir()
        return await on_message(body)

    with first.open("ab") as more:
        more.write(pack([Deferred("trap", b"20")]))
    await broker.until_ready()
    async with running(folder, broker, deferred={"trap": in_its_place}):

        async def left() -> bool:
            return second.exists()

        await eventually(left, False)
        found: Counter[str] = Counter()

        async def so_far() -> object:
            found.update(await arrived(amqp_url))
            return found

        await eventually(so_far, once(range(21)))
    first.rmdir()


async def test_hundreds_of_files_are_forwarded_a_few_at_a_time(broker: Broker, amqp_url: str, folder: Path) -> None:
    for message in MESSAGES:
        written(folder, [message])
    most = 0
    async with running(folder, broker) as journal:

        async def left() -> int:
            nonlocal most
            most = max(most, len(journal.status()["files"]))
            return len(list(folder.glob(f"*{SUFFIX}")))

        await eventually(left, 0)
    assert most <= MOST_FILES
    assert await arrived(amqp_url) == once(range(len(MESSAGES)))


async def test_a_stop_at_any_moment_leaves_all_of_it_on_disk(broker: Broker, amqp_url: str, folder: Path) -> None:
    chance = random.Random(7)
    await broker.until_ready()
    accepted: set[str] = set()
    before = descriptors()
    for start in range(0, len(MESSAGES), 10):
        async with running(folder, broker) as journal:

            async def put(message: Message, journal: object = journal) -> None:
                with suppress(Unwritable):
                    await journal.append([message])  # type: ignore[attr-defined]
                    accepted.add(message.message_id)

            puts = [asyncio.create_task(put(message)) for message in MESSAGES[start : start + 10]]
            await asyncio.sleep(chance.uniform(0, 0.03))
        await asyncio.gather(*puts)
    assert descriptors() <= before + 1
    async with running(folder, broker):
        await emptied(folder)

    assert len(accepted) > len(MESSAGES) // 2
    assert accepted <= (await arrived(amqp_url)).keys()


async def test_nobody_waits_for_a_journal_that_has_ended(folder: Path) -> None:
    nowhere = Broker("amqp://guest:guest@127.0.0.1:1/", name="nowhere")
    async with running(folder, nowhere) as journal:
        await journal.append(MESSAGES[:1])
    with pytest.raises(Unwritable):
        await journal.append(MESSAGES[1:2])


async def test_several_processes_killed_again_and_again_while_the_broker_comes_and_goes_lose_nothing(
    broker_network: Proxy, amqp_url: str, folder: Path
) -> None:
    chance = random.Random(11)
    said: set[str] = set()

    async def generation(start: int) -> None:
        """One process, killed at a moment of its own; it says each id that it was told is on disk."""
        read_end, write_end = os.pipe()
        arguments = (PROGRAM, str(folder), broker_network.url, str(start), str(write_end))
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments, pass_fds=[write_end])
        os.close(write_end)
        told = b""
        for _ in range(chance.randint(1, 4)):
            told += await asyncio.to_thread(os.read, read_end, 4096)
        await asyncio.sleep(chance.uniform(0, 0.3))
        process.kill()
        while more := await asyncio.to_thread(os.read, read_end, 65536):
            told += more
        await process.wait()
        os.close(read_end)
        said.update(line.decode() for line in told.split(b"\n")[:-1])

    async def comes_and_goes() -> None:
        while True:
            await asyncio.sleep(chance.uniform(0.2, 1))
            broker_network.cut()

    flapping = asyncio.create_task(comes_and_goes())
    try:
        for _ in range(2):
            await asyncio.gather(*(generation(start) for start in (0, 100, 200)))
    finally:
        flapping.cancel()
    async with Broker(amqp_url, name="journal test") as broker, running(folder, broker, LIMIT):
        await emptied(folder)

    assert len(said) > 10
    assert said <= (await arrived(amqp_url)).keys()

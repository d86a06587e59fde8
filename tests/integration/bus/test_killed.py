"""A process that is killed loses nothing, and the message that kills it is found."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

from shared.bus import Broker
from shared.bus.dead import DeadLetters
from tests.integration.bus import killed_consumer
from tests.integration.bus.support import DEAD, QUEUE, QUICK, becomes_ready, eventually, message, numbered, ready

# Forked from a process that has imported everything: what takes long at a start is not what is killed here.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([killed_consumer.__name__])


@contextmanager
def consumer(url: str, directory: Path) -> Iterator[BaseProcess]:
    process = FORKS.Process(target=killed_consumer.consume, args=(url, directory), daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def handled(directory: Path) -> set[bytes]:
    file = directory / "handled"
    return set(file.read_bytes().split()) if file.exists() else set()


async def publish(url: str, bodies: list[bytes]) -> None:
    async with ready(Broker(url, name="t", timings=QUICK)) as broker:
        await broker.publisher().publish([message(body) for body in bodies])


async def test_consumer_killed_twenty_times_in_a_row_loses_and_dead_letters_nothing(
    amqp_url: str, tmp_path: Path
) -> None:
    bodies = [each.body for each in numbered(3000)]
    await publish(amqp_url, bodies)
    for _ in range(20):
        (tmp_path / "started").unlink(missing_ok=True)
        with consumer(amqp_url, tmp_path):
            await eventually((tmp_path / "started").exists, "the first message in hand")
            await asyncio.sleep(random.random() * 0.03)
    with consumer(amqp_url, tmp_path):
        await eventually(lambda: handled(tmp_path) == set(bodies), "all handled")
    await becomes_ready(amqp_url, QUEUE, 0)
    await becomes_ready(amqp_url, DEAD, 0)


async def test_message_that_kills_its_consumer_is_found_and_nothing_else(amqp_url: str, tmp_path: Path) -> None:
    healthy = [each.body for each in numbered(40)]
    await publish(amqp_url, [*healthy[:20], b"kill", *healthy[20:]])
    deaths = 0
    while handled(tmp_path) != set(healthy) or deaths == 0 or not await DeadLetters(amqp_url, "history").list():
        assert deaths < 100
        with consumer(amqp_url, tmp_path) as process:
            dead = asyncio.create_task(becomes_ready(amqp_url, DEAD, 1))
            while not dead.done() and process.is_alive():  # the former ends by itself
                await asyncio.sleep(0.01)
            deaths += process.exitcode == 9
            if not dead.done():
                dead.cancel()
            else:
                await eventually(lambda: handled(tmp_path) == set(healthy), "the healthy handled")
                await eventually(lambda: not list((tmp_path / "notes").iterdir()), "no note left")
    (letter,) = await DeadLetters(amqp_url, "history").list()
    shown = await DeadLetters(amqp_url, "history").show(letter.message_id)
    assert shown is not None
    assert (shown.body, shown.reason) == ("kill", "kills_consumer")
    assert handled(tmp_path) == set(healthy)
    await becomes_ready(amqp_url, QUEUE, 0)

"""The journal: ingest while the broker takes nothing, and how fast it forwards once the broker takes again.

The broker is there and blocked in turns (a memory alarm, which it tells its publishers), in short rounds; printed are
medians. Then 100,000 events are journalled, and forwarded while a few connections go on posting.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from time import perf_counter
from typing import Final

import uvloop

from tests.bench.closed_loop import Round, load, posts
from tests.bench.figures import middle, percentile, table
from tests.bench.ingest import CONNECTIONS, bodies
from tests.bench.stack import KEY, Server, Stack, running

EVENTS: Final = 100_000
NEW_CONNECTIONS: Final = 8
_FORM: Final = "application/x-www-form-urlencoded"


def run(*, rounds: int, seconds: float) -> str:
    """Return both tables."""
    with running() as stack:
        server = stack.serve("ingest", ("-m", "services.ingest"), more={"CALLBUS_CONFIRM_SECONDS": "1"})
        return uvloop.run(_measure(stack, server, rounds, seconds))


async def _measure(stack: Stack, server: Server, rounds: int, seconds: float) -> str:
    requests = posts(f"/hooks/supervoip/{KEY}", bodies(itertools.count()), content_type=_FORM)
    results: dict[str, list[tuple[Round, float]]] = {"broker there": [], "broker blocked": []}
    await load(server.port, requests, connections=CONNECTIONS, seconds=1.0)  # warm
    for _ in range(rounds):
        for name, found in results.items():
            if name == "broker blocked":
                await _block(stack, server, requests)
            before = server.cpu_seconds()
            result = await load(server.port, requests, connections=CONNECTIONS, seconds=seconds)
            found.append((result, server.cpu_seconds() - before))
            await asyncio.to_thread(stack.set_memory_alarm, False)
            await _emptied(stack)
            await stack.purge()
    return _table(results) + "\n" + await _forward(stack, server, requests)


async def _forward(stack: Stack, server: Server, requests: Iterator[bytes]) -> str:
    await _block(stack, server, requests)
    journalled = 0
    while journalled < EVENTS:
        journalled += len((await load(server.port, requests, connections=CONNECTIONS, seconds=1.0)).seconds)
    size = sum(path.stat().st_size for path in stack.journal.glob("*/*.journal"))
    await asyncio.to_thread(stack.set_memory_alarm, False)
    started, took = perf_counter(), 0.0
    meanwhile: list[Round] = []
    emptied = asyncio.create_task(_emptied(stack))
    while not emptied.done():
        meanwhile.append(await load(server.port, requests, connections=NEW_CONNECTIONS, seconds=0.5))
        took = perf_counter() - started
    latencies = [each for result in meanwhile for each in result.seconds]
    row = [
        f"{journalled}",
        f"{size / 2**20:.0f}",
        f"{took:.1f}",
        f"{journalled / took:.0f}",
        f"{len(latencies) / took:.0f}",
        f"{percentile(latencies, 50) * 1000:.1f}",
        f"{percentile(latencies, 99) * 1000:.1f}",
    ]
    header = ("events", "MiB", "forwarded in s", "a second", "new ones a second", "their p50 ms", "p99 ms")
    return table("The journal, forwarded while new events come in", header, [row])


async def _block(stack: Stack, server: Server, requests: Iterator[bytes]) -> None:
    """Set the alarm, and return when ingest knows: the broker tells it of the alarm when it publishes next."""
    await asyncio.to_thread(stack.set_memory_alarm, True)
    while await asyncio.to_thread(stack.is_ready, server):
        await load(server.port, requests, connections=1, seconds=0.1)


async def _emptied(stack: Stack) -> None:
    while any(stack.journal.glob("*/*.journal")):
        await asyncio.sleep(0.02)


def _table(results: dict[str, list[tuple[Round, float]]]) -> str:
    there = middle(result.rate for result, _ in results["broker there"])
    rows = [
        [
            name,
            f"{middle(result.rate for result, _ in found):.0f}",
            f"{middle(result.rate for result, _ in found) / there:.2f}",
            f"{middle(percentile(result.seconds, 50) for result, _ in found) * 1000:.1f}",
            f"{middle(percentile(result.seconds, 99) for result, _ in found) * 1000:.1f}",
            f"{middle(cpu / len(result.seconds) for result, cpu in found) * 1e6:.0f}",
            str(sum(result.refused for result, _ in found)),
        ]
        for name, found in results.items()
    ]
    header = ("", "req/s", "of there", "p50 ms", "p99 ms", "server us", "refused")
    return table(f"Ingest with and without its broker, {CONNECTIONS} connections", header, rows)

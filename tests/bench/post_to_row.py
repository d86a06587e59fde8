"""From a POST to the row that anybody can read: through ingest, RabbitMQ and history into PostgreSQL.

Requests are sent at a fixed rate whatever becomes of the ones before (open loop), and each is timed from the moment
when it was *due*, so that a stall of anything is counted in full. Half of them open a call, the other half end it; what
is timed is the row that a new call gets. When it became visible is seen by a reader of its own connection, who asks for
the rows beyond the last id every three milliseconds or so: a moment later than true, never earlier. One history process
numbers the rows in the order in which it commits them, so none is passed over.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final

import asyncpg
import uvloop

from tests.bench.closed_loop import posts
from tests.bench.figures import percentile, table
from tests.bench.ingest import bodies
from tests.bench.stack import KEY, Stack, running

RATES: Final = (200, 500, 1000)
_CONNECTIONS: Final = 64
_LOOK_SECONDS: Final = 0.003
_DRAIN_SECONDS: Final = 60.0


@dataclass(slots=True)
class Run:
    """When requests were due and answered, by number, and when rows were seen, by call."""

    due: list[float] = field(default_factory=list)
    answered: dict[int, float] = field(default_factory=dict)
    seen: dict[int, float] = field(default_factory=dict)
    refused: int = 0


def run(*, seconds: float) -> str:
    """Return the table."""
    with running() as stack:
        ingest = stack.serve("ingest", ("-m", "services.ingest"))
        stack.serve("history", ("-m", "services.history"), service="history")
        rows = uvloop.run(_rates(stack, ingest.port, seconds))
    header = ("requests/s", "sent", "refused", "answer p50 ms", "p99 ms", "row p50 ms", "p99 ms", "rows unseen")
    return table("POST to row", header, rows)


async def _rates(stack: Stack, port: int, seconds: float) -> list[list[str]]:
    numbers = itertools.count()
    await _measure(stack, port, numbers, rate=100, seconds=1)  # warm
    return [_row(rate, await _measure(stack, port, numbers, rate=rate, seconds=seconds)) for rate in RATES]


def _row(rate: int, result: Run) -> list[str]:
    answers = [at - result.due[number] for number, at in result.answered.items()]
    opened = range(0, len(result.due), 2)
    rows = [result.seen[number] - result.due[number] for number in opened if number in result.seen]
    return [
        str(rate),
        str(len(result.due)),
        str(result.refused),
        *(f"{percentile(answers, percent) * 1000:.1f}" for percent in (50, 99)),
        *(f"{percentile(rows, percent) * 1000:.1f}" for percent in (50, 99)),
        str(len(opened) - len(rows)),
    ]


async def _measure(stack: Stack, port: int, numbers: Iterator[int], *, rate: int, seconds: float) -> Run:
    result = Run()
    count = int(rate * seconds) // 2 * 2
    first = next(numbers)
    numbered = itertools.chain([first], itertools.islice(numbers, count - 1))
    requests = posts(f"/hooks/supervoip/{KEY}", bodies(numbered), content_type="application/x-www-form-urlencoded")
    reader = await asyncpg.connect(stack.admin_dsn)
    done = asyncio.Event()
    watching = asyncio.create_task(_watch(reader, result, first, count // 2, done))
    await _send(port, requests, result, rate, count)
    done.set()
    await watching
    await reader.close()
    return result


async def _send(port: int, requests: Iterator[bytes], result: Run, rate: int, count: int) -> None:
    lines: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(_CONNECTIONS):
        lines.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    start = perf_counter() + 0.1
    async with asyncio.TaskGroup() as tasks:
        for number, request in zip(range(count), requests, strict=True):
            due = start + number / rate
            result.due.append(due)
            if (early := due - perf_counter()) > 0:
                await asyncio.sleep(early)
            tasks.create_task(_exchange(lines, request, number, result))
    while not lines.empty():
        _, writer = lines.get_nowait()
        writer.close()
        await writer.wait_closed()


async def _exchange(lines: asyncio.Queue[Any], request: bytes, number: int, result: Run) -> None:
    reader, writer = line = await lines.get()
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    await reader.readexactly(length)
    lines.put_nowait(line)
    if head.startswith(b"http/1.1 2"):
        result.answered[number] = perf_counter()
    else:
        result.refused += 1


async def _watch(
    reader: asyncpg.Connection[asyncpg.Record], result: Run, first: int, calls: int, done: asyncio.Event
) -> None:
    """Note when each call of this run is seen; give up some time after the last request was answered."""
    last = await reader.fetchval("SELECT coalesce(max(id), 0) FROM history.calls")
    look = await reader.prepare("SELECT id, call_key FROM history.calls WHERE id > $1 ORDER BY id")
    until = float("inf")
    while len(result.seen) < calls and perf_counter() < until:
        rows: Sequence[Any] = await look.fetch(last)
        now = perf_counter()
        for row in rows:
            # The body's number is that of the call, so twice it is that of the request that opened it.
            result.seen[2 * int(row["call_key"].rpartition("-")[2]) - first] = now
        if rows:
            last = rows[-1]["id"]
        if done.is_set() and until == float("inf"):
            until = now + _DRAIN_SECONDS
        await asyncio.sleep(_LOOK_SECONDS)

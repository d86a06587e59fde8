"""Ingest: durable requests a second, against itself without the broker and against FastAPI with FastStream.

The three take turns in short rounds, so that a busy moment of the machine meets all of them alike; printed are medians
over the rounds. Each answers 64 connections that send the next request when the last is answered. Client, server and
broker share the machine, so CPU time per request tells more than requests a second.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

import uvloop

from tests.bench import baseline_faststream
from tests.bench.closed_loop import load, posts
from tests.bench.figures import middle, percentile, table
from tests.bench.stack import KEY, Server, Stack, running
from tests.support.load import webhook

CONNECTIONS: Final = 64
INGEST, ALONE, BASELINE = "ingest", "ingest, no broker", "FastAPI + FastStream"
_UVICORN = ("--host", "127.0.0.1", "--port", "{port}", "--loop", "uvloop", "--http", "auto", "--no-access-log")


@dataclass(frozen=True)
class Figures:
    """One round of one server; times per request."""

    rate: float
    p50_ms: float
    p99_ms: float
    server_us: float
    broker_us: float
    refused: int


def run(*, rounds: int, seconds: float) -> str:
    """Return the table."""
    with running() as stack:
        servers = {
            INGEST: stack.serve("ingest", ("-m", "services.ingest")),
            ALONE: stack.serve("alone", ("-m", "tests.bench.ingest_alone")),
            BASELINE: stack.serve(
                "baseline", ("-m", "uvicorn", "tests.bench.baseline_faststream:app", *_UVICORN), ready="/docs"
            ),
        }
        results = uvloop.run(_rounds(stack, servers, rounds, seconds))
    return _table(results)


async def _rounds(stack: Stack, servers: Mapping[str, Server], rounds: int, seconds: float) -> dict[str, list[Figures]]:
    numbers = itertools.count()
    results: dict[str, list[Figures]] = {name: [] for name in servers}
    for server in servers.values():
        await _round(stack, server, numbers, 1.0)  # warm
    for turn in range(rounds):
        order = list(servers)
        for name in order[turn % len(order) :] + order[: turn % len(order)]:
            results[name].append(await _round(stack, servers[name], numbers, seconds))
    return results


async def _round(stack: Stack, server: Server, numbers: Iterator[int], seconds: float) -> Figures:
    key = baseline_faststream.KEY if server.name == "baseline" else KEY
    requests = posts(f"/hooks/supervoip/{key}", bodies(numbers), content_type="application/x-www-form-urlencoded")
    server_before, broker_before = server.cpu_seconds(), stack.broker_cpu_seconds()
    result = await load(server.port, requests, connections=CONNECTIONS, seconds=seconds)
    server_cpu, broker_cpu = server.cpu_seconds() - server_before, stack.broker_cpu_seconds() - broker_before
    await stack.purge()
    await asyncio.sleep(0.3)
    count = len(result.seconds)
    return Figures(
        result.rate,
        percentile(result.seconds, 50) * 1000,
        percentile(result.seconds, 99) * 1000,
        server_cpu / count * 1e6,
        broker_cpu / count * 1e6,
        result.refused,
    )


def bodies(numbers: Iterator[int]) -> Iterator[bytes]:
    """Yield forms of SuperVoIP, of 200 bytes and more: by turns a call starts and ends."""
    patterns = [
        webhook(status, "%s", uniqueid="1772442904.%s", IVRaction="queue 2").body.replace(b"%25s", b"%b")
        for status in ("callstart", "callend")
    ]
    for number in numbers:
        name = b"%012d" % (number // 2)
        yield patterns[number % 2] % (b"a1b2c3d4e5f60718-" + name, name)


def _table(results: Mapping[str, Sequence[Figures]]) -> str:
    medians = {name: _median(figures) for name, figures in results.items()}
    ours = medians[INGEST]
    rows = [
        [
            name,
            f"{m.rate:.0f}",
            f"{ours.rate / m.rate:.2f}",
            f"{m.p50_ms:.1f}",
            f"{m.p99_ms:.1f}",
            f"{m.server_us:.0f}",
            f"{m.server_us / ours.server_us:.2f}",
            f"{m.broker_us:.0f}",
            str(m.refused),
        ]
        for name, m in medians.items()
    ]
    parser = "httptools" if find_spec("httptools") else "h11, slower than httptools"
    title = f"Ingest: durable requests, {CONNECTIONS} connections (uvicorn with {parser})"
    header = ("", "req/s", "ingest is x", "p50 ms", "p99 ms", "server us", "of ingest's", "broker us", "refused")
    return table(title, header, rows)


def _median(figures: Sequence[Figures]) -> Figures:
    return Figures(
        middle(f.rate for f in figures),
        middle(f.p50_ms for f in figures),
        middle(f.p99_ms for f in figures),
        middle(f.server_us for f in figures),
        middle(f.broker_us for f in figures),
        sum(f.refused for f in figures),
    )

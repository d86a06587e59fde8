"""Whatever is killed while calls come in: what was answered 2xx is in history at the end, once.

The topology was declared when the system started, well before any kill: a quorum queue killed in its first second does
not come back (RabbitMQ 3.10).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from callbus.local.system import System
from tests.e2e.reckoning import settled
from tests.support.load import Provider, play_calls

VICTIMS = (("rabbitmq",), ("postgres",), ("history",), ("history", "history-2"), ("ingest",))
MORE_VICTIMS = (("rabbitmq", "postgres"), ("ingest", "rabbitmq"), ("postgres", "ingest"), ("history-2", "rabbitmq"))
LONG_SEEDS = range(1, 7)
GOES_ON_WITH = 100
"""Requests that are accepted after the kill before the load ends."""


def ids(victims: Sequence[str]) -> str:
    return "+".join(victims)


@pytest.mark.parametrize("victims", VICTIMS, ids=ids)
async def test_what_was_accepted_survives_a_kill(
    system: System, provider: Provider, victims: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    await survive(system, provider, victims, random.randrange(2**32), capsys)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", LONG_SEEDS)
@pytest.mark.parametrize("victims", [*VICTIMS, *MORE_VICTIMS], ids=ids)
async def test_what_was_accepted_survives_a_kill_at_any_moment(
    system: System, provider: Provider, victims: Sequence[str], seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    await survive(system, provider, victims, seed, capsys)


async def survive(
    system: System, provider: Provider, victims: Sequence[str], seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kill `victims` at a moment that `seed` draws while calls come in; nothing accepted may be lost or doubled."""
    draw = random.Random(seed)
    name = f"kill-{ids(victims)}-{seed}"
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(play_calls(provider, stop, name=name))
        for victim in victims:
            await asyncio.sleep(draw.uniform(0.3, 1.5))
            await asyncio.to_thread(system.kill, victim)
        for victim in victims:
            await asyncio.to_thread(system.wait_ready, victim)
        await provider.more_accepted(GOES_ON_WITH)
        stop.set()
    reckoning = await settled(system.postgres_dsn, provider.ledger, name)
    with capsys.disabled():
        print(f"\n{ids(victims)} killed (seed {seed}): {provider.ledger}; {reckoning}")
    assert reckoning.lost(provider.ledger) == set()
    assert reckoning.doubled() == set()
    assert reckoning.unfinished == frozenset()

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
from tests.e2e.reckoning import Tell, settled
from tests.support.load import Provider, play_calls

VICTIMS = (("rabbitmq",), ("postgres",), ("history",), ("history", "history-2"), ("ingest", "ingest-2"))
MORE_VICTIMS = (("rabbitmq", "postgres"), ("ingest", "rabbitmq"), ("postgres", "ingest"), ("history-2", "rabbitmq"))
LONG_SEEDS = range(1, 7)
KILLS = 12
GOES_ON_WITH = 100
"""Requests that are accepted after the kill before the load ends."""


def ids(victims: Sequence[str]) -> str:
    return "+".join(victims)


@pytest.mark.parametrize("victims", VICTIMS, ids=ids)
async def test_what_was_accepted_survives_a_kill(
    system: System, provider: Provider, victims: Sequence[str], tell: Tell
) -> None:
    await survive(system, provider, victims, random.randrange(2**32), tell)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", LONG_SEEDS)
@pytest.mark.parametrize("victims", [*VICTIMS, *MORE_VICTIMS], ids=ids)
async def test_what_was_accepted_survives_a_kill_at_any_moment(
    system: System, provider: Provider, victims: Sequence[str], seed: int, tell: Tell
) -> None:
    await survive(system, provider, victims, seed, tell)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", LONG_SEEDS)
async def test_what_was_accepted_survives_one_kill_after_another(
    system: System, provider: Provider, seed: int, tell: Tell
) -> None:
    draw = random.Random(seed)
    victims = [
        draw.choice(("rabbitmq", "postgres", "history", "history-2", "ingest", "ingest-2")) for _ in range(KILLS)
    ]
    await survive(system, provider, victims, seed, tell, most_seconds=6.0)


async def survive(
    system: System,
    provider: Provider,
    victims: Sequence[str],
    seed: int,
    tell: Tell,
    most_seconds: float = 1.5,
) -> None:
    """Kill `victims` while calls come in, each at a moment that `seed` draws; nothing accepted is lost or doubled."""
    draw = random.Random(seed)
    name = f"kill-{len(victims)}-{ids(victims[:2])}-{seed}"
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(play_calls(provider, stop, name=name))
        for victim in victims:
            await asyncio.sleep(draw.uniform(0.3, most_seconds))
            await asyncio.to_thread(system.kill, victim)
        for victim in set(victims):
            await asyncio.to_thread(system.wait_ready, victim)
        await provider.more_accepted(GOES_ON_WITH)
        stop.set()
    reckoning = await settled(system.postgres_dsn, provider.ledger, name)
    tell(f"{ids(victims)} killed (seed {seed}): {provider.ledger}; {reckoning}")
    assert reckoning.lost(provider.ledger) == set()
    assert reckoning.doubled() == set()
    assert reckoning.unfinished == frozenset()

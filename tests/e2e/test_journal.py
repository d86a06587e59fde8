"""The broker or the database away: calls are answered 2xx all the same, and all of them are in history afterwards."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from callbus.local.system import System
from tests.e2e.reckoning import Tell, settled
from tests.support.load import Provider, play_calls

ENOUGH = 300
DEADLINE_SECONDS = 120.0


@pytest.fixture
async def broker_away(system: System) -> AsyncIterator[System]:
    """The system without its broker, which is started again in any case."""
    await asyncio.to_thread(system.stop_program, "rabbitmq")
    yield system
    await asyncio.to_thread(_bring_back, system)


def _bring_back(system: System) -> None:
    for name in ("rabbitmq", "postgres", "ingest", "ingest-2"):
        if next(state for state in system.states() if state.name == name).word == "STOPPED":
            system.restart(name)


def waiting(system: System) -> list[Path]:
    return list((system.directory / "journal").glob("*/*.journal"))


async def emptied(system: System) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while waiting(system):
            await asyncio.sleep(0.2)


async def test_a_full_journal_survives_the_kill_of_all_and_of_one_replica_for_good(
    broker_away: System, provider: Provider, tell: Tell
) -> None:
    system, name, stop = broker_away, f"journal-{random.randrange(2**32)}", asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(play_calls(provider, stop, name=name))
        await provider.more_accepted(ENOUGH)
        stop.set()
    answers = dict(provider.ledger.answers)
    left = [path.stat().st_size for path in waiting(system)]
    for victim in ("ingest", "ingest-2"):
        await asyncio.to_thread(system.kill, victim)
    await asyncio.to_thread(system.stop_program, "ingest-2")
    await asyncio.to_thread(system.restart, "rabbitmq")
    reckoning = await settled(system.postgres_dsn, provider.ledger, name)
    await emptied(system)

    tell(f"broker away, both replicas killed: {provider.ledger}; journal of {left} bytes; {reckoning}")
    assert set(answers) == {"200"}
    assert len(left) == 2
    assert reckoning.lost(provider.ledger) == set()
    assert reckoning.doubled() == set()
    assert reckoning.unfinished == frozenset()


async def test_without_the_database_providers_that_need_none_go_on_and_the_others_say_503(
    system: System, session: aiohttp.ClientSession, provider: Provider
) -> None:
    demo, name = system.demo, f"database-{uuid4().hex}"
    headers = {"Authorization": f"Bearer {demo['partner']['token']}"}
    phone = f"+4860{random.randrange(10**7):07d}"
    told = {"crm_token": demo["account"]["crm_token"], "type": "incoming", "phone": phone, "diversion": "+48220000900"}
    create = {"action": "create_call", "direction": "incoming", "phone": phone, "pbx_call_id": name}

    async def post(url: str, **request: Any) -> int:
        async with session.post(url, **request) as answer:
            await answer.read()
            return answer.status

    async def all_of_them() -> list[int]:
        partner = demo["channels"]["partner"]["url"]
        report = {**told, "command": "history", "call_id": name, "status": "missed"}
        switch = {"crm_token": told["crm_token"], "command": "setup", "type": "enable"}
        return [
            await post(partner, json={**told, "command": "event"}, headers=headers),
            await post(partner, json=report, headers=headers),
            await post(partner, json=switch, headers=headers),
            await post(demo["channels"]["channel_key"]["url"], data=create),
        ]

    await asyncio.to_thread(system.stop_program, "postgres")
    try:
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(play_calls(provider, stop, name=name, connections=4))
            await provider.more_accepted(20)
            without = await all_of_them()
            stop.set()
    finally:
        await asyncio.to_thread(_bring_back, system)
    reckoning = await settled(system.postgres_dsn, provider.ledger, name)

    assert without == [202, 202, 503, 503]
    assert set(provider.ledger.answers) == {"200"}
    assert reckoning.lost(provider.ledger) == set()
    call = await _call(session, system, name)
    assert (call["provider"], call["outcome"], call["from"]["e164"]) == ("partner", "missed", phone)


async def _call(session: aiohttp.ClientSession, system: System, call_key: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {system.demo['account']['api_token']}"}
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            async with session.get(f"{system.base_url}/api/v1/calls?limit=500", headers=headers) as answer:
                for item in (await answer.json()).get("items", []):
                    if item["call_key"] == call_key:
                        return dict(item)
            await asyncio.sleep(0.2)

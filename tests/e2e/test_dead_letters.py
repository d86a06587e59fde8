"""Poison among an account's calls: set aside with its reason, looked at, replayed and dropped by the command line."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import aiormq
import pytest

from callbus.local.system import System
from shared.bus.deadletter import REASON, SOURCE_QUEUE
from shared.events import Event, Outcome
from tests.e2e.reckoning import reckon, settled
from tests.support.histories import Story
from tests.support.load import Provider, webhook

DEADLINE_SECONDS = 60.0
QUEUE = "history.calls"
Channel = aiormq.abc.AbstractChannel


@pytest.fixture
async def channel(system: System) -> AsyncIterator[Channel]:
    """A channel of a stranger to the system's own connections."""
    connection = await aiormq.connect(system.amqp_url)
    yield await connection.channel()
    await connection.close()


@pytest.fixture
def name() -> str:
    """What the calls of one test begin with."""
    return f"dead-{uuid4().hex}"


async def put(channel: Channel, body: bytes, message_id: str, queue: str = QUEUE, **headers: str) -> None:
    """Put a message straight into one queue."""
    properties = aiormq.spec.Basic.Properties(message_id=message_id, delivery_mode=2, headers=dict(headers))
    await channel.basic_publish(body, routing_key=queue, properties=properties)


async def callbus(system: System, *arguments: str) -> Any:
    """Run `callbus dead …` as an operator would and return what it prints."""
    command = [sys.executable, "-m", "callbus", "dead", *arguments, "--json"]
    done = await asyncio.to_thread(
        subprocess.run, command, env=system.environment, capture_output=True, text=True, timeout=DEADLINE_SECONDS
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def dead(system: System, *message_ids: str) -> dict[str, dict[str, Any]]:
    """Return these dead letters by id, once all of them are dead."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            letters = {letter["message_id"]: letter for letter in await callbus(system, "list", "history")}
            if all(each in letters for each in message_ids):
                return {each: letters[each] for each in message_ids}
            await asyncio.sleep(0.2)


def event_of(system: System, call_id: str, account: str) -> Event:
    """Return the end of a call on SuperVoIP's channel, told by an account."""
    number = system.demo[account]["id"]
    story = Story(call_id, account=number, channel=system.demo["channels"]["supervoip"]["id"])
    story.end(Outcome.BUSY)
    return story.events[0]


async def test_poison_is_set_aside_with_its_reason_and_what_is_behind_it_goes_on(
    system: System, provider: Provider, channel: Channel, name: str
) -> None:
    await provider.post(webhook("callend", f"{name}-first"))
    await settled(system.postgres_dsn, provider.ledger, name)
    foreign = event_of(system, f"{name}-first", "other_account")
    nonsense = f"{name}-nonsense"
    await put(channel, b'{"specversion": "1.0", "type": "call.ended.v1", "data": 7}', nonsense)
    await put(channel, foreign.to_json(), str(foreign.id))
    for number in range(20):
        await provider.post(webhook("callend", f"{name}-behind-{number}"))

    letters = await dead(system, nonsense, str(foreign.id))
    reckoning = await settled(system.postgres_dsn, provider.ledger, name)
    assert reckoning.lost(provider.ledger) == set()
    # Of the foreign event nothing is stored: the call has the end that its own account told.
    assert reckoning.ends[f"{name}-first"] == 1
    assert {letter["source_queue"] for letter in letters.values()} == {QUEUE}
    assert all(letter["reason"] and letter["error"] and letter["dead_at"] for letter in letters.values())
    assert "account" in letters[str(foreign.id)]["error"]
    shown = await callbus(system, "show", "history", str(foreign.id))
    assert shown["body"].encode() == foreign.to_json()

    # Replayed, they are as poisonous as before; then they are dropped for good.
    assert await callbus(system, "replay", "history", nonsense, str(foreign.id)) == {"replayed": 2}
    await dead(system, nonsense, str(foreign.id))
    assert await callbus(system, "drop", "history", nonsense, str(foreign.id)) == {"dropped": 2}
    left = {letter["message_id"] for letter in await callbus(system, "list", "history")}
    assert left.isdisjoint({nonsense, str(foreign.id)})


async def test_a_replayed_message_is_stored_and_goes_to_no_other_queue(
    system: System, channel: Channel, name: str
) -> None:
    witness = (await channel.queue_declare(exclusive=True)).queue
    assert witness is not None
    await channel.queue_bind(witness, "calls", routing_key="#")
    event = event_of(system, f"{name}-late", "account")
    # As a message that was poison to an earlier release lies there.
    cause = {REASON: "poison", SOURCE_QUEUE: QUEUE}
    await put(channel, event.to_json(), str(event.id), "history.dead", **cause)

    assert await callbus(system, "replay", "history", str(event.id)) == {"replayed": 1}

    async with asyncio.timeout(DEADLINE_SECONDS):
        while not (await reckon(system.postgres_dsn, name)).ends:
            await asyncio.sleep(0.1)
    assert (await channel.basic_get(witness)).body == b""
    assert event.id not in {letter["message_id"] for letter in await callbus(system, "list", "history")}

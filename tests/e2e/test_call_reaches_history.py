"""What a provider posts at the edge is read back at the edge, by its account alone."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from callbus.local.system import System
from tests.support.load import WIRES, Provider, Wire, webhook

DEADLINE_SECONDS = 60.0


@pytest.fixture
def call_id() -> str:
    return f"{uuid4().hex}@sip.example"


async def get(session: aiohttp.ClientSession, url: str, token: str) -> tuple[int, Any]:
    async with session.get(url, headers={"Authorization": f"Bearer {token}"}) as response:
        return response.status, await response.json(content_type=None)


async def ended_call(session: aiohttp.ClientSession, system: System, call_id: str) -> dict[str, Any]:
    """Return the call as the list of /api/v1 shows it, once it is there and has ended."""
    token = system.demo["account"]["api_token"]
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            status, answer = await get(session, f"{system.base_url}/api/v1/calls?limit=500", token)
            assert status == 200, answer
            for item in answer["items"]:
                if item["call_key"] == call_id and item["state"] == "ended":
                    return dict(item)
            await asyncio.sleep(0.1)


async def listed_by_number(session: aiohttp.ClientSession, system: System, number: str, uid: str) -> dict[str, Any]:
    """Return the call as the CRM's list shows it.

    Not at once, perhaps: national numbers are read by the countries of the account's channels, and the channels of a
    system that has just been started take a moment to reach every reader.
    """
    url = f"{system.base_url}/voip/calls.json?number={number}&per_page=100"
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            status, rows = await get(session, url, system.demo["account"]["api_token"])
            assert status == 200, rows
            for row in rows:
                if row["uid"] == uid:
                    return dict(row)
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("wire", WIRES)
async def test_a_call_in_any_of_the_providers_wire_formats_becomes_its_row(
    system: System, session: aiohttp.ClientSession, provider: Provider, call_id: str, wire: Wire
) -> None:
    changes = {"numberA": "220000101", "numberB": "220000900", "sipnumber": "1250001"}
    for status in ("callstart", "callend"):
        answer = await provider.post(webhook(status, call_id, wire=wire, **changes))
        assert (answer["accepted"], answer["events"]) == (True, 1)
    listed = await ended_call(session, system, call_id)
    account = system.demo["account"]["api_token"]

    _, call = await get(session, f"{system.base_url}/api/v1/calls/{listed['uid']}", account)
    assert {
        name: call[name] for name in ("state", "outcome", "direction", "talk_seconds", "answered_by", "provider")
    } == {
        "state": "ended",
        "outcome": "answered",
        "direction": "incoming",
        "talk_seconds": 73,
        "answered_by": "1250001",
        "provider": "supervoip",
    }
    assert (call["from"]["e164"], call["from"]["raw"]) == ("+48220000101", "220000101")
    assert call["did"]["e164"] == "+48220000900"
    assert [(event["type"], event["leg"]) for event in call["timeline"]] == [
        ("call.ringing.v1", "1250001"),
        ("call.ended.v1", "1250001"),
    ]
    words = call["timeline"][1]["raw"]
    sent = webhook("callend", call_id, wire=wire, **changes)
    assert (words["body"], words["query"]) == (sent.body.decode(), sent.query)

    row = await listed_by_number(session, system, "220000101", listed["uid"])
    expected = {
        "id": listed["id"],
        "number_from": "+48220000101",
        "number_to": "+48220000900",
        "kind": "incoming",
        "status": "ANSWERED",
        "duration": 73,  # `billseconds`
        "voip_id": system.demo["channels"]["supervoip"]["id"],
    }
    assert {name: row[name] for name in expected} == expected
    assert await get(session, f"{system.base_url}/voip/calls/{row['id']}.json", account) == (200, row)


async def test_a_retry_of_a_hang_up_changes_nothing(
    system: System, session: aiohttp.ClientSession, provider: Provider, call_id: str
) -> None:
    for _ in range(3):
        await provider.post(webhook("callend", call_id))
    # All three are with history when the call that was posted after them is.
    await provider.post(webhook("callend", f"after-{call_id}"))
    await ended_call(session, system, f"after-{call_id}")
    listed = await ended_call(session, system, call_id)
    token = system.demo["account"]["api_token"]
    _, call = await get(session, f"{system.base_url}/api/v1/calls/{listed['uid']}", token)
    assert len(call["timeline"]) == 1


async def test_another_account_sees_nothing_of_it(
    system: System, session: aiohttp.ClientSession, provider: Provider, call_id: str
) -> None:
    await provider.post(webhook("callend", call_id))
    listed = await ended_call(session, system, call_id)
    stranger = system.demo["other_account"]["api_token"]
    base = system.base_url
    answers = [
        await get(session, f"{base}/api/v1/calls/{listed['uid']}", stranger),
        await get(session, f"{base}/voip/calls/{listed['id']}.json", stranger),
    ]
    assert [status for status, _ in answers] == [404, 404]
    assert all(listed["uid"] not in str(answer) for _, answer in answers)
    assert await get(session, f"{base}/voip/calls.json", stranger) == (200, [])
    assert (await get(session, f"{base}/api/v1/calls", stranger))[1]["items"] == []
    assert (await get(session, f"{base}/api/v1/calls/{listed['uid']}", "not-a-token"))[0] == 401


async def test_a_key_that_is_nobodys_is_told_so(system: System, session: aiohttp.ClientSession) -> None:
    async with session.post(f"{system.base_url}/hooks/supervoip/nobody", data=webhook("callend", "x").body) as answer:
        assert answer.status == 404

"""What each vendor's documentation shows, sent literally to the edge, and the row that it becomes."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from callbus.local.system import System

DEADLINE_SECONDS = 60.0


@pytest.fixture
def key() -> str:
    return uuid4().hex


async def row(
    session: aiohttp.ClientSession, system: System, call_key: str, state: str | None = None
) -> dict[str, Any]:
    """Return the call as /api/v1/calls shows it, once it is there (and in `state`)."""
    headers = {"Authorization": f"Bearer {system.demo['account']['api_token']}"}
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            async with session.get(f"{system.base_url}/api/v1/calls?limit=500", headers=headers) as answer:
                for item in (await answer.json())["items"]:
                    if item["call_key"] == call_key and state in (None, item["state"]):
                        return dict(item)
            await asyncio.sleep(0.1)


async def post(session: aiohttp.ClientSession, url: str, **request: Any) -> tuple[int, Any]:
    async with session.post(url, **request) as answer:
        return answer.status, await answer.json()


def partner(system: System) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return the partner's URL, its headers, and what every body holds."""
    headers = {
        "Authorization": f"Bearer {system.demo['partner']['token']}",
        "Accept": "application/vnd.api.v2+json",
        "Content-Type": "application/json",
    }
    return (
        f"{system.base_url}/api/v1/voip/integration",
        {"headers": headers},
        {"crm_token": system.demo["account"]["crm_token"]},
    )


async def test_the_partners_setup_event_and_history(system: System, session: aiohttp.ClientSession, key: str) -> None:
    url, request, body = partner(system)
    phone = f"+1555{int(key[:6], 16) % 10**7:07d}"
    call = {**body, "type": "incoming", "phone": phone, "diversion": "+15550100900", "user": "sip-201"}
    record = {
        "call_id": key,
        "status": "success",
        "duration": 73,
        "date": "2026-03-02T10:15:04+01:00",
        "link": "https://rec.example.net/77-1042.mp3",
    }
    answers = [
        await post(session, url, json={"command": "setup", "type": "enable", **body}, **request),
        await post(session, url, json={"command": "event", **call}, **request),
        await post(session, url, json={"command": "history", **call, **record}, **request),
    ]

    assert answers == [(202, {"success": True, "data": None, "meta": {"message": "Accepted"}})] * 3
    found = await row(session, system, key, "ended")
    assert (found["outcome"], found["direction"], found["from"]["e164"]) == ("answered", "incoming", phone)
    assert (found["did"]["e164"], found["duration_seconds"]) == ("+15550100900", 73)
    assert [recording["url"] for recording in found["recordings"]] == [record["link"]]


async def test_the_partners_disabled_integration_takes_no_calls(
    system: System, session: aiohttp.ClientSession, key: str
) -> None:
    url, request, body = partner(system)
    record = {"command": "history", "type": "incoming", "phone": "+15550100123", "diversion": "+1555", "call_id": key}
    off = await post(session, url, json={"command": "setup", "type": "disable", **body}, **request)
    try:
        refused = await post(session, url, json={**record, **body}, **request)
    finally:
        on = await post(session, url, json={"command": "setup", "type": "enable", **body}, **request)

    assert (off[0], refused[0], on[0]) == (202, 403, 202)
    assert (refused[1]["success"], refused[1]["data"]) == (False, None)


async def test_the_channel_keys_create_and_update(system: System, session: aiohttp.ClientSession, key: str) -> None:
    url = system.demo["channels"]["channel_key"]["url"]
    create = aiohttp.FormData(default_to_multipart=True)
    for name, value in (
        ("action", "create_call"),
        ("direction", "incoming"),
        ("phone", "15550100123"),
        ("pbx_call_id", key),
        ("pbx_user_ids[]", "101"),
        ("pbx_user_ids[]", "102"),
    ):
        create.add_field(name, value)
    status, created = await post(session, url, data=create)
    call_id, ticket_id = created["data"]["call_id"], created["data"]["ticket_id"]
    users = {user["pbx_user_id"]: user["id"] for user in system.demo["users"]}
    update = {
        "action": "update_call",
        "call_id": call_id,
        "call_status": "canceled",
        "user_id": users["101"],
        "comment": "missed",
    }
    status_of_update, updated = await post(session, url + "/", data={k: str(v) for k, v in update.items()})

    shown = {
        "call_id": call_id,
        "pbx_call_id": key,
        "user_id": None,
        "pbx_user_id": None,
        "call_status": "ringing",
        "audio_record": None,
        "ticket_id": ticket_id,
    }
    assert (status, created) == (200, {"data": shown})
    assert (status_of_update, updated) == (200, {"data": {**shown, "user_id": users["101"], "call_status": "canceled"}})
    found = await row(session, system, key, "ended")
    assert (found["outcome"], found["assignee"], found["comments"]) == ("canceled", users["101"], ["missed"])
    ticket = await _ticket(session, system, ticket_id)
    assert (ticket["call_uid"], ticket["assignee"]) == (found["uid"], users["101"])
    assert ticket["department_id"] == system.demo["departments"][0]["id"]


async def _ticket(session: aiohttp.ClientSession, system: System, ticket_id: int) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {system.demo['account']['api_token']}"}
    async with session.get(f"{system.base_url}/api/v1/tickets/{ticket_id}", headers=headers) as answer:
        assert answer.status == 200
        return dict(await answer.json())


async def test_voipnows_hangup(system: System, session: aiohttp.ClientSession, key: str) -> None:
    body = (
        f"CallID={key}&CallerIDNum=%2B15550100123&CallerIDName=&CalledDID=15550100900&CalledExtension=0007*101"
        f"&CallerExtension=&CalledNumber=0007*101&CallStatus=NOANSWER&CallFlow=IN&CallAPIID=88-{key}"
    )
    url = f"{system.demo['channels']['voipnow']['url']}/hangup"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    status, answer = await post(session, url, data=body, headers=headers)

    assert (status, answer["accepted"], answer["events"]) == (200, True, 1)
    found = await row(session, system, key, "ended")
    assert (found["outcome"], found["direction"], found["from"]["e164"]) == ("missed", "incoming", "+15550100123")


async def test_voipnows_get_joins_its_parameters_to_the_query(
    system: System, session: aiohttp.ClientSession, key: str
) -> None:
    url = f"{system.demo['channels']['voipnow']['url']}/dial-in"
    query = f"CallID={key}&CallerIDNum=%2B15550100123&CalledExtension=0007*101&CallStatus=CALLING&CallFlow=IN"
    async with session.get(f"{url}?{query}") as answer:
        assert answer.status == 200

    found = await row(session, system, key)
    assert (found["state"], found["from"]["e164"]) == ("ringing", "+15550100123")


async def test_supervoips_callend(system: System, session: aiohttp.ClientSession, key: str) -> None:
    body = (
        "status=callend&direction=in&numberA=220000101&numberB=220000900&sipnumber=1250001&disposition=ANSWER"
        f"&billseconds=73&createdat=1772442904&callid={key}%40sip.example"
    )
    url = system.demo["channels"]["supervoip"]["url"]
    status, _ = await post(session, url, data=body, headers={"Content-Type": "application/x-www-form-urlencoded"})

    assert status == 200
    found = await row(session, system, f"{key}@sip.example", "ended")
    assert (found["outcome"], found["answered_by"], found["talk_seconds"]) == ("answered", "1250001", 73)


async def test_telecubes_call_end(system: System, session: aiohttp.ClientSession, key: str) -> None:
    body = {
        "event": "call_end",
        "uniqueid": key,
        "caller": "220000101",
        "called": "220000900",
        "extension": "10",
        "status": "NO ANSWER",
        "duration": 0,
    }
    status, _ = await post(session, system.demo["channels"]["telecube"]["url"], json=body)

    assert status == 200
    found = await row(session, system, key, "ended")
    assert (found["outcome"], found["from"]["e164"], found["to"]["e164"]) == ("missed", "+48220000101", "+48220000900")

"""What a provider sent and was refused is there to be read: by its account, by the provider itself, by operators."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from callbus.local.system import System
from tests.support.load import Provider, webhook

DEADLINE_SECONDS = 60.0
HISTORIES = ("history", "history-2")


async def get(session: aiohttp.ClientSession, url: str, token: str | None = None) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with session.get(url, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


async def post(session: aiohttp.ClientSession, url: str, fields: Mapping[str, str], **headers: str) -> tuple[int, str]:
    """Return status and the id under which the request was answered."""
    async with session.post(url, data=dict(fields), headers=headers) as answer:
        await answer.read()
        return answer.status, answer.headers["X-Request-Id"]


async def listed(session: aiohttp.ClientSession, system: System, *ids: str) -> dict[str, dict[str, Any]]:
    """Return these requests as the demo account's list shows them, once they are all there."""
    url, token = f"{system.base_url}/api/v1/requests?limit=500", system.demo["account"]["api_token"]
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            status, answer = await get(session, url, token)
            if status == 200:
                found = {item["id"]: item for item in answer["items"]}
                if all(id_ in found for id_ in ids):
                    return {id_: found[id_] for id_ in ids}
            await asyncio.sleep(0.1)


async def callbus(system: System, *arguments: str) -> Any:
    """Run `callbus requests …` with the variables that the run wrote for operators; return what it prints."""
    command = [sys.executable, "-m", "callbus", "requests", *arguments, "--json"]
    done = await asyncio.to_thread(
        subprocess.run, command, env=system.environment, capture_output=True, text=True, timeout=DEADLINE_SECONDS
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def applied(system: System, request: str) -> dict[str, Any]:
    """Apply all that was not recognised; return what came of one request."""
    (row,) = [row for row in await callbus(system, "apply", "--unrecognised") if row["id"] == request]
    return dict(row)


@pytest.fixture
def hook(system: System) -> str:
    """The URL that SuperVoIP posts to."""
    return str(system.demo["channels"]["supervoip"]["url"])


async def test_a_provider_learns_what_became_of_its_requests_and_nobody_elses(
    system: System, session: aiohttp.ClientSession, provider: Provider, hook: str
) -> None:
    call_id = f"{uuid4().hex}@sip.example"
    taken = (await provider.post(webhook("callend", call_id)))["request_id"]
    refused, unknown = [
        await post(session, hook, fields)
        for fields in ({"status": "callend"}, {"status": "voicemail", "callid": call_id, "token": "hunter2-hunter2"})
    ]
    assert (refused[0], unknown[0]) == (422, 200)
    found = await listed(session, system, taken, refused[1], unknown[1])

    assert [found[id_]["outcome"] for id_ in found] == ["accepted", "refused", "unrecognised"]
    assert found[refused[1]]["reason"].endswith("callid is required (or uniqueid)")
    assert [event["type"] for event in found[taken]["events"]] == ["call.ended.v1"]
    assert "hunter2" not in str(found)
    assert system.demo["channels"]["supervoip"]["key"] not in str(found)

    # The provider reads the same by its key, which is not that of another channel, not even of the same account.
    key, base = system.demo["channels"]["supervoip"]["key"], system.base_url
    for id_, item in found.items():
        assert await get(session, f"{base}/hooks/requests/{id_}", key) == (200, item)
        assert await get(session, f"{base}/hooks/requests/{id_}?key={key}") == (200, item)
        assert (await get(session, f"{base}/hooks/requests/{id_}"))[0] == 401
        for stranger in (
            system.demo["channels"]["telecube"]["key"],
            system.demo["other_account"]["channels"]["channel_key"]["key"],
        ):
            assert (await get(session, f"{base}/hooks/requests/{id_}", stranger))[0] == 404
        assert (await get(session, f"{base}/api/v1/requests/{id_}", system.demo["other_account"]["api_token"]))[
            0
        ] == 404
    status, answer = await get(session, f"{base}/hooks/requests/{uuid4()}", key)
    assert (status, answer["accepted"]) == (404, False)
    theirs = await get(session, f"{base}/api/v1/requests", system.demo["other_account"]["api_token"])
    assert theirs[1]["items"] == []
    # The call that came of it is the one that its event names.
    call = await get(session, f"{base}/api/v1/calls/{found[taken]['call_uid']}", system.demo["account"]["api_token"])
    assert call[1]["call_key"] == call_id


async def test_a_wrong_key_is_for_operators_alone(system: System, session: aiohttp.ClientSession, hook: str) -> None:
    wrong = hook.replace(system.demo["channels"]["supervoip"]["key"], "mistyped-by-its-provider")
    trace = f"trace-{uuid4().hex}"
    assert await post(session, wrong, {"status": "callend"}, **{"X-Request-Id": trace}) == (404, trace)
    _, refused = await post(session, hook, {})
    await listed(session, system, refused)

    async with asyncio.timeout(DEADLINE_SECONDS):
        while trace not in (
            of_nobody := {item["id"]: item for item in await callbus(system, "list", "--account", "0")}
        ):
            await asyncio.sleep(0.2)
    assert (of_nobody[trace]["status"], of_nobody[trace]["account_id"]) == (404, 0)
    assert "mistyped" not in str(of_nobody[trace])
    assert refused in {item["id"] for item in await callbus(system, "list")}
    # On the edge there is no way to the operators' API, and the account is not shown what is nobody's.
    operators = (system.directory / "secrets" / "operator.token").read_text().strip()
    assert (await get(session, f"{system.base_url}/api/v1/admin/requests", operators))[0] == 404
    token = system.demo["account"]["api_token"]
    assert (await get(session, f"{system.base_url}/api/v1/requests/{trace}", token))[0] == 404


async def test_what_is_refused_while_history_is_down_is_listed_afterwards(
    system: System, session: aiohttp.ClientSession, hook: str
) -> None:
    for name in HISTORIES:
        system.stop_program(name)
    try:
        ids = [(await post(session, hook, {"status": "voicemail", "callid": str(number)}))[1] for number in range(5)]
        status, answer = await get(session, f"{system.base_url}/hooks/requests/{ids[0]}?key=any")
        assert (status, answer["accepted"]) == (503, False)
    finally:
        for name in HISTORIES:
            system.restart(name)

    found = await listed(session, system, *ids)
    assert {item["outcome"] for item in found.values()} == {"unrecognised"}


async def test_an_operator_applies_what_a_mapping_learns(system: System, session: aiohttp.ClientSession) -> None:
    """A hook whose words are known only after they came: the call is as if they had been known at once."""
    generic = system.demo["channels"].get("generic") or system.demo["channels"]["datera"]
    call_id = uuid4().hex
    status, request = await post(session, generic["url"], {"event": "przychodzi", "call": call_id, "from": "220000101"})
    assert status == 200
    await listed(session, system, request)
    still = await applied(system, request)
    assert (still["applied"], "still not recognised" in still["why"]) == (False, True)

    names = {"event": "event", "call": "call", "from": "from"}
    learnt = {"fields": names, "words": {"event": {"przychodzi": "ringing"}}}
    assert system.postgres is not None
    system.postgres.execute(
        f"UPDATE directory.channels SET mapping = '{json.dumps(learnt)}' WHERE channel_id = {generic['id']}", "callbus"
    )
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not (await applied(system, request))["applied"]:
                await asyncio.sleep(0.2)
    finally:
        system.postgres.execute(
            f"UPDATE directory.channels SET mapping = NULL WHERE channel_id = {generic['id']}", "callbus"
        )

    found = (await listed(session, system, request))[request]
    assert (found["outcome"], [event["type"] for event in found["events"]]) == ("accepted", ["call.ringing.v1"])
    url = f"{system.base_url}/api/v1/calls/{found['call_uid']}"
    async with asyncio.timeout(DEADLINE_SECONDS):
        while (call := await get(session, url, system.demo["account"]["api_token"]))[0] != 200:
            await asyncio.sleep(0.1)
    (event,) = call[1]["timeline"]
    assert (event["request_id"], event["received_at"]) == (request, found["received_at"])
    assert call[1]["call_key"] == call_id

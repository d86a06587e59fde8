"""Telecube's webhook over HTTP: its answers, and the call that comes of it."""

from typing import Any

import aiohttp

from shared.call import Call, State
from shared.events import Outcome
from tests.integration.ingest.support import OTHER_KEY, Ids, rejected, take

HOOK = f"/hooks/telecube/{OTHER_KEY}"
CALL = {"uniqueid": "1772442904.118", "caller": "220000101", "called": "220000900"}


async def send(client: aiohttp.ClientSession, method: str, path: str, **request: Any) -> tuple[int, dict[str, Any]]:
    async with client.request(method, path, **request) as answer:
        return answer.status, await answer.json()


async def test_a_queue_that_nobody_answers_is_one_missed_call_in_whatever_dress(
    client: aiohttp.ClientSession, amqp_url: str, ids: Ids
) -> None:
    xml = "<c><event>call_start</event><uniqueid>1772442904.118</uniqueid><extension>10</extension></c>"
    answers = [
        await send(client, "POST", HOOK, json={"event": "queue_start", "queue": "sales", **CALL}),
        await send(client, "POST", HOOK + "/", data=xml, headers={"Content-Type": "text/plain"}),
        await send(client, "GET", HOOK, params={"event": "call_end", "extension": "10", "status": "NO ANSWER", **CALL}),
        await send(client, "POST", HOOK, data={"type": "QUEUE_HANGUP", "call_id": "1772442904.118"}),
    ]

    events = await take(amqp_url, "history.calls")
    call = Call.of(events)

    assert [(code, body["accepted"], body["events"]) for code, body in answers] == [(200, True, 1)] * 4
    assert [event.requestid for event in events] == [body["request_id"] for _code, body in answers]
    assert (call.account, call.provider, call.queue) == (ids.account, "telecube", "sales")
    assert (call.state, call.final, call.outcome) == (State.ENDED, True, Outcome.MISSED)
    assert [(leg.leg, leg.outcome) for leg in call.legs] == [("10", Outcome.MISSED)]


async def test_a_plus_is_read_however_it_is_encoded(client: aiohttp.ClientSession, amqp_url: str) -> None:
    for n, caller in enumerate(("%2B48601000101", "+48601000101", "0048601000101", "601000101")):
        code, _ = await send(client, "POST", HOOK, data=f"event=call_start&uniqueid={n}&caller={caller}".encode())
        assert code == 200

    numbers = [Call.of([event]).from_ for event in await take(amqp_url, "history.calls")]
    assert [number and number.e164 for number in numbers] == ["+48601000101"] * 4
    assert [number and number.raw[:1] for number in numbers] == ["+", "+", "0", "6"]


async def test_what_can_not_be_taken_is_answered_exactly_and_kept(client: aiohttp.ClientSession, amqp_url: str) -> None:
    answers = {
        "unknown event": await send(client, "POST", HOOK, json={"event": "voicemail", **CALL}),
        "incomplete": await send(client, "GET", HOOK, params={"caller": "220000101"}),
        "unreadable": await send(client, "POST", HOOK, data=b"{"),
        "a segment more": await send(client, "POST", f"{HOOK}/call_start", data=CALL),
        "unknown key": await send(client, "POST", "/hooks/telecube/nobody", data=CALL),
    }

    assert {name: code for name, (code, _body) in answers.items()} == {
        "unknown event": 200,
        "incomplete": 422,
        "unreadable": 400,
        "a segment more": 404,
        "unknown key": 404,
    }
    assert answers["unknown event"][1]["accepted"] is False
    assert answers["unknown event"][1]["reason"] == "unknown event: 'voicemail'"
    assert answers["incomplete"][1]["errors"] == [
        {"field": "event", "detail": "is required (or type, action)"},
        {"field": "uniqueid", "detail": "is required (or call_id, callid, uuid)"},
    ]
    assert await take(amqp_url, "history.calls") == []
    assert [event.data.status for event in await rejected(amqp_url)] == [200, 422, 400, 404, 404]


async def test_an_unknown_status_ends_the_leg_and_is_flagged(client: aiohttp.ClientSession, amqp_url: str) -> None:
    end = {"event": "call_end", "extension": "10", "status": "CONGESTION", **CALL}
    assert (await send(client, "POST", HOOK, json=end))[0] == 200
    _, dry = await send(client, "POST", HOOK, params={"dry_run": "1"}, json=end)
    async with client.get("/metrics") as answer:
        text = await answer.text()

    [event] = await take(amqp_url, "history.calls")
    assert Call.of([event]).outcome is Outcome.UNKNOWN
    assert dry["not_understood"] == ["status"]
    assert 'field="status",provider="telecube"} 1.0' in text

"""VoipNow's call events over HTTP: a URL per event, GET and POST, and the call that comes of them."""

from typing import Any

import aiohttp

from shared.call import Call, State
from shared.events import Direction, Outcome
from tests.integration.ingest.support import KEY, VOIPNOW_KEY, Ids, rejected, take

HOOK = f"/hooks/voipnow/{VOIPNOW_KEY}"
CALL = {
    "CallID": "7c1e0b42d9",
    "CallerIDNum": "+48601000101",
    "CallerIDName": "",
    "CalledDID": "220000900",
    "CalledExtension": "0007*101",
    "CallerExtension": "",
    "CalledNumber": "0007*101",
    "CallFlow": "IN",
    "CallAPIID": "88-7c1e0b42d9",
}


async def send(client: aiohttp.ClientSession, method: str, path: str, **request: Any) -> tuple[int, dict[str, Any]]:
    async with client.request(method, path, **request) as answer:
        return answer.status, await answer.json()


async def test_get_and_post_at_a_url_per_event_are_one_call(
    client: aiohttp.ClientSession, amqp_url: str, ids: Ids
) -> None:
    answers = [
        await send(client, "GET", f"{HOOK}/dial-in", params={**CALL, "CallStatus": "CALLING"}),
        await send(client, "POST", f"{HOOK}/answer-in", data={**CALL, "CallStatus": "ANSWER"}),
        await send(client, "POST", f"{HOOK}/hangup/", data={**CALL, "CallStatus": "ANSWER"}),
    ]

    events = await take(amqp_url, "history.calls")
    call = Call.of(events)

    assert [(code, body["accepted"], body["events"]) for code, body in answers] == [(200, True, 1)] * 3
    assert [event.requestid for event in events] == [body["request_id"] for _code, body in answers]
    assert [event.type for event in events] == ["call.ringing.v1", "call.answered.v1", "call.ended.v1"]
    assert (call.account, call.provider, call.call_key) == (ids.account, "voipnow", "7c1e0b42d9")
    assert (call.state, call.outcome, call.answered_by) == (State.ENDED, Outcome.ANSWERED, "0007*101")
    assert call.direction is Direction.INCOMING
    assert call.from_ is not None
    assert call.from_.e164 == "+48601000101"


async def test_every_event_has_its_url_with_and_without_a_slash(client: aiohttp.ClientSession, amqp_url: str) -> None:
    events = ("dial-in", "dial-out", "hangup", "answer-in", "answer-out")
    for event in events:
        for path in (f"{HOOK}/{event}", f"{HOOK}/{event}/"):
            for method in ("GET", "POST"):
                code, body = await send(client, method, path, params={"CallID": path + method})
                assert (code, body["events"]) == (200, 1)

    assert len(await take(amqp_url, "history.calls")) == 4 * len(events)


async def test_a_plus_is_read_however_it_is_encoded(client: aiohttp.ClientSession, amqp_url: str) -> None:
    for n, caller in enumerate(("%2B48601000101", "+48601000101", "0048601000101", "601000101")):
        form = f"CallID={n}&CalledExtension=0007*101&CallerIDNum={caller}"
        assert (await send(client, "POST", f"{HOOK}/dial-in", data=form.encode()))[0] == 200
        assert (await send(client, "GET", f"{HOOK}/hangup?{form}"))[0] == 200

    numbers = [Call.of([event]).from_ for event in await take(amqp_url, "history.calls")]
    assert [number and number.e164 for number in numbers] == ["+48601000101"] * 8


async def test_an_immediate_retry_leaves_the_call_as_it_is(client: aiohttp.ClientSession, amqp_url: str) -> None:
    story = [("dial-in", "CALLING"), ("answer-in", "ANSWER"), ("hangup", "ANSWER")]
    for event, word in story:
        await send(client, "POST", f"{HOOK}/{event}", data={**CALL, "CallStatus": word})
    once = await take(amqp_url, "history.calls")
    for event, word in story:
        await send(client, "POST", f"{HOOK}/{event}", data={**CALL, "CallStatus": word})
    again = await take(amqp_url, "history.calls")

    told, retold = Call.of(once), Call.of(once + again)
    assert (retold.state, retold.outcome, retold.legs) == (told.state, told.outcome, told.legs)
    assert (retold.started_at, retold.answered_at, retold.ended_at) == (
        told.started_at,
        told.answered_at,
        told.ended_at,
    )


async def test_what_can_not_be_taken_is_answered_exactly_and_kept(client: aiohttp.ClientSession, amqp_url: str) -> None:
    answers = {
        "no event": await send(client, "POST", HOOK, data=CALL),
        "no event, a slash": await send(client, "POST", f"{HOOK}/", data=CALL),
        "unknown event": await send(client, "POST", f"{HOOK}/dial", data=CALL),
        "event in capitals": await send(client, "GET", f"{HOOK}/Dial-In", params=CALL),
        "another provider's key": await send(client, "POST", f"/hooks/voipnow/{KEY}/dial-in", data=CALL),
        "no call": await send(client, "GET", f"{HOOK}/dial-in"),
        "unreadable": await send(client, "POST", f"{HOOK}/dial-in", data=b"CallID"),
    }

    kept = await rejected(amqp_url)

    assert {name: code for name, (code, _body) in answers.items()} == {
        "no event": 404,
        "no event, a slash": 404,
        "unknown event": 404,
        "event in capitals": 404,
        "another provider's key": 404,
        "no call": 422,
        "unreadable": 400,
    }
    assert all(body["accepted"] is False and body["request_id"] for _code, body in answers.values())
    assert answers["no call"][1]["errors"] == [{"field": "CallID", "detail": "is required"}]
    assert "dial-in, dial-out, hangup, answer-in, answer-out" in answers["unknown event"][1]["error"]
    assert await take(amqp_url, "history.calls") == []
    assert [event.data.status for event in kept] == [404, 404, 404, 404, 404, 422, 400]
    assert VOIPNOW_KEY.encode() not in b"".join(event.to_json() for event in kept)


async def test_an_unknown_status_ends_the_leg_and_is_flagged(client: aiohttp.ClientSession, amqp_url: str) -> None:
    end = {**CALL, "CallStatus": "REJECTED"}
    assert (await send(client, "POST", f"{HOOK}/hangup", data=end))[0] == 200
    _, dry = await send(client, "GET", f"{HOOK}/hangup", params={**end, "dry_run": "1"})
    async with client.get("/metrics") as answer:
        text = await answer.text()

    [event] = await take(amqp_url, "history.calls")
    assert Call.of([event]).outcome is Outcome.UNKNOWN
    assert dry["not_understood"] == ["callstatus"]
    assert 'field="callstatus",provider="voipnow"} 1.0' in text

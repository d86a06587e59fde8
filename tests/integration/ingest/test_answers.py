"""Every answer of a provider's webhook, and what is published for it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from services.ingest.adapter import Adapter, Mapped
from services.ingest.app import build
from services.ingest.door import PARTS
from services.ingest.intake import Arrival, Intake
from services.ingest.settings import Settings
from shared.bus import Message
from shared.directory import Channel
from shared.events import CallEnded, CallRinging, Outcome
from tests.integration.ingest.support import KEY, OFF_KEY, OTHER_KEY, Ids, rejected, running, settings, status, take

HOOK = f"/hooks/supervoip/{KEY}"
CALL = {"status": "callstart", "direction": "in", "numberA": "220000101", "numberB": "220000900", "callid": "a1"}
END = {**CALL, "status": "callend", "disposition": "ANSWER", "billseconds": "73", "sipnumber": "1250001"}


async def post(client: aiohttp.ClientSession, path: str, **request: Any) -> tuple[int, dict[str, Any]]:
    async with client.post(path, **request) as answer:
        return answer.status, await answer.json()


async def test_a_call_is_accepted_in_every_dress_and_is_one_call(
    client: aiohttp.ClientSession, amqp_url: str, ids: Ids
) -> None:
    form = aiohttp.FormData(END)
    form.add_field("file", b"\x00\xff", filename="x.wav")
    xml = "<call>" + "".join(f"<{name}>{value}</{name}>" for name, value in END.items()) + "</call>"
    answers = [
        await post(client, HOOK, data=CALL),
        await post(client, HOOK + "/", json=END),
        await post(client, HOOK, data=xml, headers={"Content-Type": "application/x-www-form-urlencoded"}),
        await post(client, HOOK, params=END),
        await post(client, HOOK, data=form),
    ]
    async with client.get(HOOK, params=END, headers={"X-Request-Id": "trace-12345"}) as answer:
        answers.append((answer.status, await answer.json()))

    events = await take(amqp_url, "history.calls")

    assert [(code, body["accepted"], body["events"]) for code, body in answers] == [(200, True, 1)] * 6
    assert [event.requestid for event in events] == [body["request_id"] for _code, body in answers]
    assert answers[-1][1]["request_id"] == "trace-12345"
    assert [type(event) for event in events] == [CallRinging] + [CallEnded] * 5
    assert len({event.subject for event in events}) == 1
    assert len({event.id for event in events}) == 3  # the ring; the end; the end with a file
    end = events[1]
    assert isinstance(end, CallEnded)
    assert (end.account, end.source) == (ids.account, f"/ingest/supervoip/{ids.channel}")
    assert (end.data.outcome, end.data.leg, end.data.talk_seconds) == (Outcome.ANSWERED, "1250001", 73)
    assert end.data.raw is not None
    assert orjson.loads(end.data.raw.unpack()) == END


async def test_what_can_not_be_taken_is_answered_exactly_and_kept(
    client: aiohttp.ClientSession, amqp_url: str, ids: Ids
) -> None:
    answers = {
        "unknown key": await post(client, "/hooks/supervoip/wrong_key_hunter2", data=CALL),
        "odd key": await post(client, "/hooks/supervoip/%00%ff", data=CALL),
        "another provider's key": await post(client, f"/hooks/supervoip/{OTHER_KEY}", data=CALL),
        "switched off": await post(client, f"/hooks/supervoip/{OFF_KEY}", data=CALL),
        "unreadable": await post(client, HOOK, data=b"{"),
        "bomb": await post(client, HOOK, data=b'<!DOCTYPE a [<!ENTITY x "x">]><a>&x;</a>'),
        "too large": await post(client, HOOK, data=b"a=" + b"x" * 50_000),
        "too many fields": await post(client, HOOK, data="&".join(f"a{n}=1" for n in range(300))),
        "incomplete": await post(client, HOOK, data={"numberA": "220000101", "token": "hunter2"}),
        "unknown word": await post(client, HOOK, data={**CALL, "status": "voicemail"}),
    }

    kept = await rejected(amqp_url)
    told = b"".join(event.to_json() for event in kept)

    assert {name: code for name, (code, _body) in answers.items()} == {
        "unknown key": 404,
        "odd key": 404,
        "another provider's key": 404,
        "switched off": 403,
        "unreadable": 400,
        "bomb": 400,
        "too large": 413,
        "too many fields": 413,
        "incomplete": 422,
        "unknown word": 200,
    }
    assert all(body["accepted"] is False and body["request_id"] for _code, body in answers.values())
    assert answers["incomplete"][1]["errors"] == [
        {"field": "status", "detail": "is required"},
        {"field": "callid", "detail": "is required (or uniqueid)"},
    ]
    assert answers["unknown word"][1]["reason"] == "unknown status: 'voicemail'"
    assert await take(amqp_url, "history.calls") == []
    assert [event.subject for event in kept] == [body["request_id"] for _code, body in answers.values()]
    assert [event.data.status for event in kept] == [code for code, _body in answers.values()]
    assert [event.account for event in kept] == [0, 0, 0] + [ids.account] * 7
    assert kept[-1].data.outcome == "unrecognised"
    assert kept[-1].data.fields == {name.lower(): value for name, value in CALL.items()} | {"status": "voicemail"}
    assert b"hunter2" not in told
    assert kept[0].data.path.startswith("/hooks/supervoip/")


async def test_a_retry_is_the_same_event_and_a_later_ring_is_not(client: aiohttp.ClientSession, amqp_url: str) -> None:
    for _ in range(2):
        await post(client, HOOK, data=END)
    await post(client, HOOK, data={**END, "comment": "x"})

    first, again, other = await take(amqp_url, "history.calls")

    assert first.id == again.id != other.id
    assert first.receivedat < again.receivedat


async def test_a_dry_run_shows_the_events_and_publishes_nothing(client: aiohttp.ClientSession, amqp_url: str) -> None:
    code, body = await post(client, HOOK + "?dry_run=1", data=END)

    assert (code, [event["type"] for event in body["events"]]) == (200, ["call.ended.v1"])
    assert await take(amqp_url, "history.calls") == []


async def test_a_dry_run_of_what_is_refused_or_not_understood_says_so_and_keeps_nothing(
    client: aiohttp.ClientSession, amqp_url: str
) -> None:
    unknown = await post(client, HOOK + "?dry_run=1", data={**CALL, "status": "voicemail"})
    incomplete = await post(client, HOOK + "?dry_run=1", data={"status": "callstart"})

    assert (unknown[0], unknown[1]["accepted"], incomplete[0]) == (200, False, 422)
    assert await rejected(amqp_url) == []


async def test_a_dry_run_says_what_it_did_not_understand(client: aiohttp.ClientSession) -> None:
    _, body = await post(client, HOOK + "?dry_run=true", data={**END, "disposition": "WHAT"})

    assert body["not_understood"] == ["disposition"]


@pytest.mark.parametrize("word", ["yes", "", "2", "on"])
async def test_a_mistyped_dry_run_never_becomes_a_call(client: aiohttp.ClientSession, amqp_url: str, word: str) -> None:
    code, body = await post(client, f"{HOOK}?dry_run={word}", data=END)

    assert (code, body["errors"][0]["field"]) == (422, "dry_run")
    assert await take(amqp_url, "history.calls") == []


class Unused:
    """A keeper of nothing."""

    async def keep(self, messages: Sequence[Message]) -> None:
        raise AssertionError("there is nothing to publish")


class Faulty(Intake):
    """An intake whose mapping has a fault."""

    def read(self, arrival: Arrival, adapter: Adapter, channel: Channel, event: str = "") -> Mapped:
        raise RuntimeError("a mapping with a fault")


async def test_what_a_fault_of_ours_refuses_is_kept(configured: Settings, amqp_url: str) -> None:
    app = build(configured)
    app[PARTS] = app[PARTS]._replace(intake=Faulty(Unused()))
    async with running(configured, app=app) as client:
        code, body = await post(client, HOOK, data=END)

    kept = await rejected(amqp_url)
    assert (code, body["accepted"]) == (500, False)
    assert [(event.data.status, event.data.reason) for event in kept] == [(500, "RuntimeError")]
    assert kept[0].data.fields == {name.lower(): value for name, value in END.items()}


async def test_a_flood_is_429_with_retry_after_and_kept_ten_times(configured: Settings, amqp_url: str) -> None:
    slow = configured.model_copy(update={"channel_rate_per_second": 0.05, "channel_rate_burst": 3})
    async with running(slow) as client:
        codes = [await status(client, HOOK, CALL) for _ in range(20)]
        async with client.post(HOOK, data=CALL) as answer:
            assert (answer.status, (await answer.json())["accepted"]) == (429, False)
            assert 1 <= int(answer.headers["Retry-After"]) <= 20

    assert codes == [200] * 3 + [429] * 17
    assert len(await rejected(amqp_url)) == 10


async def test_other_methods_are_405_and_a_probe_does_not_ring(client: aiohttp.ClientSession, amqp_url: str) -> None:
    for method, expected in (("HEAD", 405), ("PUT", 405), ("DELETE", 405), ("GET", 422)):
        async with client.request(method, HOOK) as answer:
            assert answer.status == expected

    assert await take(amqp_url, "history.calls") == []


async def test_nothing_that_is_sent_is_a_500(client: aiohttp.ClientSession, amqp_url: str) -> None:
    odd: list[dict[str, Any]] = [
        {"data": b'{"status":"callstart","callid":"a\\u0000\\ud800","numberA":"\\u0000"}'},
        {"data": b'{"status":"callend","callid":1e999,"createdat":99999999999999999999,"billseconds":-1}'},
        {"data": b"status=callstart&callid=%00&numberA=%ff%fe&createdat=-0"},
        {"data": b"status=callend&callid=%ED%A0%80&billseconds=nan&createdat=0001-01-01T00:00:00%2B14:00"},
        {"data": CALL, "headers": {"Content-Type": "\xff\xfe; charset=\xff"}},
        {"data": CALL, "headers": {"X-Request-Id": "\xff", "traceparent": "\xff", "User-Agent": "\xff"}},
        {"data": {**CALL, "callid": "x" * 10_000}},
        {"data": {**CALL, "status": "\ufffe" * 5000}},
        {"data": b"status=callend&callid=\xff", "headers": {"Content-Type": "text/plain; charset=idna"}},
        {"data": b"status=callend&callid=\xff", "headers": {"Content-Type": "text/plain; charset=undefined"}},
    ]
    codes = [(await post(client, HOOK, **request))[0] for request in odd]

    assert codes == [200, 200, 200, 200, 200, 200, 422, 200, 200, 200]
    assert len(await take(amqp_url, "history.calls")) == 8  # and all of them can be read


async def test_a_key_made_a_moment_ago_is_known(
    client: aiohttp.ClientSession, database_dsn: str, ids: Ids, amqp_url: str
) -> None:
    import asyncpg

    from shared.secrets import hash_token

    assert await status(client, "/hooks/supervoip/key_of_tomorrow", CALL) == 404
    connection = await asyncpg.connect(database_dsn)
    await connection.execute("UPDATE directory.channel_keys SET valid_until = now() + interval '1 hour'")
    await connection.execute(
        "INSERT INTO directory.channel_keys (account_id, channel_id, kind, key_hash, key_sealed)"
        " VALUES ($1, $2, 'key', $3, ''::bytea)",
        ids.account,
        ids.channel,
        hash_token("key_made_a_moment_ago"),
    )
    await connection.close()

    assert await status(client, "/hooks/supervoip/key_made_a_moment_ago", CALL) == 200
    assert await status(client, HOOK, CALL) == 200  # the old one, while they are rotated


async def test_metrics_tell_what_became_of_requests(client: aiohttp.ClientSession, ids: Ids) -> None:
    await post(client, HOOK, data={**END, "disposition": "VOICEMAIL"})
    async with client.get("/metrics") as answer:
        text = await answer.text()

    assert 'ingest_requests_total{outcome="accepted",provider="supervoip"}' in text
    assert 'ingest_events_total{provider="supervoip",type="call.ended.v1"}' in text
    assert f'ingest_oddities_total{{channel="{ids.channel}",field="disposition",provider="supervoip"}} 1.0' in text
    assert "hunter2" not in text


async def test_two_replicas_make_the_same_event(
    client: aiohttp.ClientSession, configured: Settings, amqp_url: str, tmp_path: Path
) -> None:
    other = settings(amqp_url, configured.postgres_dsn.get_secret_value(), tmp_path / "other")
    async with running(other) as second:
        await asyncio.gather(post(client, HOOK, data=END), post(second, HOOK, data=END))

    one, two = await take(amqp_url, "history.calls")
    assert one.id == two.id

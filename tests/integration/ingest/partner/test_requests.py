"""The partner API: every documented request and answer, every error, and what is published."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import permutations
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import orjson
import pytest

from services.ingest.settings import Settings
from services.routing.store import NewChannel
from shared import clock
from shared.call import Call, State
from shared.events import Authority, CallEnded, CallRinging, Direction, Outcome
from shared.secrets import hash_token
from tests.integration.ingest.partner.support import (
    ACCEPTED,
    DIVERSION,
    PATH,
    PHONE,
    Chain,
    Partner,
    add_chain,
)
from tests.integration.ingest.support import rejected, running, take
from tests.support.directory import writing

HISTORY = {
    "user": "sip-201",
    "call_id": "pbx-77-1042",
    "status": "success",
    "duration": 73,
    "date": "2026-03-02T10:15:04+01:00",
    "link": "https://rec.example.net/77-1042.mp3",
}


async def test_a_ring_and_its_history_are_one_call_in_any_order(partner: Partner, amqp_url: str) -> None:
    history = {**HISTORY, "date": clock.now().astimezone(ZoneInfo("Europe/Warsaw")).isoformat()}
    answers = [
        await partner.ring(user="sip-201"),
        await partner.ring(user="sip-202"),
        await partner.report(**history),
        await partner.report(**{**history, "link": "https://rec.example.net/late.mp3"}),
    ]

    events = await take(amqp_url, "history.calls")
    ring, _, end, _ = events

    assert answers == [(202, ACCEPTED)] * 4
    assert isinstance(ring, CallRinging)
    assert isinstance(end, CallEnded)
    assert (ring.source, ring.account) == (f"/ingest/partner/{partner.chain.channel}", partner.chain.account)
    assert (ring.data.authority, ring.data.user, ring.data.leg, ring.data.call_key) == (
        Authority.LIVE,
        "sip-201",
        "",
        None,
    )
    assert ring.data.from_ is not None
    assert ring.data.did is not None
    assert (ring.data.from_.e164, ring.data.did.e164) == (PHONE, DIVERSION)
    assert end.data.raw is not None
    assert orjson.loads(end.data.raw.unpack()) == {
        "command": "history",
        "type": "incoming",
        "phone": PHONE,
        "diversion": DIVERSION,
        **history,
        "crm_token": hash_token(partner.chain.crm_token).hex()[:8],
    }
    assert all(partner.chain.crm_token.encode() not in event.to_json() for event in events)
    for order in permutations(events):
        call = Call.of(order)
        assert (call.state, call.final, call.outcome, call.direction) == (
            State.ENDED,
            True,
            Outcome.ANSWERED,
            Direction.INCOMING,
        )
        assert (call.call_key, call.duration_seconds, call.events) == ("pbx-77-1042", 73, 4)
        assert [recording.url for recording in call.recordings] == [
            "https://rec.example.net/77-1042.mp3",
            "https://rec.example.net/late.mp3",
        ]


async def test_what_partners_vary_is_taken(partner: Partner, amqp_url: str) -> None:
    body = {"command": "event", "type": "incoming", "phone": PHONE, "diversion": DIVERSION}
    chain = partner.chain
    named = {**body, "crm_token": chain.crm_token}
    answers = [
        await partner.send(named, path=path)
        for path in (PATH, f"{PATH}/", f"/api/v1{PATH}", f"/api/v1{PATH}/", f"{PATH}?x=1")
    ]
    answers += [
        await partner.send(named, headers=headers)
        for headers in (
            {"Accept": "application/vnd.yclients.v2+json"},
            {"Accept": "text/html"},
            {"Accept": ""},
            {"Content-Type": "text/plain"},
            {"Authorization": f"Bearer {partner.token}, User u-1"},
            {"Authorization": f"Bearer {partner.token},User u-1"},
            {"Authorization": f"bearer  {partner.token} "},
        )
    ]
    answers += [
        await partner.send(each)
        for each in (
            {**body, "crmToken": chain.crm_token},
            {**named, "phone": 7, "diversion": 15550100900, "user": 201},
            {**named, "phone": "7123456789012345678901234567890", "user": None, "more": {"a": [1]}},
            {**named, "phone": "anonymous", "type": "INCOMING", "user": ""},
            orjson.dumps(named).replace(b"{", b"\xef\xbb\xbf\n{ ", 1),
        )
    ]

    events = await take(amqp_url, "history.calls")

    assert [(status, answer) for status, answer, _ in answers] == [(202, ACCEPTED)] * 17
    assert all(headers["X-Request-Id"] for _, _, headers in answers)
    assert len(events) == 17
    assert len({event.subject for event in events}) == 4  # one for each phone
    assert len({event.id for event in events}) == 4  # the first and twelve repetitions of it, by whatever way
    numbers = [
        (event.data.from_.raw, event.data.from_.e164)
        for event in events
        if isinstance(event, CallRinging) and event.data.from_
    ]
    assert numbers[-4:] == [("7", None), ("7123456789012345678901234567890", None), ("anonymous", None), (PHONE, PHONE)]


async def test_every_refusal_has_its_status_and_the_envelope(
    partner: Partner, database_dsn: str, amqp_url: str
) -> None:
    chain = partner.chain
    async with writing(database_dsn) as store:
        stranger = (await store.rotate_partner_token(await store.create_partner("Stranger", []))).secret
        ended = (await store.rotate_partner_token(await store.create_partner("Ended", [chain.account]))).secret
        off = await add_chain(store, "Off", enabled=False)
        new = await add_chain(store, "New")
        await store.entitle_partner((await store.list_partners())[0]["partner_id"], off.account)
        await store.entitle_partner((await store.list_partners())[0]["partner_id"], new.account)
        await store.revoke_partner_tokens((await store.list_partners())[2]["partner_id"])
    ring = {
        "command": "event",
        "type": "incoming",
        "phone": PHONE,
        "diversion": DIVERSION,
        "crm_token": chain.crm_token,
    }
    history = {**ring, "command": "history"}

    def without(*names: str) -> dict[str, str]:
        return {name: value for name, value in ring.items() if name not in names}

    def said(token: str) -> dict[str, str]:
        return {"Authorization": token}

    refusals: list[tuple[int, Any, dict[str, str]]] = [
        (401, ring, said("")),
        (401, ring, said("Bearer")),
        (401, ring, said("Basic cGFydG5lcjpz")),
        (401, ring, said("Bearer wrong")),
        (401, ring, said(f"Bearer {chain.crm_token}")),
        (401, ring, said(f"Bearer {ended}")),
        (401, ring, said(f"User {partner.token}")),
        (401, b"{", said("Bearer \xff")),
        (400, b"", {}),
        (400, b"{", {}),
        (400, b"command=event", {}),
        (400, b"[]", {}),
        (400, b'"event"', {}),
        (400, b"null", {}),
        (413, b'{"command":"' + b"x" * 60_000 + b'"}', {}),
        (422, {}, {}),
        (422, without("crm_token"), {}),
        (422, without("command"), {}),
        (404, {**ring, "crm_token": "wrong"}, {}),
        (404, {**ring, "crm_token": "\x00\u00fc"}, {}),
        (404, {**ring, "crm_token": partner.token}, {}),
        (403, ring, said(f"Bearer {stranger}")),
        (403, {**ring, "crm_token": off.crm_token}, {}),
        (403, {**ring, "crm_token": new.crm_token}, {}),
        (403, {**history, "crm_token": new.crm_token}, {}),
        (403, {"crm_token": new.crm_token, "command": "event"}, {}),
        (422, {**ring, "command": "contact", "crm_token": new.crm_token}, {}),
    ]

    answers = [await partner.send(body, headers=headers) for _, body, headers in refusals]

    assert [status for status, _, _ in answers] == [status for status, _, _ in refusals]
    for status, answer, headers in answers:
        assert (answer["success"], answer["data"]) == (False, None)
        assert (answer["meta"] == {}) is (status == 404)
        assert headers["X-Request-Id"]
    assert {answer["meta"]["message"] for status, answer, _ in answers if status == 401} == {"Authentication needed."}
    assert all(headers["WWW-Authenticate"] == "Bearer" for status, _, headers in answers if status == 401)
    assert all("Access denied" in answer["meta"]["message"] for status, answer, _ in answers if status == 403)
    assert await take(amqp_url, "history.calls") == []
    kept = await rejected(amqp_url)
    assert {event.account for event in kept if event.data.status == 422} == {0, new.account}
    words = b"".join(event.to_json() for event in kept)
    secrets = (partner.token, stranger, ended, chain.crm_token, off.crm_token, new.crm_token)
    assert not any(secret.encode() in words for secret in secrets)


async def test_what_is_wrong_with_fields_is_told_by_field(partner: Partner, amqp_url: str) -> None:
    wrong: dict[str, tuple[dict[str, Any], set[str]]] = {
        "nothing": ({"crm_token": None, "command": None}, {"crm_token", "command"}),
        "command": ({"command": "contact"}, {"command"}),
        "setup": ({"command": "setup", "type": "pause"}, {"type"}),
        "setup without type": ({"command": "setup", "type": None}, {"type"}),
        "ring": ({"type": "accepted", "phone": "", "diversion": None}, {"type", "phone", "diversion"}),
        "structured": ({"phone": ["+1"], "user": {"id": 1}, "diversion": True}, {"phone", "user", "diversion"}),
        "long": ({"phone": "1" * 256}, {"phone"}),
        "history": (
            {"command": "history", "status": "answered", "duration": "long", "date": "yesterday", "call_id": "x" * 256},
            {"status", "duration", "date", "call_id"},
        ),
        "below zero": ({"command": "history", "duration": -1, "link": {"url": "x"}}, {"duration", "link"}),
    }
    ring = {
        "command": "event",
        "type": "incoming",
        "phone": PHONE,
        "diversion": DIVERSION,
        "crm_token": partner.chain.crm_token,
    }

    found = {}
    for name, (fields, _) in wrong.items():
        body = {key: value for key, value in {**ring, **fields}.items() if value is not None}
        status, answer, _ = await partner.send(body)
        assert (status, answer["success"], bool(answer["meta"]["message"])) == (422, False, True)
        assert all(isinstance(texts, list) and texts[0] for texts in answer["meta"]["errors"].values())
        found[name] = set(answer["meta"]["errors"])

    assert found == {name: fields for name, (_, fields) in wrong.items()}
    assert await take(amqp_url, "history.calls") == []


async def test_a_trial_which_there_is_none_of_never_becomes_a_call(partner: Partner, amqp_url: str) -> None:
    ring = {"command": "event", "type": "incoming", "phone": PHONE, "diversion": DIVERSION}
    body = {**ring, "crm_token": partner.chain.crm_token}
    status, answer, _ = await partner.send(body, path=f"{PATH}?dry_run=1")
    assert (status, answer["meta"]["errors"]) == (422, {"dry_run": ["is known under /hooks/ alone"]})
    assert await take(amqp_url, "history.calls") == []


@pytest.mark.parametrize("path", [PATH, f"/api/v1{PATH}/"])
async def test_other_methods_are_405_in_the_envelope(partner: Partner, path: str) -> None:
    for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS"):
        status, answer, headers = await partner.send({}, path=path, method=method)
        assert (status, answer["success"], headers["Allow"]) == (405, False, "POST")
        assert answer["meta"]["message"]


async def test_a_body_that_never_comes_is_408(partner: Partner) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(3600)

    status, answer, _ = await partner.send(body())

    assert (status, answer["success"], answer["data"]) == (408, False, None)


async def test_a_flood_is_429_with_retry_after(
    configured: Settings, database_dsn: str, chain: Chain, amqp_url: str
) -> None:
    async with writing(database_dsn) as store:
        token = (await store.rotate_partner_token(await store.create_partner("Vendor", [chain.account]))).secret
    slow = configured.model_copy(update={"channel_rate_per_second": 0.05, "channel_rate_burst": 3})
    async with running(slow) as client:
        partner = Partner(client, token, chain)
        await partner.enable()
        statuses = [(await partner.ring())[0] for _ in range(4)]
        ring = {"command": "event", "crm_token": chain.crm_token}
        status, answer, headers = await partner.send(ring)

    assert statuses == [202, 202, 429, 429]
    assert (status, answer["success"], 1 <= int(headers["Retry-After"]) <= 20) == (429, False, True)
    assert "requests a second" in answer["meta"]["message"]


async def test_setup_switches_calls_on_and_off_and_twice_is_once(partner: Partner, amqp_url: str) -> None:
    async def statuses() -> list[int]:
        return [(await partner.ring())[0], (await partner.report(**HISTORY))[0]]

    seen = [await statuses()]
    for type_ in ("enable", "disable", "disable"):
        assert await partner.say("setup", type_) == (202, ACCEPTED)
        seen.append(await statuses())
    await partner.enable()
    seen.append(await statuses())

    assert seen == [[202, 202], [202, 202], [403, 403], [403, 403], [202, 202]]


async def test_partners_and_chains_are_walls(
    partner: Partner, database_dsn: str, client: aiohttp.ClientSession
) -> None:
    async with writing(database_dsn) as store:
        other = await add_chain(store, "Other")
        second = await store.create_channel(
            NewChannel(account_id=other.account, provider="partner", name="Second", country="US")
        )
        name = await store.create_partner("Other vendor", [])
        await store.entitle_partner(name, other.account, second.id)
        token = (await store.issue_partner_token(name)).secret
    narrow = Partner(client, token, Chain(other.account, second.id, second.secret))

    await narrow.enable()

    assert (await narrow.ring())[0] == 202
    assert (await Partner(client, token, other).ring())[0] == 403  # another channel of the account
    assert (await Partner(client, token, partner.chain).ring())[0] == 403
    assert (await Partner(client, partner.token, narrow.chain).ring())[0] == 403
    assert (await Partner(client, partner.token, other).say("setup", "disable"))[0] == 403
    assert (await narrow.ring())[0] == 202


async def test_nothing_that_is_sent_is_a_500(partner: Partner, amqp_url: str) -> None:
    chain = partner.chain
    start = (
        b'{"crm_token":"%s","command":"history","type":"incoming","phone":"1","diversion":"2",'
        % chain.crm_token.encode()
    )
    odd = [
        start + rest
        for rest in (
            b'"call_id":"a\\u0000\\ud800"}',
            b'"duration":1e999}',
            b'"duration":1e8,"date":"2099-12-31T23:59:59+14:00"}',
            b'"duration":999999999,"date":"0001-01-01T00:00:00+14:00"}',
            b'"date":"2026-03-02","user":1e5}',
            b'"link":"javascript:alert(1)"}',
            b'"link":"http://","user":"\xff"}',
            b'"user":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
            b'"phone":"\\u0000","diversion":"\\udfff"}',
            b'"x":' + b"9" * 5_000 + b"}",
            b",".join(b'"a%d":1' % n for n in range(300)) + b"}",
        )
    ]
    answers = [await partner.send(body) for body in odd]
    answers.append(
        await partner.send(odd[0], headers={"traceparent": "\xff", "X-Request-Id": "\xff", "User-Agent": "\xff"})
    )

    assert [status for status, _, _ in answers] == [202, 422, 202, 422, 202, 202, 202, 400, 202, 202, 413, 202]
    assert all(answer["success"] is (status == 202) for status, answer, _ in answers)
    events = await take(amqp_url, "history.calls")
    assert len(events) == 8  # and all of them can be read
    assert all(event.data.recording is None for event in events if isinstance(event, CallEnded))


async def test_a_link_that_can_not_be_used_is_flagged(partner: Partner, client: aiohttp.ClientSession) -> None:
    await partner.report(**{**HISTORY, "link": "ftp://rec.example.net/1.mp3"})
    async with client.get("/metrics") as answer:
        text = await answer.text()

    channel = partner.chain.channel
    assert f'ingest_oddities_total{{channel="{channel}",field="link",provider="partner"}}' in text
    assert 'ingest_requests_total{outcome="accepted",provider="partner"}' in text

"""A kept request is applied by an operator: the same events as a retry would have made, at the time it came in."""

from __future__ import annotations

import base64
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from services.ingest.settings import Settings
from shared.events import Raw, RequestRejected
from tests.integration.ingest.support import KEY, Ids, eventually, rejected, running, take

PATH = "/api/v1/admin/requests/apply"
TOKEN = "a token of the operators"
HOOK = f"/hooks/supervoip/{KEY}"


@pytest.fixture
async def client(configured: Settings, tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """Ingest with an operators' API."""
    (tmp_path / "operator.token").write_text(TOKEN)
    settings = configured.model_copy(update={"operator_token_file": tmp_path / "operator.token"})
    async with running(settings) as client:
        yield client


async def apply(client: aiohttp.ClientSession, kept: object, token: str | None = TOKEN) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    body = {"data": kept} if isinstance(kept, bytes) else {"json": kept}
    async with client.post(PATH, headers=headers, **body) as answer:
        return answer.status, await answer.json(content_type=None)


def kept(ids: Ids, body: bytes = b"", **more: Any) -> dict[str, Any]:
    """What history hands to ingest."""
    raw = Raw.pack(body, method="POST", content_type="application/x-www-form-urlencoded", query=more.pop("query", ""))
    return {
        "id": "req-00001",
        "channel_id": ids.channel,
        "received_at": "2026-03-02T12:00:00.123456+00:00",
        "raw": raw.model_dump(),
    } | more


def as_kept(event: RequestRejected) -> dict[str, Any]:
    """What history keeps of an event and hands to ingest."""
    data = event.data
    assert data.raw is not None
    return {
        "id": event.subject,
        "channel_id": data.channel_id,
        "received_at": event.receivedat.isoformat(),
        "raw": data.raw.model_dump(),
        "path_event": data.path_event,
        "body_cut": data.body_cut,
    }


FORM = b"status=callend&direction=in&numberA=220000101&numberB=220000900&callid=a1&disposition=BUSY&token=9f86d081"
PACKED = base64.b64encode(zlib.compress(FORM)).decode()


async def test_what_is_applied_has_the_time_and_the_id_that_it_came_with(
    client: aiohttp.ClientSession, amqp_url: str, ids: Ids
) -> None:
    status, answer = await apply(client, kept(ids, FORM))
    (event,) = await take(amqp_url, "history.calls")

    assert status == 200
    told = {"id": str(event.id), "type": "call.ended.v1", "call_uid": str(event.subject)}
    assert answer == {"id": "req-00001", "events": [told]}
    assert event.requestid == "req-00001"
    assert event.receivedat.isoformat() == "2026-03-02T12:00:00.123456+00:00"
    assert (event.account, event.source) == (ids.account, f"/ingest/supervoip/{ids.channel}")
    # The words as they were kept: what replaced a credential is no credential.
    assert event.data.raw == Raw.model_validate(kept(ids, FORM)["raw"])  # type: ignore[union-attr]


@pytest.mark.parametrize("status", ["callstart", "callend"])
async def test_applied_twice_or_sent_again_it_is_the_same_event(
    client: aiohttp.ClientSession, amqp_url: str, ids: Ids, status: str
) -> None:
    words = kept(ids, FORM.replace(b"callend", status.encode()))
    answers = [await apply(client, words) for _ in range(2)]
    if status == "callend":  # a ring's id has its time in it
        async with client.post(HOOK, data=FORM.replace(b"9f86d081", b"the token itself")) as answer:
            assert answer.status == 200
    events = await take(amqp_url, "history.calls")

    assert answers[0] == answers[1]
    assert len({event.id for event in events}) == 1


async def test_an_unknown_word_is_kept_and_still_unknown_until_the_mapping_learns_it(
    client: aiohttp.ClientSession, amqp_url: str, ids: Ids, database_dsn: str
) -> None:
    connection = await asyncpg.connect(database_dsn)
    await connection.execute("UPDATE directory.channels SET provider = 'generic' WHERE channel_id = $1", ids.channel)
    sent = {"event": "przychodzi", "call": "a1", "from": "220000101", "crm_token": "hunter2hunter2"}

    async def post() -> Any:
        async with client.post(f"/hooks/generic/{KEY}", json=sent) as answer:
            return answer.status, (await answer.json()).get("accepted")

    await eventually(post, (200, False))
    event = (await rejected(amqp_url))[-1]
    assert event.data.outcome == "unrecognised"
    assert b"hunter2" not in event.to_json()

    status, problem = await apply(client, as_kept(event))
    assert (status, problem["code"]) == (422, "unrecognised")
    assert "przychodzi" in problem["detail"]

    await connection.execute(
        "UPDATE directory.channels SET mapping = $2 WHERE channel_id = $1",
        ids.channel,
        '{"fields": {"event": "event", "call": "call"}, "words": {"event": {"przychodzi": "ringing"}}}',
    )
    await connection.close()

    async def applied() -> object:
        return (await apply(client, as_kept(event)))[0]

    await eventually(applied, 200)
    ring = (await take(amqp_url, "history.calls"))[-1]
    assert (ring.type, ring.requestid, ring.receivedat) == ("call.ringing.v1", event.subject, event.receivedat)


async def test_all_may_be_in_the_query_and_bodies_may_be_packed(
    client: aiohttp.ClientSession, amqp_url: str, ids: Ids
) -> None:
    by_query = await apply(client, kept(ids, query=FORM.decode()))
    by_body = await apply(client, kept(ids, raw={"encoding": "zlib", "body": PACKED}))

    assert (by_query[0], by_body[0]) == (200, 200)
    one, two = await take(amqp_url, "history.calls")
    assert one.id == two.id


async def test_the_event_in_the_url_is_part_of_what_is_applied(
    client: aiohttp.ClientSession, amqp_url: str, ids: Ids, database_dsn: str
) -> None:
    connection = await asyncpg.connect(database_dsn)
    voipnow = await connection.fetchval("SELECT channel_id FROM directory.channels WHERE provider = 'voipnow'")
    await connection.close()
    words = kept(ids, b"CallID=a1&CallerIDNum=220000101&CalledExtension=0001*101", channel_id=voipnow)

    assert (await apply(client, {**words, "path_event": "dial-in"}))[0] == 200
    (event,) = await take(amqp_url, "history.calls")
    assert event.type == "call.ringing.v1"
    for other in ("dial", ""):
        status, problem = await apply(client, {**words, "path_event": other})
        assert (status, problem["errors"][0]["field"]) == (422, "path_event")


async def test_what_can_not_be_applied_is_refused_with_its_reason(
    client: aiohttp.ClientSession, amqp_url: str, ids: Ids, database_dsn: str
) -> None:
    connection = await asyncpg.connect(database_dsn)
    rows = await connection.fetch("SELECT channel_id, provider, enabled FROM directory.channels ORDER BY channel_id")
    partner = await connection.fetchval(
        "INSERT INTO directory.channels (account_id, provider, name) VALUES ($1, 'partner', 'P') RETURNING channel_id",
        ids.account,
    )
    await connection.close()
    off = next(row["channel_id"] for row in rows if not row["enabled"])

    async def partners() -> object:
        return (await apply(client, kept(ids, FORM, channel_id=partner)))[1].get("code")

    await eventually(partners, "not_applicable")
    wanted = {
        "cut": (kept(ids, FORM, body_cut=True), 422, "body_cut"),
        "gone": (kept(ids, FORM, channel_id=987654), 404, "no_channel"),
        "off": (kept(ids, FORM, channel_id=off), 403, "channel_disabled"),
        "incomplete": (kept(ids, b"status=callend"), 422, "incomplete"),
        "unreadable": (kept(ids, b"{"), 422, "refused"),
        "future": (kept(ids, FORM, received_at="2999-01-01T00:00:00Z"), 422, ""),
        "bomb": (kept(ids, b"a=" + b"x" * 900_000), 413, ""),
        "not packed": (kept(ids, raw={"encoding": "zlib", "body": "!"}), 422, ""),
        "half of it": (kept(ids, raw={"encoding": "zlib", "body": PACKED[:40]}), 422, ""),
        "not packed either": (kept(ids, raw={"encoding": "base64", "body": "a"}), 422, ""),
        "no id": (kept(ids, FORM, id=""), 422, ""),
        "no zone": (kept(ids, FORM, received_at="2026-03-02T12:00:00"), 422, ""),
        "nothing": ({}, 422, ""),
        "no JSON": (b"\xff{", 422, ""),
    }
    answers = {name: await apply(client, request) for name, (request, _, _) in wanted.items()}

    assert {name: (code, body.get("code", "")) for name, (code, body) in answers.items()} == {
        name: (code, word) for name, (_, code, word) in wanted.items()
    }
    assert "first part of the body" in answers["cut"][1]["detail"]
    assert await take(amqp_url, "history.calls") == []
    assert await rejected(amqp_url) == []  # what an operator does wrong is no provider's request


@pytest.mark.parametrize("token", [None, "wrong", KEY])
async def test_only_operators_apply(client: aiohttp.ClientSession, amqp_url: str, ids: Ids, token: str | None) -> None:
    assert (await apply(client, kept(ids, FORM), token))[0] == 401
    assert await take(amqp_url, "history.calls") == []


async def test_without_an_operators_token_there_is_nobody_to_apply(configured: Settings, ids: Ids) -> None:
    async with running(configured) as client:
        assert (await apply(client, kept(ids, FORM)))[0] == 404


async def test_a_request_of_no_call_is_applied_to_nothing(
    client: aiohttp.ClientSession, amqp_url: str, ids: Ids, database_dsn: str
) -> None:
    """Where a mapping says that an event concerns no call."""
    connection = await asyncpg.connect(database_dsn)
    await connection.execute(
        "UPDATE directory.channels SET provider = 'generic', mapping = $2 WHERE channel_id = $1",
        ids.channel,
        '{"fields": {"event": "event", "call": "call"}, "words": {"event": {"heartbeat": "ignored"}}}',
    )
    await connection.close()

    async def answer() -> object:
        return await apply(client, kept(ids, b'{"event": "heartbeat", "call": "a1"}'))

    await eventually(answer, (200, {"id": "req-00001", "events": []}))
    assert await take(amqp_url, "history.calls") == []

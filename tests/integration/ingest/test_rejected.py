"""What is kept of a refused request: enough to read it, and no credential, in whatever place it stood."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from services.ingest.app import build
from services.ingest.door import Seen, guarded
from services.ingest.settings import Settings
from shared.events import RequestRejected
from shared.http import Problem, read_body
from tests.integration.ingest.support import KEY, OTHER_KEY, rejected, running

HOOK = f"/hooks/supervoip/{KEY}"
SECRET = "hunter2-hunter2-hunter2"
CALL = {"status": "voicemail", "callid": "a1"}


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()[:8]


async def _refuse(request: web.Request, seen: Seen) -> web.Response:
    """An API that reads the body and refuses it with the status that the query names."""
    seen.body = await read_body(request)
    raise Problem(int(request.query["status"]), detail="\ud800no\0")


@pytest.fixture
async def client(configured: Settings) -> AsyncIterator[aiohttp.ClientSession]:
    """Ingest with APIs that refuse everything, on paths as they all are."""
    app = build(configured)
    for path in ("/refuse/body", "/refuse/@{key}/calls", "/refuse/{token}/{event}"):
        app.router.add_post(path, guarded("refusing", _refuse))
    async with running(configured, app=app) as client:
        yield client


async def post(client: aiohttp.ClientSession, path: str, **request: Any) -> int:
    async with client.post(path, **request) as answer:
        await answer.read()
        return answer.status


async def one(amqp_url: str) -> RequestRejected:
    (event,) = await rejected(amqp_url)
    return event


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/refuse/body", "/refuse/body"),
        (f"/refuse/@{SECRET}/calls", f"/refuse/@{digest(SECRET)}/calls"),
        (f"/refuse/{SECRET}/dial-in", f"/refuse/{digest(SECRET)}/dial-in"),
    ],
)
async def test_a_path_is_kept_without_any_key(
    client: aiohttp.ClientSession, amqp_url: str, path: str, kept: str
) -> None:
    assert await post(client, f"{path}?status=422") == 422

    event = await one(amqp_url)
    assert event.data.path == kept
    assert event.data.path_event == (kept.rpartition("/")[2] if kept.count("/") == 3 and "@" not in kept else "")
    assert SECRET.encode() not in event.to_json()


@pytest.mark.parametrize(
    ("method", "path", "status", "kept"),
    [
        ("POST", f"/hooks/superviop/{SECRET}", 404, f"/hooks/superviop/{digest(SECRET)}"),
        ("POST", f"/hooks/supervoip/{SECRET}/more", 404, f"/hooks/supervoip/{digest(SECRET)}/more"),
        ("POST", f"/api/v2/telephony/call/@{SECRET}", 404, f"/api/v2/telephony/call/@{digest(SECRET)}"),
        ("POST", "/api/v2/telephony/call/@short", 404, f"/api/v2/telephony/call/@{digest('short')}"),
        ("PUT", f"/hooks/supervoip/{SECRET}", 405, f"/hooks/supervoip/{digest(SECRET)}"),
        ("GET", "/voip/integration", 405, "/voip/integration"),
        ("POST", f"/hooks/{SECRET}%00%ff", 404, None),
        ("POST", "/hooks/" + "a/" * 2000, 404, None),
    ],
)
async def test_what_reaches_no_api_is_kept_too_without_what_may_be_a_key(
    client: aiohttp.ClientSession, amqp_url: str, method: str, path: str, status: int, kept: str | None
) -> None:
    async with client.request(method, f"{path}?token={SECRET}", data=CALL) as answer:
        assert answer.status == status
        told = answer.headers["X-Request-Id"]

    event = await one(amqp_url)
    assert (event.subject, event.account, event.data.provider, event.data.status) == (told, 0, "unknown", status)
    assert SECRET.encode() not in event.to_json()
    assert len(event.data.path) <= 500
    if kept is not None:
        assert event.data.path == kept


async def test_what_is_no_providers_request_is_not_kept(client: aiohttp.ClientSession, amqp_url: str) -> None:
    for path in ("/", "/favicon.ico", "/healthz", "/api/v1/admin/nothing"):
        await post(client, path)

    assert await rejected(amqp_url) == []


@pytest.mark.parametrize(
    "request_",
    [
        {"json": {**CALL, "crm_token": SECRET}},
        {"json": {**CALL, "crmToken": SECRET}},
        {"json": {**CALL, "nested": {"crmToken": SECRET}}},
        {"json": {**CALL, "token": SECRET, "link": f"https://x.example/?id=1&token={SECRET}", "note": SECRET}},
        {"json": {**CALL, "link": f"https://x.example/?id=1&token={SECRET}"}},
        {"data": {**CALL, "crmToken": SECRET}},
        {"data": CALL, "params": {"crmToken": SECRET, "copy": SECRET}},
        {"data": f'{{"crm_token": "{SECRET}", broken'},
        {"data": f"callid: a\ntoken: {SECRET}"},
        {"data": f"<call><crmToken>{SECRET}</crmToken><status>voicemail</status><callid>a</callid></call>"},
        {"data": CALL, "headers": {"Authorization": f"Bearer {SECRET}", "Cookie": f"a={SECRET}", "X-Api-Key": SECRET}},
    ],
)
async def test_no_credential_is_kept(client: aiohttp.ClientSession, amqp_url: str, request_: dict[str, Any]) -> None:
    await post(client, HOOK, **request_)

    kept = (await one(amqp_url)).to_json()
    assert SECRET.encode() not in kept
    if "headers" not in request_ and "params" not in request_:
        assert digest(SECRET).encode() in kept


async def test_of_a_long_body_the_beginning_is_kept_and_that_it_was_cut(
    client: aiohttp.ClientSession, amqp_url: str, configured: Settings
) -> None:
    limit = configured.rejected_body_bytes
    words = "&".join(f"{name}={value}" for name, value in CALL.items())
    for body in (words + "&x=" + "y" * (limit - len(words) - 3), words + "".join(f"&x{n}=" + "y" * 9000 for n in "12")):
        assert await post(client, HOOK, data=body) == 200
    whole, cut = await rejected(amqp_url)

    assert whole.data.raw is not None
    assert cut.data.raw is not None
    assert (whole.data.body_cut, len(whole.data.raw.unpack())) == (False, limit)
    assert whole.data.fields is not None
    assert (cut.data.body_cut, len(cut.data.raw.unpack()), cut.data.fields) == (True, limit, None)


@pytest.mark.parametrize("before", range(-30, 30, 15))
async def test_of_a_credential_at_the_cut_not_even_half_is_kept(
    client: aiohttp.ClientSession, amqp_url: str, configured: Settings, before: int
) -> None:
    start = "status=voicemail&callid=a1&x="
    filler = "y" * (configured.rejected_body_bytes - len(start) - len("&crmToken=") - before)
    await post(client, HOOK, data=f"{start}{filler}&crmToken={SECRET}&z=1")

    event = await one(amqp_url)
    assert event.data.raw is not None
    assert SECRET[:4].encode() not in event.data.raw.unpack()


async def test_reasons_and_words_that_no_database_takes_are_kept_all_the_same(
    client: aiohttp.ClientSession, amqp_url: str
) -> None:
    assert await post(client, "/refuse/body?status=422", data=b"\x00\xff\xfe", headers={"User-Agent": "\xff"}) == 422

    event = await one(amqp_url)
    assert event.data.reason == "\ufffdno\ufffd"
    assert event.data.raw is not None
    assert event.data.raw.unpack() == b"\x00\xff\xfe"


@pytest.mark.parametrize("status", [401, 403, 404, 405, 413, 429])
async def test_what_looks_alike_is_kept_ten_times_and_counted_beyond(
    client: aiohttp.ClientSession, amqp_url: str, status: int
) -> None:
    before = await unkept(client)
    for _ in range(25):
        assert await post(client, f"/refuse/body?status={status}") == status

    kept = await rejected(amqp_url)
    assert len(kept) == 10
    assert await unkept(client) - before == 15
    assert {(event.account, event.data.channel_id, event.data.status) for event in kept} == {(0, None, status)}


async def unkept(client: aiohttp.ClientSession) -> float:
    async with client.get("/metrics") as answer:
        lines = (await answer.text()).splitlines()
    wanted = 'ingest_rejected_unkept_total{provider="refusing",why="alike"} '
    return next((float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted)), 0.0)


async def test_addresses_are_told_apart(client: aiohttp.ClientSession, amqp_url: str) -> None:
    for address in ("198.51.100.1", "198.51.100.2"):
        for number in range(11):
            # What a client claims about itself comes before what the edge adds.
            headers = {"X-Forwarded-For": f"203.0.113.{number}, {address}"}
            assert await post(client, f"/hooks/supervoip/{OTHER_KEY}", headers=headers) == 404
    assert len(await rejected(amqp_url)) == 20


async def test_what_a_sender_has_to_correct_is_always_kept(client: aiohttp.ClientSession, amqp_url: str) -> None:
    for _ in range(25):
        assert await post(client, "/refuse/body?status=422") == 422

    assert len(await rejected(amqp_url)) == 25

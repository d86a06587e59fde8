"""Whatever is sent to whichever webhook: a clear answer in its envelope, no 500, and a copy of what was refused."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import aiohttp
import pytest
import pytest_asyncio

from services.ingest import bodies
from services.ingest.adapter import Adapter
from services.ingest.bodies import MAX_BODY, MAX_FIELDS, MAX_VALUE
from services.ingest.errors import Refused
from services.ingest.providers import HOOKS
from shared.events import RequestRejected
from tests.integration.ingest.hooks_support import NewChannel, World, ingest_with
from tests.integration.ingest.support import DEADLINE_SECONDS, take
from tests.support.nodes import Postgres, RabbitMQ
from tests.unit.ingest.test_providers import CASES, Fixture, read

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
BOMB = (
    '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "x">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    + "]><l>&a9;</l>"
).encode()
ABSURD = [
    *("", " ", "\0", "0000-00-00 00:00:00", "0000-01-01", "99999-01-01", "2026-02-30T25:61:61", "-1", "-5", "0"),
    *("1e308", "-1e308", "1e999", "NaN", "-Infinity", "9" * 400, "0x10", "1_000", "253402300800", "1e-400"),
    *("2026-03-02T10:15:00+99:99", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "\u0663\u0661", "now"),
]


class Sent(NamedTuple):
    """A good request of a provider, to be spoiled."""

    fields: dict[str, str]
    event: str = ""


def good(adapter: Adapter) -> Sent:
    """Return the first of the provider's fixtures that becomes an event on a channel without a mapping."""
    for case in CASES:
        if case.parent.parent.name == adapter.name and (sent := _good(case)):
            return sent
    raise AssertionError(f"{adapter.name} has no good fixture")


def _good(case: Path) -> Sent | None:
    fixture = Fixture.model_validate_json(case.read_bytes())
    sent = fixture.request
    try:
        if fixture.channel.get("mapping") or not read(case).events:
            return None
    except Refused:
        return None
    fields = bodies.parse(sent.body.encode(), sent.query, sent.headers.get("Content-Type", "")).fields
    return Sent(dict(fields), fixture.event)


GOOD = {adapter.name: good(adapter) for adapter in HOOKS}


def key(provider: str) -> str:
    return f"key_of_{provider}_hunter2"


def hook(provider: str, secret: str | None = None) -> str:
    event = GOOD[provider].event
    return f"/hooks/{provider}/{secret or key(provider)}" + (f"/{event}" if event else "")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(
    rabbitmq: RabbitMQ, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    channels = [NewChannel(adapter.name, key(adapter.name)) for adapter in HOOKS]
    limits = {"body_read_seconds": 1, "rejected_per_minute": 10_000, "channel_rate_burst": 10_000}
    async with ingest_with(channels, rabbitmq, postgres, tmp_path_factory.mktemp("ingest"), **limits) as world:
        yield world._replace(faults_before=await faults(world.client))


class Answer(NamedTuple):
    status: int
    request_id: str
    body: dict[str, Any]


async def raw(world: World, request: bytes | Iterable[bytes]) -> Answer:
    """Send bytes as they are, as many as are taken, and return the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)

    async def send() -> None:
        try:
            for piece in [request] if isinstance(request, bytes) else request:
                writer.write(piece)
                await writer.drain()
        except ConnectionError:
            pass  # the answer has been given

    sending = asyncio.create_task(send())
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            body = await reader.readexactly(int(headers["content-length"]))
    finally:
        sending.cancel()
        writer.close()
    return Answer(int(lines[0].split()[1]), headers["x-request-id"], json.loads(body))


def request_bytes(path: str, body: bytes, headers: bytes = b"", query: bytes = b"") -> bytes:
    target = path.encode() + (b"?" + query if query else b"")
    head = b"POST " + target + b" HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n" % len(body)
    return head + headers + b"\r\n" + body


async def post(world: World, path: str, body: bytes, content_type: str = "", query: bytes = b"") -> Answer:
    headers = f"Content-Type: {content_type}\r\n".encode() if content_type else b""
    return await raw(world, request_bytes(path, body, headers, query))


async def check(world: World, answers: list[Answer], expected: set[int], *, kept: bool = True) -> None:
    """Check that each answer is one of `expected`, in the hooks' envelope, and that all it says is in the queues."""
    told = [*await take(world.amqp_url, "history.calls"), *await take(world.amqp_url, "history.requests")]
    by_request: dict[str, list[Any]] = {answer.request_id: [] for answer in answers}
    for event in told:
        by_request[event.requestid or ""].append(event)
    for status, request_id, body in answers:
        assert status in expected, body
        assert body["request_id"] == request_id
        if status == 200 and body["accepted"]:
            assert len(by_request[request_id]) == body["events"]
            assert not any(isinstance(event, RequestRejected) for event in by_request[request_id])
            continue
        assert body["accepted"] is False
        assert body["reason" if status == 200 else "error"]
        assert "Traceback" not in str(body)
        outcomes = [(event.data.status, event.data.outcome) for event in by_request[request_id]]
        assert outcomes == ([(status, "unrecognised" if status == 200 else "refused")] if kept else [])
        assert "hunter2" not in str([event.to_json() for event in by_request[request_id]])


every = pytest.mark.parametrize("provider", [adapter.name for adapter in HOOKS])


def as_json(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields).encode()


def as_form(fields: dict[str, str]) -> bytes:
    return urlencode(fields, errors="surrogatepass").encode()


def as_multipart(fields: Iterable[tuple[str, bytes]], end: bytes = b"--b--\r\n") -> bytes:
    parts = (
        b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name.encode(), value)
        for name, value in fields
    )
    return b"".join(parts) + end


@every
async def test_a_wrong_key_is_404_and_kept_for_operators(world: World, provider: str) -> None:
    body = as_form(GOOD[provider].fields)
    wrong = ["wrong_hunter2", "%00", "%ff%fe", "%ED%A0%80", "x" * 600, "..%2f", "'%20OR%201=1", "%C5%82"]
    others = [key(other) for other in GOOD if other != provider]

    answers = [await post(world, hook(provider, each), body, FORM) for each in wrong + others]

    await check(world, answers, {404})


@every
@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/octet-stream",
        "image/png",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "application/json; charset=klingon",
        "application/xml; charset=utf-16",
        "\xff\xfe",
        "x" * 5000,
    ],
)
async def test_a_wrong_content_type_does_not_matter(world: World, provider: str, content_type: str) -> None:
    fields = GOOD[provider].fields
    headers = b"Content-Type: " + content_type.encode("latin-1") + b"\r\n"
    dresses = [as_form(fields), as_json(fields), as_multipart((n, v.encode()) for n, v in fields.items())]

    answers = [await raw(world, request_bytes(hook(provider), body, headers)) for body in dresses]

    await check(world, answers, {200})
    assert [answer.body["accepted"] for answer in answers] == [True, True, True]


UNREADABLE: dict[str, bytes] = {
    "cut JSON": b'{"a":1',
    "broken JSON": b'{"a":}',
    "two JSONs": b'{"a":1}{"a":2}',
    "a list": b'[{"a":1}]',
    "a deep list": b"[" * 100_000,
    "deep objects": b'{"a":' * 50_000,
    "a bomb of entities": BOMB,
    "an external entity": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a><b>&x;</b></a>',
    "a parameter entity": b'<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:1/x"> %x;]><a/>',
    "an external DTD": b'<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd"><a/>',
    "broken XML": b"<a><b></a>",
    "XML in no encoding": b'<?xml version="1.0" encoding="klingon"?><a/>',
    "a file include": b'<a xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file:///etc/passwd"/></b>',
    "cut multipart": as_multipart([("a", b"1")], b""),
    "multipart without names": b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--",
    "plain text": b"hello",
    "bytes": bytes(range(256)).replace(b"=", b""),
    "half a character": b"\xff\xfe",
}


@every
@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
async def test_what_can_not_be_read_is_400(world: World, provider: str, body: bytes) -> None:
    await check(world, [await post(world, hook(provider), body)], {400})


MUCH = 3000
TOO_MUCH: dict[str, bytes] = {
    "form fields": b"&".join(b"a%d=1" % n for n in range(MUCH)),
    "JSON fields": as_json({f"a{n}": n for n in range(MUCH)}),
    "XML elements": b"<a>" + b"<b/>" * MUCH + b"</a>",
    "XML attributes": b"<a " + b" ".join(b'a%d="1"' % n for n in range(MUCH)) + b"/>",
    "XML tags": b"<a>" * 30_000,
    "parts": as_multipart((f"a{n}", b"1") for n in range(MUCH)),
    "a long value": b"a=" + b"x" * (MAX_VALUE + 1),
    "a long nested value": as_json({"a": ["x"] * MAX_VALUE}),
    "a long name": b"a" * 1000 + b"=1",
    "a long part": as_multipart([("a", b"x" * (MAX_VALUE + 1))]),
    "a part with long headers": b"--b\r\nX: " + b"x" * 100_000 + b"\r\n\r\n form-data\r\n--b--",
    "a large body": b" " * (MAX_BODY + 1),
    "a large multipart body": as_multipart([("a", b"x" * 2_000_000)]),
}


@every
@pytest.mark.parametrize("body", TOO_MUCH.values(), ids=TOO_MUCH)
async def test_too_much_is_413(world: World, provider: str, body: bytes) -> None:
    await check(world, [await post(world, hook(provider), body)], {413} if b"X: xx" not in body else {400, 413})


@every
async def test_thousands_of_fields_in_the_query_are_413(world: World, provider: str) -> None:
    query = b"&".join(b"a%d" % n for n in range(MUCH // 2))

    await check(world, [await post(world, hook(provider), b"", query=query)], {413})


@every
async def test_fifty_megabytes_are_413_whether_they_are_declared_or_not(world: World, provider: str) -> None:
    path = hook(provider).encode()
    piece = b"x" * 65_536

    def declared() -> Iterable[bytes]:
        yield b"POST " + path + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\na="
        yield from [piece] * 762

    def chunked() -> Iterable[bytes]:
        yield b"POST " + path + b" HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na=\r\n"
        yield from [b"10000\r\n" + piece + b"\r\n"] * 762

    await check(world, [await raw(world, declared()), await raw(world, chunked())], {413})


@every
async def test_a_bomb_of_gzip_is_413_and_a_broken_one_400(world: World, provider: str) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    zipped = gzip.compress(as_form(GOOD[provider].fields))

    async def send(body: bytes) -> Answer:
        return await raw(world, request_bytes(hook(provider), body, b"Content-Encoding: gzip\r\n"))

    await check(world, [await send(bomb)], {413})
    await check(world, [await send(body) for body in (b"nonsense", zipped[:-3], zipped + b"x")], {400})
    await check(world, [await send(zipped)], {200})


@every
@pytest.mark.parametrize("encoding", [b"br", b"zstd", b"klingon", b"gzip, gzip", b"\xff"])
async def test_an_unknown_compression_is_415(world: World, provider: str, encoding: bytes) -> None:
    body = as_form(GOOD[provider].fields)

    answer = await raw(world, request_bytes(hook(provider), body, b"Content-Encoding: " + encoding + b"\r\n"))

    await check(world, [answer], {415})


@every
async def test_a_slow_body_is_408(world: World, provider: str) -> None:
    head = b"POST " + hook(provider).encode() + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\na="

    await check(world, [await raw(world, head)], {408})


@every
@pytest.mark.parametrize(
    "framing",
    [
        b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx",
        b"Transfer-Encoding: chunked\r\n\r\n-1\r\nx",
    ],
)
async def test_a_body_that_is_not_as_declared_is_400(world: World, provider: str, framing: bytes) -> None:
    head = b"POST " + hook(provider).encode() + b" HTTP/1.1\r\nHost: a\r\n"

    answer = await raw(world, head + framing)

    # Where it comes with its headers our parser may give up on all of it: then there is no request to keep a copy of.
    assert (answer.status, answer.body["accepted"], answer.body["request_id"]) == (400, False, answer.request_id)
    await take(world.amqp_url, "history.requests")


@every
@pytest.mark.parametrize(
    "broken",
    [
        b" HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20_000,
        b" HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(200)),
        b"?a=" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: a",
        b" HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
        b" HTTP/1.1\r\nHost: a\r\nContent-Length: -1",
        b" HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 30,
        b" HTTP/1.1\r\nHost: a\r\nno colon",
        b" HTTP/1.1\r\nHost: a\r\nX: \0",
        b" HTTP/9.9\r\nHost: a",
    ],
    ids=[
        "huge header",
        "many headers",
        "huge query",
        "two framings",
        "length",
        "big length",
        "header",
        "NUL",
        "version",
    ],
)
async def test_what_is_no_http_is_400_in_the_same_envelope(world: World, provider: str, broken: bytes) -> None:
    answer = await raw(world, b"POST " + hook(provider).encode() + broken + b"\r\n\r\n")

    await check(world, [answer], {400}, kept=False)  # there is no request that could be kept


@every
async def test_nothing_at_all_is_422(world: World, provider: str) -> None:
    bodies_ = [b"", b" \r\n", b"{}", b"<a/>", b"a=1", b'{"a":null}']

    await check(world, [await post(world, hook(provider), body) for body in bodies_], {422})


@every
async def test_an_unknown_word_is_200_and_kept(world: World, provider: str) -> None:
    fields, event = GOOD[provider]
    if event:
        answer = await post(world, hook(provider).removesuffix(event) + "transferred", as_form(fields), FORM)
        await check(world, [answer], {404})
        return
    name = "status" if "status" in fields and "event" not in fields else "event"
    words = ["transferred", "\u0142" * 500, "\0", "%", "\ud800", "<b>"]

    answers = [await post(world, hook(provider), as_json({**fields, name: word})) for word in words]

    await check(world, answers, {200})
    assert [answer.body["accepted"] for answer in answers] == [False] * len(words)


OUTCOMES = {200, 400, 413, 422}


def spoiled(fields: dict[str, str], spoil: Callable[[str], Any]) -> list[dict[str, Any]]:
    """Return `fields` once for each of them, that one spoiled."""
    return [{**fields, name: spoil(value)} for name, value in fields.items()]


@every
@pytest.mark.parametrize(
    "spoil",
    [
        lambda value: value + "\0",
        lambda value: "\ud800" + value,
        lambda value: [value],
        lambda value: [],
        lambda value: {"a": {"b": [value]}},
        lambda value: [[[[value]]]] * 50,
        lambda value: None,
        lambda value: True,
        lambda value: 10**400,
        lambda value: -0.0,
        lambda value: value * 2000,
        lambda value: "\u202e" + value + "\ufeff",
    ],
    ids=["NUL", "surrogate", "list", "empty", "object", "deep", "null", "true", "big", "zero", "long", "marks"],
)
async def test_a_spoiled_json_field_is_an_event_or_a_refusal(
    world: World, provider: str, spoil: Callable[[str], Any]
) -> None:
    sent = spoiled(GOOD[provider].fields, spoil)

    await check(world, [await post(world, hook(provider), as_json(fields), JSON) for fields in sent], OUTCOMES)


TIMES = ("time", "started_at", "createdat", "timestamp", "calldate", "date", "duration", "billsec", "duration_seconds")


@every
async def test_absurd_dates_and_numbers_are_an_event_or_a_refusal(world: World, provider: str) -> None:
    fields = GOOD[provider].fields
    sent = [{**fields, **dict.fromkeys((*TIMES, *fields), value)} for value in ABSURD]
    sent += [{**fields, **dict.fromkeys(TIMES, value)} for value in ABSURD]
    sent += [fields_ for value in ABSURD for fields_ in spoiled(fields, lambda _, value=value: value)]  # type: ignore[misc]

    await check(world, [await post(world, hook(provider), as_json(fields), JSON) for fields in sent], OUTCOMES)


@every
@pytest.mark.parametrize("number", ["NaN", "1e999", "-1e999", "1E400", "-5", "1e308", "00", "0.1e-9999", "Infinity"])
async def test_bare_json_numbers_are_an_event_or_a_refusal(world: World, provider: str, number: str) -> None:
    fields = GOOD[provider].fields
    names = (*fields, *TIMES)
    sent = [as_json({**fields, name: "NUMBER"}).replace(b'"NUMBER"', number.encode()) for name in names]

    await check(world, [await post(world, hook(provider), body, JSON) for body in sent], OUTCOMES)


@every
@pytest.mark.parametrize(
    "bytes_", [b"%00", b"\x00", b"%ED%A0%80", b"\xed\xa0\x80", b"\xff\xfe", b"%ff%fe", b"%", b"%zz", b"\xb1", b"=&="]
)
async def test_odd_bytes_in_a_form_and_in_the_query_are_an_event_or_a_refusal(
    world: World, provider: str, bytes_: bytes
) -> None:
    fields = {name: quote(value, safe="").encode() for name, value in GOOD[provider].fields.items()}
    forms = [
        b"&".join(
            b"%s=%s" % (name.encode(), value + bytes_ if name == odd else value) for name, value in fields.items()
        )
        for odd in fields
    ] + [b"&".join(b"%s=%s" % (name.encode() + bytes_, value) for name, value in fields.items())]
    answers = [await post(world, hook(provider), form, FORM) for form in forms]
    answers += [
        await post(world, hook(provider), b"", query=form) for form in forms if bytes_.isascii() and bytes_ > b"\0"
    ]

    await check(world, answers, OUTCOMES)


@every
@pytest.mark.parametrize("bytes_", [b"\xed\xa0\x80", b"\xb1", b"\0", b"\x01"])
async def test_odd_bytes_in_the_url_have_to_be_percent_encoded(world: World, provider: str, bytes_: bytes) -> None:
    fields = urlencode(GOOD[provider].fields).encode()

    await check(world, [await post(world, hook(provider), b"", query=fields + bytes_)], {400}, kept=False)


@every
@pytest.mark.parametrize(
    "headers",
    [
        b"X-Request-Id: \xed\xa0\x80\r\ntraceparent: \xff\r\nUser-Agent: \xff\xfe\r\nX-Forwarded-For: \xed\xa0\x80\r\n",
        b"Content-Type: text/xml; charset=\xed\xa0\x80\r\n",
        b"X-Request-Id: " + b"a" * 5000 + b"\r\ntraceparent: 00-" + b"0" * 5000 + b"\r\n",
        b"Authorization: Bearer " + b"x" * 5000 + b"\r\nCookie: " + b"a=b; " * 1000 + b"\r\n",
        b"Accept: \xff\r\nReferer: \xff\r\nOrigin: null\r\n",
        b"Connection: close\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n",
    ],
)
async def test_odd_headers_do_not_matter(world: World, provider: str, headers: bytes) -> None:
    body = as_form(GOOD[provider].fields)

    taken = await raw(world, request_bytes(hook(provider), body, headers))
    refused = await raw(world, request_bytes(hook(provider), b"hello", headers))

    assert (taken.status, refused.status) == (200, 400)
    await check(world, [taken, refused], {200, 400})


@every
async def test_duplicate_fields_are_an_event_or_a_refusal(world: World, provider: str) -> None:
    fields = GOOD[provider].fields
    pairs = list(fields.items())
    forms = [urlencode([*pairs, (name, "other"), (name.upper(), value)]).encode() for name, value in pairs]
    jsons = [as_json(fields)[:-1] + f',"{name}":"other"}}'.encode() for name in fields]
    multiparts = [
        as_multipart([*((n, v.encode()) for n, v in pairs), (name, b"other"), (name, b"\xff")]) for name in fields
    ]
    xml = b"<a>" + b"".join(f"<{n}>1</{n}><{n}>2</{n}>".encode() for n in fields) + b"</a>"
    same = urlencode([*pairs, *pairs]).encode()

    answers = [await post(world, hook(provider), body) for body in (*forms, *jsons, *multiparts, xml)]

    await check(world, answers, OUTCOMES)
    await check(world, [await post(world, hook(provider), same, FORM)], {200})


@every
async def test_just_within_the_limits_is_taken(world: World, provider: str) -> None:
    fields = GOOD[provider].fields
    many = {**fields, **{f"x{n}": "" for n in range(MAX_FIELDS - len(fields))}}
    long = {**fields, **{f"x{n}": "x" * (MAX_VALUE - 10) for n in range(10)}}

    await check(world, [await post(world, hook(provider), as_form(sent), FORM) for sent in (many, long)], {200})


@every
async def test_other_methods_are_405_in_the_same_envelope(world: World, provider: str) -> None:
    path = hook(provider).encode()
    answers = [
        await raw(world, method + b" " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        for method in (b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"TRACE", b"PROPFIND")
    ]

    await check(world, answers, {405})


async def test_nothing_of_all_that_was_a_fault_of_ours(world: World) -> None:
    async with world.client.get("/readyz") as ready:
        assert ready.status == 200

    assert await faults(world.client) == world.faults_before


async def faults(client: aiohttp.ClientSession) -> list[str]:
    """Return what the process counts as faults of ours, other tests' of this process included."""
    async with client.get("/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return [line for line in lines if 'outcome="failed"' in line or 'status="500"' in line]

"""The plumbing over real HTTP: ids, envelopes, limits, health, and nothing leaked."""

import asyncio
import gzip
import io
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp import web

from shared import logging
from shared.errors import Transient
from shared.http import FieldError, Problem, Readiness, create_app, read_body, serving
from shared.settings import HttpSettings

SETTINGS = HttpSettings(body_limit_bytes=1000, body_read_seconds=0.2, header_limit_bytes=4000, header_limit_count=30)


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await read_body(request))


async def fail(request: web.Request) -> web.Response:
    local = "a-local-variable"
    raise {
        "bug": RuntimeError(f"secret detail {len(local)}"),
        "away": Transient("the database is away", retry_after_seconds=3.5),
        "wrong": Problem(422, detail="one field is wrong", errors=[FieldError("status", "is required")]),
        "time": TimeoutError(),
        "gone": web.HTTPGone(),
        "moved": web.HTTPFound("/elsewhere"),
    }[request.match_info["how"]]


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"part")
    return response


async def broken(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_length = 1000
    await response.prepare(request)
    await response.write(b"part")
    raise RuntimeError("half way")


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(bytes(10_000))


@pytest.fixture
def readiness() -> Readiness:
    return Readiness()


@pytest.fixture
def lines() -> Iterator[io.BytesIO]:
    written = io.BytesIO()
    logging.configure("test", "debug", written)
    yield written
    # As it was: what is told at "info" is told again, and in structlog's own way.
    logging.configure("test", "info")
    structlog.reset_defaults()


@pytest.fixture
async def port(readiness: Readiness, lines: io.BytesIO) -> AsyncIterator[int]:
    app = create_app("test", SETTINGS, readiness=readiness)
    for prefix in ("", "/api/v1", "/voip", "/hooks"):
        app.router.add_route("*", prefix + "/fail/{how}", fail)
    app.router.add_post("/hooks/supervoip/{key}", echo)
    app.router.add_post("/voip/echo", echo)
    app.router.add_get("/stream", stream)
    app.router.add_get("/endless", endless)
    app.router.add_get("/broken", broken)
    async with serving(app, SETTINGS) as port:
        yield port


@pytest.fixture
async def client(port: int) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        yield session


async def test_every_answer_carries_a_request_id_a_sane_one_is_taken_over(client: aiohttp.ClientSession) -> None:
    sent = {"none": None, "sane": "trace-1234.5678", "bad": "a b", "short": "x", "long": "x" * 500}
    got = {}
    for name, identity in sent.items():
        headers = {"X-Request-Id": identity} if identity else {}
        async with client.get("/stream", headers=headers) as answer:
            got[name] = answer.headers["X-Request-Id"]

    assert got["sane"] == "trace-1234.5678"
    assert all(len(got[name]) == 32 for name in ("none", "bad", "short", "long"))
    assert len(set(got.values())) == 5


@pytest.mark.parametrize(
    ("path", "content_type", "expected"),
    [
        ("/nowhere", "application/problem+json", {"status": 404, "title": "Not Found"}),
        ("/api/v1/nowhere", "application/problem+json", {"status": 404}),
        ("/voip/nowhere.json", "application/json", {"error": "there is nothing at this path"}),
        ("/hooks/nowhere", "application/json", {"accepted": False, "error": "there is nothing at this path"}),
        ("/api/v1/fail/bug", "application/problem+json", {"status": 500}),
        ("/api/v1/fail/time", "application/problem+json", {"status": 500}),
        ("/api/v1/fail/gone", "application/problem+json", {"status": 410}),
        ("/api/v1/fail/wrong", "application/problem+json", {"errors": [{"field": "status", "detail": "is required"}]}),
        ("/voip/fail/wrong", "application/json", {"errors": {"status": ["is required"]}}),
        ("/hooks/fail/wrong", "application/json", {"accepted": False, "error": "one field is wrong"}),
    ],
)
async def test_errors_come_in_the_envelope_of_their_path(
    client: aiohttp.ClientSession, path: str, content_type: str, expected: dict[str, Any]
) -> None:
    async with client.get(path) as answer:
        body = await answer.json(content_type=None)

    assert answer.content_type == content_type
    assert {key: body[key] for key in expected} == expected


async def test_a_wrong_method_is_405_and_says_which_are_right(client: aiohttp.ClientSession) -> None:
    async with client.get("/hooks/supervoip/hunter2") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
        assert (await answer.json())["accepted"] is False


async def test_a_transient_failure_is_503_with_retry_after(client: aiohttp.ClientSession) -> None:
    async with client.get("/api/v1/fail/away") as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "4")


async def test_a_redirect_stays_one(client: aiohttp.ClientSession) -> None:
    async with client.get("/fail/moved", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, "/elsewhere")


async def test_an_unexpected_failure_leaks_nothing_and_is_logged_with_its_traceback(
    client: aiohttp.ClientSession, lines: io.BytesIO
) -> None:
    async with client.get("/api/v1/fail/bug") as answer:
        text = await answer.text()

    assert answer.status == 500
    assert "secret detail" not in text
    assert "Traceback" not in text
    [line] = [line for line in map(json.loads, lines.getvalue().splitlines()) if line["event"] == "request_failed"]
    assert line["request_id"] == answer.headers["X-Request-Id"]
    assert line["level"] == "error"
    assert line["exception"][0]["exc_type"] == "RuntimeError"
    assert "a-local-variable" not in lines.getvalue().decode()


async def test_the_access_log_shows_no_key_no_token_and_no_number(
    client: aiohttp.ClientSession, lines: io.BytesIO
) -> None:
    for path in (
        "/hooks/supervoip/hunter2?numberA=48220000101",
        "/api/v2/telephony/calls/@hunter2/?x=%2B48220000101",
        "/voip/calls.json?api_token=hunter2&q=220000101",
        "/voip/calls/220000101.json",
        "/voip/nothing?callid=%2B48220000101&version=48220000101&48220000101=x",
        "/hook/supervoip/hunter2hunter2hunter2",
        "/Hooks/supervoip/hunter2hunter2hunter2/",
        "/hooks//hunter2hunter2hunter2",
        "/hooks/supervoip%2Fhunter2hunter2hunter2",
    ):
        async with client.post(path):
            pass
    for garbage in (b"GET /hooks/supervoip/hunter2?x=220000101 HTTP/1.1\r\nbroken\r\n\r\n",):
        await _raw(client, garbage)

    text = lines.getvalue().decode()
    assert text.count("request_") >= 5
    assert "hunter2" not in text
    assert "220000101" not in text


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
async def test_a_body_over_the_limit_is_413(client: aiohttp.ClientSession, compressed: bool) -> None:
    body = b"x" * 100_000
    headers = {"Content-Encoding": "gzip"} if compressed else {}
    async with client.post("/voip/echo", data=gzip.compress(body) if compressed else body, headers=headers) as answer:
        assert (answer.status, await answer.json()) == (413, {"error": "the body is larger than 0.000954 MiB"})


async def test_a_chunked_body_over_the_limit_is_413(client: aiohttp.ClientSession) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100

    async with client.post("/hooks/supervoip/k", data=chunks()) as answer:
        assert (answer.status, (await answer.json())["accepted"]) == (413, False)


async def test_a_body_at_the_limit_is_read(client: aiohttp.ClientSession) -> None:
    async with client.post("/voip/echo", data=b"x" * 1000) as answer:
        assert (answer.status, await answer.read()) == (200, b"x" * 1000)


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("X-GZIP, identity", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda body: zlib.compress(body)[2:-4]),  # the bare stream, as many send it
        ("identity", bytes),
    ],
)
async def test_a_compressed_body_is_read(
    client: aiohttp.ClientSession, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        for byte in compress(b"x" * 1000):
            yield bytes([byte])

    headers = {"Content-Encoding": encoding}
    for data in (compress(b"x" * 1000), slowly()):
        async with client.post("/voip/echo", data=data, headers=headers) as answer:
            assert (answer.status, await answer.read()) == (200, b"x" * 1000)


@pytest.mark.parametrize("encoding", ["br", "zstd", "klingon", "gzip, gzip", "compress"])
async def test_a_compression_that_nobody_knows_is_415_in_the_envelope_of_the_path(
    client: aiohttp.ClientSession, encoding: str
) -> None:
    async with client.post("/hooks/supervoip/k", data=b"x", headers={"Content-Encoding": encoding}) as answer:
        assert (answer.status, answer.headers["Accept-Encoding"]) == (415, "gzip, deflate")
        assert (await answer.json())["accepted"] is False
    async with client.get("/stream", headers={"Content-Encoding": encoding}) as answer:  # nothing is compressed here
        assert answer.status == 200


@pytest.mark.parametrize("body", [gzip.compress(b"x")[:-1], gzip.compress(b"x") + b"y", gzip.compress(b"x") * 2, b"x"])
async def test_a_body_that_is_not_compressed_as_declared_is_400(client: aiohttp.ClientSession, body: bytes) -> None:
    async with client.post("/voip/echo", data=body, headers={"Content-Encoding": "gzip"}) as answer:
        assert (answer.status, list(await answer.json())) == (400, ["error"])


async def test_a_bomb_is_not_unpacked(client: aiohttp.ClientSession) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    tracemalloc.start()
    try:
        async with client.post("/voip/echo", data=bomb, headers={"Content-Encoding": "gzip"}) as answer:
            assert answer.status == 413
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


async def test_a_body_that_does_not_come_is_408_and_the_connection_ends(client: aiohttp.ClientSession) -> None:
    answer = await _raw(client, b"POST /hooks/supervoip/k HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"accepted":false' in answer


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (b"Transfer-Encoding: chunked", b"nonsense\r\n"),
        (b"Content-Encoding: gzip\r\nContent-Length: 8", b"nonsense"),
    ],
    ids=["chunks", "gzip"],
)
async def test_a_body_that_is_not_as_declared_is_400_and_no_fault_of_ours(
    client: aiohttp.ClientSession, lines: io.BytesIO, headers: bytes, body: bytes
) -> None:
    answer = await _raw(client, b"POST /hooks/supervoip/k HTTP/1.1\r\nHost: a\r\n" + headers + b"\r\n\r\n" + body)

    assert b" 400 Bad Request" in answer.partition(b"\r\n")[0]
    assert b"application/" in answer
    assert "Traceback" not in lines.getvalue().decode()
    assert '"level":"error"' not in lines.getvalue().decode()


async def test_an_expectation_that_nobody_meets_is_answered(client: aiohttp.ClientSession) -> None:
    answer = await _raw(client, b"POST /voip/echo HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 0\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 417 ")
    assert b"\nX-Request-Id: " in answer


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 5000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(50)) + b"\r\n",
    ],
    ids=["no HTTP", "long line", "long header", "many headers"],
)
async def test_what_is_over_the_header_limits_is_400_in_json(
    client: aiohttp.ClientSession, request_bytes: bytes
) -> None:
    answer = await _raw(client, request_bytes)

    assert b" 400 Bad Request" in answer.partition(b"\r\n")[0]
    assert b"application/problem+json" in answer


@pytest.mark.parametrize(
    "rest",
    [b"\r\nX: " + b"x" * 5000, b"?" + b"x" * 5000, b" HTTP/1.1\r\nHost: a\r\nContent-Length: a lot", b" nonsense"],
    ids=["long header", "long query", "length", "protocol"],
)
async def test_what_can_not_be_read_is_answered_in_the_envelope_of_the_path_that_it_names(
    client: aiohttp.ClientSession, lines: io.BytesIO, rest: bytes
) -> None:
    answer = await _raw(client, b"POST /hooks/supervoip/hunter2hunter2hunter2" + rest + b"\r\n\r\n")

    head, _, body = answer.partition(b"\r\n\r\n")
    told = json.loads(body)
    assert b" 400 Bad Request" in head
    assert told["accepted"] is False
    assert f"X-Request-Id: {told['request_id']}".encode() in head
    assert told["request_id"] in lines.getvalue().decode()
    assert "hunter2" not in lines.getvalue().decode()


async def test_the_path_of_one_request_is_not_that_of_the_next(client: aiohttp.ClientSession, port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /hooks/supervoip/k HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
    await reader.readuntil(b"abc")
    writer.write(b"GET /voip/echo HTTP/1.1\r\nX: " + b"x" * 5000 + b"\r\n\r\n")
    answer = await reader.readuntil(b"}")
    writer.close()

    assert json.loads(answer.rpartition(b"\r\n\r\n")[2]).keys() == {"error"}


async def test_a_connection_is_kept_alive_over_errors(client: aiohttp.ClientSession, port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    statuses = []
    for path in (b"/healthz", b"/nowhere", b"/api/v1/fail/bug", b"/healthz"):
        writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        statuses.append(head.split()[1])
        length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        await reader.readexactly(int(length.split()[1]))
    writer.close()

    assert statuses == [b"200", b"404", b"500", b"200"]


async def test_readiness_names_every_dependency_and_its_reason(
    client: aiohttp.ClientSession, readiness: Readiness
) -> None:
    def broken() -> tuple[bool, str]:
        raise RuntimeError

    readiness.add("rabbitmq", lambda: (True, "connected"))
    async with client.get("/readyz") as answer:
        before = (answer.status, await answer.json())
    readiness.add("postgres", lambda: (False, "connection refused"))
    readiness.add("directory", broken)
    async with client.get("/readyz") as answer:
        after = (answer.status, await answer.json())

    assert before == (200, {"ready": True, "checks": {"rabbitmq": {"ok": True, "reason": "connected"}}})
    assert after == (
        503,
        {
            "ready": False,
            "checks": {
                "rabbitmq": {"ok": True, "reason": "connected"},
                "postgres": {"ok": False, "reason": "connection refused"},
                "directory": {"ok": False, "reason": "the check itself failed: RuntimeError"},
            },
        },
    )


async def test_draining_is_unready_and_alive(client: aiohttp.ClientSession, readiness: Readiness) -> None:
    readiness.drain()

    async with client.get("/readyz") as ready, client.get("/healthz") as alive:
        assert (ready.status, alive.status) == (503, 200)


async def test_metrics_count_requests_by_route_and_never_by_path(client: aiohttp.ClientSession) -> None:
    for _ in range(3):
        async with client.post("/hooks/supervoip/hunter2", data=b"x"):
            pass
    async with client.request("PURGE", "/hunter2"):
        pass
    async with client.get("/metrics") as answer:
        text = await answer.text()

    assert 'method="POST",route="/hooks/supervoip/{key}",status="200"' in text
    assert 'method="other",route="unmatched",status="404"' in text
    assert "hunter2" not in text


async def _raw(client: aiohttp.ClientSession, request_bytes: bytes) -> bytes:
    """Send bytes as they are and return what comes until the server closes or has answered."""
    assert client._base_url is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", client._base_url.port)
    writer.write(request_bytes)
    head = await reader.readuntil(b"\r\n\r\n")
    body = await asyncio.wait_for(reader.read(4096), 5)
    writer.close()
    return head + body


async def test_a_client_that_leaves_before_the_end_of_its_answer_is_no_failure(port: int, lines: io.BytesIO) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readexactly(100)
    writer.transport.abort()

    async with asyncio.timeout(20):
        while b'"client_gone"' not in lines.getvalue():
            await asyncio.sleep(0.01)
    assert b"request_unreadable" not in lines.getvalue()


async def test_an_answer_that_fails_half_way_is_cut_off_and_no_other_is_written_into_it(
    port: int, lines: io.BytesIO
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(20):
        answer = await reader.read()  # to its end: the connection is closed
    writer.close()

    assert answer.partition(b"\r\n\r\n")[2] == b"part"
    assert b'"request_failed"' in lines.getvalue()
    assert b"half way" in lines.getvalue()

"""The operators' API over dead letters, against a real broker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import aiormq
import pytest

from shared.bus import Broker, Message
from shared.bus.dead import DeadLetters
from shared.http import Readiness, create_app, serving
from shared.http.admin import add_dead_letters, read_operator_token
from shared.settings import HttpSettings

TOKEN = "the-operators-token"
DEAD = "/api/v1/admin/dead"


def dead(message_id: str) -> Message:
    """A dead letter as a consumer leaves it."""
    headers: dict[str, str | int] = {"x-callbus-reason": "unreadable", "x-callbus-source-queue": "history.calls"}
    return Message("", "history.dead", b'{"n":1}', message_id, "application/json", headers)


@pytest.fixture
async def client(amqp_url: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with Broker(amqp_url, name="test") as broker:
        await broker.until_ready()
        await broker.publisher().publish([dead("m-1"), dead("m-2"), dead("m-3")])
    settings = HttpSettings()
    app = create_app("test", settings, readiness=Readiness())
    add_dead_letters(app, TOKEN, DeadLetters(amqp_url, "history"))
    async with (
        serving(app, settings) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {TOKEN}"}) as client,
    ):
        yield client


async def ask(client: aiohttp.ClientSession, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    async with client.request(method, DEAD + path, json=body) as answer:
        return answer.status, await answer.json(content_type=None)


async def test_dead_letters_are_listed_read_replayed_and_dropped(client: aiohttp.ClientSession, amqp_url: str) -> None:
    _code, listed = await ask(client, "GET", "?limit=2")
    _code, shown = await ask(client, "GET", "/m-2")
    replayed = await ask(client, "POST", "/replay", {"message_ids": ["m-2"]})
    dropped = await ask(client, "POST", "/drop", {"message_ids": ["m-1", "unknown"]})
    rest = await ask(client, "POST", "/drop", {"all": True})
    after = await ask(client, "GET", "")

    assert [item["message_id"] for item in listed["items"]] == ["m-1", "m-2"]
    assert (shown["reason"], shown["body"]) == ("unreadable", '{"n":1}')
    assert (replayed, dropped, rest) == ((200, {"replayed": 1}), (200, {"dropped": 1}), (200, {"dropped": 1}))
    assert after == (200, {"items": []})
    connection = await aiormq.connect(amqp_url)
    message = await (await connection.channel()).basic_get("history.calls", no_ack=True)
    await connection.close()
    assert message.body == b'{"n":1}'


async def test_nothing_is_done_by_accident(client: aiohttp.ClientSession) -> None:
    for method, path, body, expected in (
        ("GET", "/unknown", None, 404),
        ("GET", "?limit=0", None, 422),
        ("GET", "?limit=x", None, 422),
        ("GET", "?limit=" + "9" * 5000, None, 422),
        ("POST", "/drop", {}, 422),
        ("POST", "/drop", {"message_ids": []}, 422),
        ("POST", "/replay", [1], 422),
        ("DELETE", "", None, 405),
    ):
        assert (await ask(client, method, path, body))[0] == expected, (method, path, body)

    assert len((await ask(client, "GET", ""))[1]["items"]) == 3
    await ask(client, "POST", "/drop", {"all": True, "message_ids": ["m-1"]})
    assert len((await ask(client, "GET", ""))[1]["items"]) == 2


async def test_without_the_operators_token_it_is_401(client: aiohttp.ClientSession) -> None:
    for token in ("", "Bearer wrong", "Bearer the-operators-toke\u00e9", f"Basic {TOKEN}"):
        for method, path in (("GET", ""), ("GET", "/m-1"), ("POST", "/drop"), ("POST", "/replay")):
            async with client.request(method, DEAD + path, headers={"Authorization": token}) as answer:
                assert answer.status == 401


async def test_a_broker_that_is_away_is_503_and_a_missing_queue_404(amqp_url: str) -> None:
    async def code(url: str, service: str) -> int:
        settings = HttpSettings()
        app = create_app("test", settings, readiness=Readiness())
        add_dead_letters(app, TOKEN, DeadLetters(url, service))
        async with serving(app, settings) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
            headers = {"Authorization": f"Bearer {TOKEN}"}
            async with client.get(DEAD, headers=headers) as answer:
                return answer.status

    assert [await code("amqp://127.0.0.1:9/", "history"), await code(amqp_url, "nobody")] == [503, 404]


def test_the_operators_token_is_read_from_its_file_and_must_be_long(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert read_operator_token(file) == TOKEN
    file.write_text("short\n")
    with pytest.raises(ValueError, match="fewer than 16"):
        read_operator_token(file)

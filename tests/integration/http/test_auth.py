"""Accounts' tokens and channels' keys, against a real directory that may be away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import asyncpg
import pytest
from aiohttp import web

from shared import clock
from shared.db.migrations import migrate
from shared.directory import DirectoryReader, Part
from shared.http import Readiness, cancel, create_app, serving
from shared.http.auth import DIRECTORY, account_token, channel_of_key, require_enabled
from shared.secrets import hash_token
from shared.settings import HttpSettings


class Clock:
    """The directory's clock, which the test may put forward."""

    ahead = timedelta()

    def __call__(self) -> Any:
        return clock.now() + self.ahead


async def show_account(request: web.Request) -> web.Response:
    token = await account_token(request, request.query.get("scope"))
    return web.json_response({"account": token.account_id, "name": token.name})


async def show_channel(request: web.Request) -> web.Response:
    channel = await channel_of_key(request, request.match_info["key"], "supervoip")
    require_enabled(channel)
    return web.json_response({"account": channel.account_id})


async def fill(dsn: str) -> None:
    """Two accounts with tokens of every kind."""
    connection = await asyncpg.connect(dsn)
    try:
        for name in ("A", "B"):
            account = await connection.fetchval(
                "INSERT INTO directory.accounts (name) VALUES ($1) RETURNING account_id", name
            )
            for token, scopes, more in (
                (f"all-of-{name}", [], ""),
                (f"calls-of-{name}", ["calls:read"], ""),
                (f"expired-of-{name}", [], "expires_at = now() - interval '1 second'"),
                (f"revoked-of-{name}", [], "revoked_at = now()"),
                (f"partner-of-{name}", [], "kind = 'partner_user'"),
            ):
                await connection.execute(
                    "INSERT INTO directory.tokens (account_id, name, token_hash, scopes) VALUES ($1, $2, $3, $4)",
                    account,
                    token,
                    hash_token(token),
                    scopes,
                )
                if more:
                    await connection.execute(f"UPDATE directory.tokens SET {more} WHERE name = $1", token)
    finally:
        await connection.close()


@pytest.fixture
def ahead() -> Clock:
    return Clock()


@pytest.fixture
async def client(database_dsn: str, ahead: Clock) -> AsyncIterator[aiohttp.ClientSession]:
    import asyncio

    await migrate(database_dsn, ["routing"])
    await fill(database_dsn)
    settings = HttpSettings()
    app = create_app("test", settings, readiness=Readiness())
    reader = app[DIRECTORY] = DirectoryReader(database_dsn, [Part.TOKENS, Part.CHANNELS, Part.KEYS], clock=ahead)
    app.router.add_get("/api/v1/who", show_account)
    app.router.add_get("/voip/who", show_account)
    app.router.add_get("/hooks/{key}", show_channel)
    reading = asyncio.create_task(reader.run())
    async with serving(app, settings) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
        async with asyncio.timeout(40):
            while not reader.ready:
                await asyncio.sleep(0.02)
        yield client
    await cancel(reading)


async def ask(client: aiohttp.ClientSession, path: str, token: str | None = None) -> tuple[int, Any]:
    headers = {} if token is None else {"Authorization": token}
    async with client.get(path, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


async def test_a_token_names_its_account_and_no_other(client: aiohttp.ClientSession) -> None:
    ok = [
        await ask(client, "/api/v1/who", "Bearer all-of-A"),
        await ask(client, "/api/v1/who", "bearer  all-of-B"),
        await ask(client, "/voip/who?api_token=all-of-A"),
        await ask(client, "/voip/who?api_token=nonsense", "Bearer all-of-B"),
    ]

    assert [(code, body["name"]) for code, body in ok] == [
        (200, "all-of-A"),
        (200, "all-of-B"),
        (200, "all-of-A"),
        (200, "all-of-B"),
    ]
    assert ok[0][1]["account"] != ok[1][1]["account"]


async def test_any_other_token_is_401_in_the_paths_envelope(client: aiohttp.ClientSession) -> None:
    wrong = [
        "",
        "Bearer",
        "Bearer ",
        "Basic all-of-A",
        "all-of-A",
        "Bearer wrong",
        "Bearer \u00e9",
        "Bearer " + "x" * 999,
    ]
    for token in [None, *wrong, "Bearer expired-of-A", "Bearer revoked-of-A", "Bearer partner-of-A"]:
        code, body = await ask(client, "/api/v1/who", token)
        crm_code, crm_body = await ask(client, "/voip/who", token)

        assert (code, body["title"], crm_code, list(crm_body)) == (401, "Unauthorized", 401, ["error"]), token


async def test_a_token_in_the_query_counts_under_voip_alone(client: aiohttp.ClientSession) -> None:
    assert (await ask(client, "/api/v1/who?api_token=all-of-A"))[0] == 401


async def test_scopes_narrow_a_token(client: aiohttp.ClientSession) -> None:
    codes = [
        (await ask(client, "/api/v1/who?scope=calls:read", "Bearer calls-of-A"))[0],
        (await ask(client, "/api/v1/who?scope=users:write", "Bearer calls-of-A"))[0],
        (await ask(client, "/api/v1/who?scope=users:write", "Bearer all-of-A"))[0],
    ]

    assert codes == [200, 403, 200]


async def test_a_directory_older_than_ten_minutes_refuses_tokens_with_503(
    client: aiohttp.ClientSession, ahead: Clock, database_dsn: str
) -> None:
    connection = await asyncpg.connect(database_dsn)
    await connection.execute("ALTER TABLE directory.version RENAME TO version_away")  # every reading fails from here on
    await connection.close()
    ahead.ahead = timedelta(minutes=11)

    assert (await ask(client, "/api/v1/who", "Bearer all-of-A"))[0] == 503


async def test_an_unknown_key_is_404(client: aiohttp.ClientSession) -> None:
    for key in ("unknown", "%00", "x" * 2000, "%C3%A9", "a%20b"):
        code, body = await ask(client, f"/hooks/{key}")

        assert (code, body["accepted"]) == (404, False), key

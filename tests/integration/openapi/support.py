"""Ingest and history in this process, joined by a real broker and database, with the demo account and known secrets."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import asyncpg

import services.history.app
import services.history.openapi
import services.history.settings
import services.ingest.app
import services.ingest.openapi
import services.ingest.settings
from callbus.demo import provision
from shared.db.migrations import migrate
from shared.events.ids import call_uid
from shared.http import serving
from shared.secrets import Sealer, hash_token
from tests.integration.history.support import publish, until
from tests.support.histories import history

T = TypeVar("T")

BASE_URL: Final = "https://calls.example.org"
PASSWORD: Final = "not-a-secret"
KEYS: Final = {
    provider: f"key-of-the-{provider}-channel"
    for provider in ("channel_key", "telecube", "supervoip", "voipnow", "datera", "generic", "partner")
}
CHANNELS: Final = {provider: number for number, provider in enumerate(KEYS, start=2)}
"""Ids in a new database; the first channel of an account is for what people write down."""
TOKEN: Final = "token-of-the-account"
OTHER_TOKEN: Final = "token-of-the-other-account"
PARTNER_TOKEN: Final = "token-of-the-partner"
USER_TOKEN: Final = "token-of-the-partners-user"
SEEDS: Final = range(12)
CALLS: Final = [str(call_uid(CHANNELS["supervoip"], f"call-{seed}")) for seed in SEEDS]
"""Calls in every state, with decisions, locations, recordings and clients."""
RECORDED: Final = str(call_uid(CHANNELS["channel_key"], "pbx:recorded"))
"""A call whose recording is in our store."""
REQUEST: Final = "request-of-the-tests"
"""The id of a request that was refused."""


class Bus(NamedTuple):
    """Where the services are."""

    ingest: str
    history: str


def ingest_document() -> dict[str, Any]:
    return services.ingest.openapi.document(BASE_URL).build()


def history_document() -> dict[str, Any]:
    return services.history.openapi.document(BASE_URL).build()


@contextmanager
def in_a_thread(start: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """Enter an asynchronous context in a thread with a loop of its own, for tests that block."""
    entered: Future[tuple[T, Callable[[], object]]] = Future()

    async def stay() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        try:
            async with start() as value:
                entered.set_result((value, lambda: loop.call_soon_threadsafe(stop.set)))
                await stop.wait()
        except Exception as error:
            if entered.done():
                raise
            entered.set_exception(error)

    thread = Thread(target=asyncio.run, args=(stay(),), name="services")
    thread.start()
    try:
        value, leave = entered.result()
        try:
            yield value
        finally:
            leave()
    finally:
        thread.join()


@asynccontextmanager
async def running_bus(amqp_url: str, admin_dsn: str, folder: Path) -> AsyncIterator[Bus]:
    """Run both services with calls of every kind in them."""
    await migrate(admin_dsn, ["routing", "ingest", "history"], passwords={"ingest": PASSWORD, "history": PASSWORD})
    await _make_demo(admin_dsn, folder)
    common = {
        "amqp_url": amqp_url,
        "base_url": BASE_URL,
        "recordings_url": (folder / "recordings").as_uri(),
        "link_key_file": _written(folder / "link.key", "the key that signs links, of the tests"),
        "data_dir": folder,
    }
    ingest = services.ingest.settings.Settings.model_validate({**common, "postgres_dsn": _as_role(admin_dsn, "ingest")})
    past = services.history.settings.Settings.model_validate({**common, "postgres_dsn": _as_role(admin_dsn, "history")})
    async with (
        serving(services.ingest.app.build(ingest), ingest) as ingest_port,
        serving(services.history.app.create(past), past) as history_port,
        aiohttp.ClientSession() as session,
    ):
        bus = Bus(f"http://127.0.0.1:{ingest_port}", f"http://127.0.0.1:{history_port}")
        for url in bus:
            await until(lambda url=url: _is_ready(session, url), f"{url} is ready")  # type: ignore[misc]
        await _tell(session, bus, amqp_url)
        yield bus


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    async with session.get(f"{url}/readyz") as answer:
        return answer.status == 200


async def _make_demo(admin_dsn: str, folder: Path) -> None:
    """Make the demo account, whose ids are known in an empty database; put known secrets in place of random ones."""
    await provision(
        {
            **os.environ,
            "CALLBUS_POSTGRES_DSN": admin_dsn,
            "CALLBUS_BASE_URL": BASE_URL,
            "CALLBUS_MASTER_KEY_FILE": str(_written(folder / "master.key", Sealer.new_key())),
        }
    )
    connection = await asyncpg.connect(admin_dsn)
    try:
        for provider, channel in CHANNELS.items():
            done = await connection.execute(
                "UPDATE directory.channel_keys k SET key_hash = $3 FROM directory.channels c"
                " WHERE k.channel_id = c.channel_id AND c.channel_id = $1 AND c.provider = $2",
                channel,
                provider,
                hash_token(KEYS[provider]),
            )
            assert done == "UPDATE 1"
        for account, name, kind, user in (
            (1, TOKEN, "api", None),
            (2, OTHER_TOKEN, "api", None),
            (1, USER_TOKEN, "partner_user", 1),
        ):
            await connection.execute(
                "INSERT INTO directory.tokens (account_id, name, kind, user_id, token_hash)"
                " VALUES ($1, $2, $3, $4, $5)",
                account,
                name,
                kind,
                user,
                hash_token(name),
            )
        await connection.execute(
            "INSERT INTO directory.partner_tokens (partner_id, token_hash) VALUES (1, $1)", hash_token(PARTNER_TOKEN)
        )
    finally:
        await connection.close()


async def _tell(session: aiohttp.ClientSession, bus: Bus, amqp_url: str) -> None:
    """Let there be calls with decisions, tickets, recordings, and requests that were refused; return when they are."""
    told = [event for seed in SEEDS for event in history(seed, channel=CHANNELS["supervoip"])]
    await publish(amqp_url, told)
    form = aiohttp.FormData({"action": "create_call", "direction": "incoming", "phone": "15550100123"})
    form.add_field("pbx_call_id", "recorded")
    form.add_field("audio_record", b"ID3" + bytes(2000), filename="1.mp3")
    async with session.post(f"{bus.ingest}/api/v2/telephony/calls/@{KEYS['channel_key']}", data=form) as answer:
        assert answer.status == 200, await answer.text()
    command = {"command": "setup", "type": "enable", "crm_token": KEYS["partner"]}
    headers = {"Authorization": f"Bearer {PARTNER_TOKEN}"}
    async with session.post(f"{bus.ingest}/voip/integration", json=command, headers=headers) as answer:
        assert answer.status == 202, await answer.text()
    url = f"{bus.ingest}/hooks/supervoip/{KEYS['supervoip']}"
    async with session.post(url, data={"status": "callend"}, headers={"X-Request-Id": REQUEST}) as answer:
        assert answer.status == 422

    async def is_there() -> bool:
        found = {
            what: await _items(session, f"{bus.history}/api/v1/{what}") for what in ("calls", "tickets", "requests")
        }
        return len(found["calls"]) >= len(SEEDS) and all(found.values())

    await until(is_there, "history knows all that was told")


async def _items(session: aiohttp.ClientSession, url: str) -> list[Any]:
    async with session.get(url, headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
        assert answer.status == 200, await answer.text()
        found: list[Any] = (await answer.json())["items"]
        return found


def _as_role(dsn: str, service: str) -> str:
    url = urlsplit(dsn)
    return urlunsplit(url._replace(netloc=f"{url.path[1:]}_{service}:{PASSWORD}@{url.hostname}:{url.port}"))


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path

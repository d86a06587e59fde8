"""History under test: its database, its processes, and what must be in its tables."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import aiohttp
import orjson

from services.history.bodies import Body, join
from services.history.rows import CallRow, row_of
from services.history.stored import read
from services.history.writer import Writer
from shared.bus import Broker, Message
from shared.call import Call
from shared.db.migrations import migrate
from shared.secrets import hash_token
from tests.support.histories import Told

DEADLINE_SECONDS = 60.0
PASSWORD = "not-a-secret"
BASE_URL = "https://calls.example.org/"
LINK_KEY = b"the key that signs links"


async def until(condition: Callable[[], Awaitable[object]], what: str, seconds: float = DEADLINE_SECONDS) -> None:
    """Return when `condition` holds; it is asked again and again."""
    try:
        async with asyncio.timeout(seconds):
            while not await condition():
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"{what}: not within {seconds:g} s") from None


@dataclass
class Api:
    """A running service, as one account's client sees it."""

    session: aiohttp.ClientSession
    url: str
    writer: Writer

    async def store(self, *calls: list[Told]) -> None:
        """Store calls."""
        for call in calls:
            await self.writer.store([read(event.to_json()) for event in call])

    async def get(self, path: str, token: str | None = "ours", method: str = "GET") -> tuple[int, Any, Any]:
        """Return status, JSON and headers."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.session.request(method, self.url + path, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None), answer.headers

    async def every(self, path: str, *, limit: int) -> list[Any]:
        """Return all items of a list, read page by page."""
        items: list[Any] = []
        query: dict[str, Any] = {"limit": limit}
        while True:
            status, body, _ = await self.get(f"{path}?{urlencode(query)}")
            assert status == 200, body
            assert len(body["items"]) <= limit
            items += body["items"]
            if body["next"] is None:
                return items
            query["cursor"] = body["next"]

    async def ids(self, path: str) -> list[str]:
        """Return the keys of the calls in a list."""
        status, items, _ = await self.get(path)
        assert status == 200, items
        return [item["external_id"] for item in items]


async def history_dsn(database_dsn: str) -> str:
    """Migrate the database; return the DSN of history's own role."""
    await migrate(database_dsn, ["routing", "history"], passwords={"history": PASSWORD})
    url = urlsplit(database_dsn)
    role = f"{url.path[1:]}_history"
    return urlunsplit(url._replace(netloc=f"{role}:{PASSWORD}@{url.hostname}:{url.port}"))


async def seed(connection: Any) -> None:
    """Two accounts with a channel and a token each; the first has two more tokens, for reading and for all but that."""
    await connection.execute(
        "INSERT INTO directory.accounts (account_id, name) VALUES (1, 'Ours'), (2, 'Theirs') ON CONFLICT DO NOTHING"
    )
    await connection.execute(
        "INSERT INTO directory.channels (channel_id, account_id, provider, name, time_zone, country)"
        " VALUES (1, 1, 'supervoip', 'One', 'Europe/Warsaw', 'PL'), (2, 2, 'supervoip', 'Two', 'UTC', 'PL')"
        " ON CONFLICT DO NOTHING"
    )
    for account, name, scopes in (
        (1, "ours", []),
        (2, "theirs", []),
        (1, "reader", ["calls:read"]),
        (1, "writer", ["calls:write"]),
    ):
        await connection.execute(
            "INSERT INTO directory.tokens (account_id, name, token_hash, scopes) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT DO NOTHING",
            account,
            name,
            hash_token(name),
            scopes,
        )


class Process:
    """A real `python -m services.history` on a free port."""

    def __init__(self, amqp_url: str, dsn: str, **environment: str) -> None:
        self._environment = {
            **os.environ,
            "CALLBUS_AMQP_URL": amqp_url,
            "CALLBUS_POSTGRES_DSN": dsn,
            "CALLBUS_LISTEN_PORT": "0",
            **environment,
        }
        self.url = ""

    async def start(self) -> None:
        """Start it and wait for its port."""
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.history", env=self._environment, stdout=subprocess.PIPE, limit=2**24
        )
        self._started = asyncio.get_running_loop().create_future()
        self._lines: list[bytes] = []
        self._reading = asyncio.create_task(self._read())
        async with asyncio.timeout(DEADLINE_SECONDS):
            self.url = f"http://127.0.0.1:{await self._started}"

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self._lines.append(line)
            if b"service_started" in line and not self._started.done():
                self._started.set_result(orjson.loads(line)["port"])
        if not self._started.done():
            self._started.set_exception(RuntimeError(b"".join(self._lines).decode()))

    @property
    def log(self) -> str:
        """What it has logged."""
        return b"".join(self._lines).decode()

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        code = await self.process.wait()
        await self._reading
        return code

    async def ready(self, session: aiohttp.ClientSession) -> bool:
        """Return whether /readyz says so."""
        async with session.get(f"{self.url}/readyz") as answer:
            return answer.status == 200


@asynccontextmanager
async def histories(count: int, amqp_url: str, dsn: str, **environment: str) -> AsyncIterator[list[Process]]:
    """Run `count` ready processes."""
    processes = [Process(amqp_url, dsn, **environment) for _ in range(count)]
    try:
        await asyncio.gather(*(process.start() for process in processes))
        async with aiohttp.ClientSession() as session:
            for process in processes:
                await until(lambda process=process: process.ready(session), "history is ready")  # type: ignore[misc]
        yield processes
    finally:
        for process in processes:
            if process.url:
                await process.stop()


async def publish(amqp_url: str, events: Sequence[Told]) -> None:
    """Publish events as ingest does; returns when the broker has confirmed them."""
    await send(amqp_url, messages(events))


async def send(amqp_url: str, messages: Sequence[Message]) -> None:
    """Publish messages; returns when the broker has confirmed them."""
    async with Broker(amqp_url, name="test") as broker:
        async with asyncio.timeout(DEADLINE_SECONDS):
            await broker.until_ready()
            for start in range(0, len(messages), 500):
                await broker.publisher().publish(messages[start : start + 500])


def messages(events: Sequence[Told]) -> list[Message]:
    """Return what ingest would publish."""
    return [Message("calls", event.routing_key, event.to_json(), str(event.id)) for event in events]


async def rows_read(connection: Any, query: str, *arguments: object) -> float:
    """Return how many rows of any table the database looked at to answer."""
    (plan,) = orjson.loads(await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *arguments))

    def below(node: dict[str, Any]) -> float:
        rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) if "Relation Name" in node else 0
        return float(rows * node["Actual Loops"] + sum(below(each) for each in node.get("Plans", [])))

    return below(plan["Plan"])


async def stored_events(connection: Any) -> dict[Any, bytes]:
    """Return the message of every event in the database by id."""
    rows = await connection.fetch("SELECT id, body, raw FROM history.events")
    return {row["id"]: join(Body(row["body"], row["raw"])) for row in rows}


async def stored_calls(connection: Any) -> dict[Any, CallRow]:
    """Return the row of every call as `row_of` writes it, lists decoded."""
    rows = await connection.fetch("SELECT * FROM history.calls")
    return {row["uid"]: comparable(CallRow(*(row[name] for name in CallRow._fields))) for row in rows}


def expected(events: Sequence[Told]) -> CallRow:
    """Return the row that `Call.of` the ordered events makes."""
    return comparable(row_of(Call.of(sorted(events, key=lambda e: (e.time, e.id.int)))))


def comparable(row: CallRow) -> CallRow:
    """Return `row` with its lists as values, whether it comes from the database or goes there."""
    locations: Any = row.locations
    if isinstance(locations, str):
        locations = [int(each) for each in locations.strip("{}").split(",") if each]
    comments: Any = row.comments
    if isinstance(comments, str):
        comments = orjson.loads(comments)
    return row._replace(
        legs=orjson.loads(row.legs),
        locations=locations,
        comments=comments,
        recordings=orjson.loads(row.recordings),
    )

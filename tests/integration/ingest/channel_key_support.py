"""The channel-key API under test: who there is, and a PBX that speaks to it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import asyncpg

from services.routing.store import NewChannel, Store
from shared.events import CallAnswered, CallEnded, CallNoted, CallRinging
from tests.integration.ingest.support import DEADLINE_SECONDS, take
from tests.support.directory import writing

CallTold = CallRinging | CallAnswered | CallEnded | CallNoted

MP3 = b"ID3\x04\x00\x00\x00\x00\x00\x00" + bytes(range(256)) * 40
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(2000)
OGG = b"OggS\x00\x02" + bytes(2000)
MP4 = b"\x00\x00\x00\x20ftypM4A " + bytes(2000)


class World(NamedTuple):
    """One account with four users, the fourth without telephony, and another account beside it."""

    account: int
    department: int
    anna: int
    piotr: int
    maria: int
    jan: int
    front: int
    """Group of Anna and Piotr."""
    single: int
    """Group of Maria and Jan: one with telephony."""
    channel: int
    key: str
    second_key: str
    """Of another channel of the account."""
    off_key: str
    other_account: int
    other_user: int
    other_group: int
    other_key: str


async def make_world(database_dsn: str) -> World:
    async with writing(database_dsn) as store:
        account = await store.create_account("Salon")
        department = await store.create_department(account, "Reception")
        anna, piotr, maria, jan = [
            await store.create_user(account, name, telephony=name != "Jan")
            for name in ("Anna", "Piotr", "Maria", "Jan")
        ]
        channel = await _channel(store, account, department)
        for name, user in (("101", anna), ("102", piotr), ("103", jan)):
            await store.create_pbx_user(account, channel.id, name, user)
        off = await _channel(store, account, None)
        await store.set_channel_enabled(off.id, False)
        other = await store.create_account("Another")
        other_user = await store.create_user(other, "Other")
        return World(
            account=account,
            department=department,
            anna=anna,
            piotr=piotr,
            maria=maria,
            jan=jan,
            front=await store.create_group(account, "Front", [anna, piotr]),
            single=await store.create_group(account, "Single", [maria, jan]),
            channel=channel.id,
            key=channel.secret,
            second_key=(await _channel(store, account, None)).secret,
            off_key=off.secret,
            other_account=other,
            other_user=other_user,
            other_group=await store.create_group(other, "Others", [other_user]),
            other_key=(await _channel(store, other, None)).secret,
        )


async def _channel(store: Store, account: int, department: int | None) -> Any:
    return await store.create_channel(
        NewChannel(account_id=account, provider="channel_key", name="Calls", department_id=department)
    )


class Answer(NamedTuple):
    """What came back: `data` of a good answer, `errors` of a bad one."""

    status: int
    data: dict[str, Any]
    errors: list[dict[str, str]]
    headers: dict[str, str]

    @property
    def call_id(self) -> int:
        return int(self.data["call_id"])


def path_of(key: str) -> str:
    return f"/api/v2/telephony/calls/@{key}"


class Desk:
    """A PBX that posts to one channel."""

    def __init__(self, client: aiohttp.ClientSession, key: str) -> None:
        self.client = client
        self.path = path_of(key)

    async def post(self, **request: Any) -> Answer:
        async with self.client.post(self.path, **request) as answer:
            body = await answer.json()
            return Answer(answer.status, body.get("data", {}), body.get("errors", []), dict(answer.headers))

    async def form(
        self,
        *fields: tuple[str, str],
        file: bytes | None = None,
        filename: str = "record.mp3",
        field: str = "audio_record",
        **more: Any,
    ) -> Answer:
        """Post a multipart form, as the documented command does; the file, if any, comes last."""
        form = aiohttp.FormData(default_to_multipart=True)
        for name, value in fields:
            form.add_field(name, value)
        if file is not None:
            form.add_field(field, file, filename=filename, content_type="application/octet-stream")
        return await self.post(data=form, **more)

    async def create(self, *more: tuple[str, str], **fields: str) -> Answer:
        """Create a call, incoming and ringing unless `fields` say otherwise."""
        said = {"direction": "incoming", "phone": "777777777", **fields}
        return await self.form(("action", "create_call"), *said.items(), *more)

    async def update(self, *more: tuple[str, str], file: bytes | None = None, **fields: str) -> Answer:
        return await self.form(("action", "update_call"), *fields.items(), *more, file=file)


async def events_of(amqp_url: str) -> list[CallTold]:
    """Return the call events published since the last time, in order of publishing."""
    return [event for event in await take(amqp_url, "history.calls") if isinstance(event, CallTold)]


async def published(amqp_url: str, count: int) -> list[CallTold]:
    """Return `count` call events, waiting for them."""
    events: list[CallTold] = []
    async with asyncio.timeout(DEADLINE_SECONDS):
        while len(events) < count:
            events += await events_of(amqp_url)
            await asyncio.sleep(0.05)
    return events


async def unconfirmed(database_dsn: str) -> int:
    """Return how many events wait for the broker."""
    return await count(database_dsn, "ingest.call_events WHERE unconfirmed IS NOT NULL")


async def count(database_dsn: str, what: str) -> int:
    connection = await asyncpg.connect(database_dsn)
    try:
        found: int = await connection.fetchval(f"SELECT count(*) FROM {what}")
        return found
    finally:
        await connection.close()


def files(folder: Path) -> set[str]:
    """Return the files below a folder, by their path in it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

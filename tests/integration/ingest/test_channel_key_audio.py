"""Recordings that come with a call: kept by their content, linked, and gone without a trace where they are refused."""

import asyncio
import gzip
import hashlib
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import pytest

from services.ingest import channel_key
from services.ingest.settings import Settings
from shared import clock
from shared.events import Recording
from shared.recordings import ExpiredLink, Links, Recordings
from tests.integration.ingest.channel_key_support import (
    MP3,
    MP4,
    OGG,
    WAV,
    Answer,
    Desk,
    World,
    events_of,
    files,
    published,
)
from tests.integration.ingest.support import eventually, rejected, running

LIMIT = 400_000
BOUNDARY = "------------------------d74496d66958873e"
HEADERS = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
CREATE = (("action", "create_call"), ("direction", "incoming"), ("phone", "1"))


@pytest.fixture
def configured(configured: Settings) -> Settings:
    # Fields may have 50,000 bytes, a file more.
    return configured.model_copy(update={"audio_limit_bytes": LIMIT, "audio_read_seconds": 2.0})


@pytest.fixture
def folder(configured: Settings) -> Path:
    return configured.data_dir / "recordings"


def part(name: str, content: bytes, *more: str) -> bytes:
    disposition = "; ".join(["Content-Disposition: form-data", f'name="{name}"', *more])
    return f"--{BOUNDARY}\r\n{disposition}\r\n\r\n".encode() + content + b"\r\n"


def fields(pairs: Iterable[tuple[str, str]] = CREATE) -> bytes:
    return b"".join(part(name, value.encode()) for name, value in pairs)


def file(content: bytes = MP3, filename: str = "1042.mp3", name: str = "audio_record") -> bytes:
    return part(name, content, f'filename="{filename}"')


END = f"--{BOUNDARY}--\r\n".encode()


async def whole(store: Recordings, key: str) -> bytes:
    found = await store.find(key)
    assert found is not None
    return b"".join([chunk async for chunk in store.read(key, 0, found.size_bytes)])


async def test_a_recording_is_kept_linked_and_told(
    desk: Desk, world: World, configured: Settings, amqp_url: str
) -> None:
    sound = MP3 * 30  # larger than all fields together may be
    digest = hashlib.sha256(sound).hexdigest()
    created = await desk.create(pbx_call_id="pbx-77")
    updated = await desk.update(pbx_call_id="pbx-77", call_status="answered", pbx_user_id="102", file=sound)
    later = await desk.update(pbx_call_id="pbx-77", call_status="answered", comment="good")

    assert created.data["audio_record"] is None
    _, event, _ = await published(amqp_url, 3)
    key = f"{world.account}/{event.subject}/{digest}"
    assert event.data.recording == Recording(key=key, content_type="audio/mpeg", size_bytes=len(sound))
    assert event.data.raw is not None
    assert f"sha256:{digest}".encode() in event.data.raw.unpack()
    assert len(event.to_json()) < 10_000
    assert await whole(Recordings.open(configured.recordings_url), key) == sound
    assert files(configured.data_dir / "recordings") == {key}
    assert (updated.data["user_id"], updated.data["pbx_user_id"]) == (world.piotr, "102")
    for answer in (updated, later):
        url = urlsplit(answer.data["audio_record"])
        assert f"{url.scheme}://{url.netloc}" == configured.base_url
        uid, query = UUID(url.path.split("/")[4]), dict(parse_qsl(url.query))
        assert configured.link_key_file is not None
        links = Links.from_file(configured.link_key_file, configured.base_url)
        assert links.verify(uid, query, clock.now() + timedelta(hours=23, minutes=55)) == key
        with pytest.raises(ExpiredLink):
            links.verify(uid, query, clock.now() + timedelta(hours=24))


async def test_the_four_formats_whatever_they_are_called_and_wherever_they_come(
    desk: Desk, folder: Path, amqp_url: str
) -> None:
    answers = [
        await desk.post(data=fields() + file(MP3, "a.exe") + END, headers=HEADERS),
        await desk.post(data=file(WAV, "a.txt") + fields() + END, headers=HEADERS),
        await desk.post(data=fields(CREATE[:1]) + file(OGG, "") + fields(CREATE[1:]) + END, headers=HEADERS),
        await desk.post(data=part("AUDIO_RECORD", MP4) + fields() + END, headers=HEADERS),
    ]

    assert [answer.status for answer in answers] == [200] * 4
    assert all(answer.data["audio_record"] for answer in answers)
    recordings = [event.data.recording for event in await published(amqp_url, 4)]
    assert [recording and recording.content_type for recording in recordings] == [
        "audio/mpeg",
        "audio/wav",
        "audio/ogg",
        "audio/mp4",
    ]
    assert files(folder) == {recording.key for recording in recordings if recording}


async def test_the_same_recording_twice_is_a_retry_and_another_is_not(desk: Desk, folder: Path, amqp_url: str) -> None:
    await desk.create(pbx_call_id="a", call_status="answered")
    answers = [
        await desk.update(pbx_call_id="a", call_status="answered", file=sound) for sound in (MP3, MP3, WAV, WAV, MP3)
    ]

    assert {answer.status for answer in answers} == {200}
    ids = {event.id for event in await events_of(amqp_url)}
    assert len(ids) == 4
    assert len(files(folder)) == 2


async def test_a_file_that_nobody_chose_is_none(desk: Desk, folder: Path, amqp_url: str) -> None:
    answer = await desk.post(data=fields() + file(b"", "") + END, headers=HEADERS)

    assert (answer.status, answer.data["audio_record"]) == (200, None)
    (event,) = await published(amqp_url, 1)
    assert event.data.recording is None
    assert files(folder) == set()


async def test_a_compressed_form_is_unpacked_and_limits_count_what_it_becomes(
    desk: Desk, folder: Path, amqp_url: str
) -> None:
    async def post(body: bytes, encoding: str) -> Answer:
        return await desk.post(data=body, headers={**HEADERS, "Content-Encoding": encoding})

    taken = await post(gzip.compress(fields() + file(MP3) + END), "gzip")
    bomb = await post(gzip.compress(fields() + file(MP3[:100] + bytes(50_000_000)) + END), "gzip")
    broken = await post(fields() + END, "gzip")
    unknown = await post(fields() + END, "br")

    assert [answer.status for answer in (taken, bomb, broken, unknown)] == [200, 413, 400, 415]
    (event,) = await published(amqp_url, 1)
    assert event.data.recording is not None
    assert files(folder) == {event.data.recording.key}


async def chunked(body: bytes, size: int = 10_000) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def refused(desk: Desk, body: bytes | AsyncIterator[bytes], headers: dict[str, str] | None = None) -> Answer:
    return await desk.post(data=body, headers=headers or HEADERS)


BAD: dict[str, tuple[bytes, int, str]] = {
    "not audio": (fields() + file(b"<html>" * 1000) + END, 415, "unsupported_media_type"),
    "empty": (fields() + file(b"") + END, 415, "unsupported_media_type"),
    "words": (fields() + part("audio_record", b"null") + END, 415, "unsupported_media_type"),
    "too large": (fields() + file(MP3 * 40) + END, 413, "request_entity_too_large"),
    "two files": (fields() + file(MP3) + file(WAV) + END, 422, "unprocessable_entity"),
    "wrong field": (fields() + file(MP3, name="record") + END, 422, "unprocessable_entity"),
    "as a comment": (fields() + file(MP3) + file(MP3, name="comment") + END, 422, "unprocessable_entity"),
    "wrong fields behind it": (file(MP3) + fields(CREATE[:2]) + END, 422, "unprocessable_entity"),
    "no such call": (
        file(MP3) + fields((("action", "update_call"), ("call_id", "99"), ("call_status", "busy"))) + END,
        404,
        "unknown_call",
    ),
    "no such user": (file(MP3) + fields((*CREATE, ("user_ids[]", "999999"))) + END, 422, "unprocessable_entity"),
    "cut off in the file": ((fields() + file(MP3))[:-5000], 400, "bad_request"),
    "cut off behind it": (fields() + file(MP3), 400, "bad_request"),
    "another boundary": ((fields() + file(MP3) + END).replace(b"d74496", b"e85507"), 400, "bad_request"),
    "no name": (part("", b"1") + END, 400, "bad_request"),
    "nothing": (b"", 400, "bad_request"),
    "no part": (END, 422, "unprocessable_entity"),
    "many parts": (file(MP3) + part("a", b"1") * 500 + END, 413, "request_entity_too_large"),
    "many fields": (file(MP3) + fields((f"a{n}", "1") for n in range(300)) + END, 413, "request_entity_too_large"),
    "long header": (part("a" * 10_000, b"1") + END, 413, "request_entity_too_large"),
    "long fields": (file(MP3) + part("comment", b"x" * 60_000) + END, 413, "request_entity_too_large"),
    "long preamble": (b"x" * 60_000 + b"\r\n" + fields() + END, 413, "request_entity_too_large"),
}


async def test_what_can_not_be_taken_is_answered_exactly_and_leaves_nothing(
    desk: Desk, folder: Path, amqp_url: str
) -> None:
    answers: dict[str, Answer] = {}
    for name, (body, _, _) in BAD.items():
        answers[name] = await refused(desk, body)
        answers[f"{name}, chunked"] = await refused(desk, chunked(body))
        assert files(folder) == set(), name

    expected = {name: bad[1:] for name, bad in BAD.items()}
    expected |= {f"{name}, chunked": outcome for name, outcome in expected.items()}
    told = {name: (answer.status, answer.errors[0]["code"]) for name, answer in answers.items()}
    assert told == expected
    assert answers["two files"].errors[0]["details"] == "audio_record is given twice"
    assert answers["wrong field"].errors[0]["details"] == "record is no file; the file is audio_record"
    assert await events_of(amqp_url) == []
    kept = await rejected(amqp_url)
    assert b"\xffID3" not in b"".join(event.to_json() for event in kept)
    assert {event.data.status for event in kept} == {400, 404, 413, 415, 422}


async def test_a_boundary_that_is_missing_is_400(desk: Desk) -> None:
    for boundary in ("", "; boundary=", f"; boundary={'x' * 201}"):
        answer = await refused(desk, fields() + END, {"Content-Type": f"multipart/form-data{boundary}"})

        assert (answer.status, answer.errors[0]["code"]) == (400, "bad_request")


async def test_a_body_that_is_declared_too_large_is_refused_before_it_is_read(desk: Desk, amqp_url: str) -> None:
    reader, writer = await connected(desk)
    writer.write(head(desk, 10_000_000))

    assert (await reader.readline()).split()[1] == b"413"
    writer.close()


async def test_an_upload_that_is_too_slow_is_408(desk: Desk, folder: Path) -> None:
    for body in (fields() + file(MP3)[:9000], fields()[:50]):
        reader, writer = await connected(desk)
        writer.write(head(desk, 100_000) + body)

        assert (await reader.readline()).split()[1] == b"408"
        assert files(folder) == set()
        writer.close()


async def test_a_channel_has_so_many_uploads_at_once_and_others_have_theirs(
    configured: Settings, world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_key, "MAX_AT_ONCE", 3)
    patient = configured.model_copy(update={"audio_read_seconds": 60.0})
    async with running(patient) as client:
        desk, other = Desk(client, world.key), Desk(client, world.second_key)
        writers = []
        for _ in range(3):
            _, writer = await connected(desk)
            writer.write(head(desk, 380_000) + fields() + file(MP3 * 30)[:-1000])
            writers.append(writer)

        async def incoming() -> int:
            return len(files(folder))

        await eventually(incoming, 3)
        refused = await desk.form(*CREATE, file=MP3)
        others = [await other.form(*CREATE, file=MP3), await desk.post(json=dict(CREATE))]
        writers[0].transport.abort()

        async def again() -> int:
            return (await desk.form(*CREATE, file=MP3)).status

        await eventually(again, 200)
        for writer in writers:
            writer.transport.abort()

    assert (refused.status, refused.errors[0]["code"]) == (429, "too_many_requests")
    assert int(refused.headers["Retry-After"]) >= 1
    assert [answer.status for answer in others] == [200, 200]


async def test_a_client_that_goes_away_in_the_middle_leaves_nothing(
    configured: Settings, world: World, folder: Path, amqp_url: str
) -> None:
    patient = configured.model_copy(update={"audio_read_seconds": 60.0})
    async with running(patient) as client:
        desk = Desk(client, world.key)
        _, writer = await connected(desk)
        writer.write(head(desk, 380_000) + fields() + file(MP3 * 30)[:-1000])
        await eventually(lambda: started(folder), True)
        writer.transport.abort()

        await eventually(lambda: started(folder), False)
        kept: list[Any] = []

        async def noted() -> bool:
            kept.extend(await rejected(amqp_url))
            return bool(kept)

        await eventually(noted, True)
    assert [(event.data.status, event.data.reason) for event in kept] == [
        (400, "the connection broke before the body was complete")
    ]
    assert await events_of(amqp_url) == []


async def test_a_store_that_can_not_be_written_is_503_and_nothing_is_lost_by_a_retry(
    desk: Desk, folder: Path, amqp_url: str
) -> None:
    created = await desk.create(pbx_call_id="a")
    folder.write_text("a file where the folder should be")
    away = await desk.update(pbx_call_id="a", call_status="answered", file=MP3)
    without = await desk.update(pbx_call_id="a", call_status="in-progress")
    folder.unlink()
    again = await desk.update(pbx_call_id="a", call_status="answered", file=MP3)

    assert (away.status, away.headers["Retry-After"], away.errors[0]["code"]) == (503, "5", "unavailable")
    assert (without.status, again.status, again.call_id) == (200, 200, created.call_id)
    assert again.data["audio_record"]
    assert len(await published(amqp_url, 3)) == 3


async def test_without_a_key_for_links_recordings_are_kept_and_not_linked(
    configured: Settings, world: World, folder: Path
) -> None:
    async with running(configured.model_copy(update={"link_key_file": None})) as client:
        answer = await Desk(client, world.key).form(*CREATE, file=MP3)

    assert (answer.status, answer.data["audio_record"]) == (200, None)
    assert len(files(folder)) == 1


async def test_uploads_are_counted(desk: Desk) -> None:
    async def counted() -> dict[str, float]:
        async with desk.client.get("/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return {
            line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
            for line in lines
            if line.startswith("ingest_upload")
        }

    before = await counted()
    await desk.form(*CREATE, file=MP3)
    await desk.form(*CREATE, file=b"no audio")
    after = await counted()

    def risen(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert risen('ingest_uploads_total{outcome="kept"}') == 1
    assert risen('ingest_uploads_total{outcome="refused"}') == 1
    assert risen("ingest_uploaded_bytes_total") == len(MP3)


async def started(folder: Path) -> bool:
    return files(folder) != set()


async def connected(desk: Desk) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    base = desk.client._base_url
    assert base is not None
    return await asyncio.open_connection(base.host, base.port)


def head(desk: Desk, length: int) -> bytes:
    lines = [f"POST {desk.path} HTTP/1.1", "Host: x", f"Content-Type: {HEADERS['Content-Type']}"]
    return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode()

"""Recordings over HTTP, from a real store: byte for byte, in parts, by token and by signed link, behind walls."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import aiohttp
import asyncpg
import pytest
from structlog.testing import capture_logs
from yarl import URL

from services.history import recordings
from services.history.app import create
from services.history.settings import Settings
from services.history.writer import Writer
from shared.events import Authority, Outcome, Recording
from shared.http import serving
from shared.recordings import Links, Recordings
from tests.integration.history.support import BASE_URL, LINK_KEY, Api, until
from tests.support.histories import Story, Told

MP3 = b"ID3\x04" + bytes(range(256)) * 4 + b"the end"
OTHER_MP3 = b"ID3\x03" + bytes(reversed(range(256))) * 3
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(500)
LINKS = Links(LINK_KEY, BASE_URL)


class Heard(NamedTuple):
    """An answer."""

    status: int
    body: bytes
    headers: Mapping[str, str]


@dataclass
class Player:
    """Somebody who listens to recordings."""

    api: Api
    store: Recordings

    async def get(self, path: str, token: str | None = "ours", method: str = "GET", **headers: str) -> Heard:
        """Return the answer to a request; redirects are not followed."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        url = URL(self.api.url + path, encoded=True)
        async with self.api.session.request(method, url, headers=sent, allow_redirects=False) as answer:
            return Heard(answer.status, await answer.read(), answer.headers)

    async def keep(self, sound: bytes, uid: UUID, account: int = 1) -> str:
        """Put a recording into the store as ingest does; return its key."""

        upload = await self.store.receive(chunks(sound), 2**30)
        return await self.store.keep(upload, account, uid)

    async def recorded(self, key: str, *sounds: bytes, account: int = 1) -> list[Told]:
        """Store an answered call with `sounds`; return its events."""
        story = told(key, account=account)
        for sound in sounds:
            place = await self.keep(sound, story.uid, account)
            story.note(recording=Recording(key=place, content_type="audio/mpeg", size_bytes=len(sound)))
        await self.api.store(story.events)
        return story.events


@pytest.fixture
def player(api: Api, tmp_path: Path) -> Player:
    """A listener, and the store that ingest writes to."""
    return Player(api, Recordings.open((tmp_path / "recordings").as_uri()))


def told(key: str, *, account: int = 1) -> Story:
    """An answered call."""
    story = Story(key, account=account, channel=account)
    story.ring()
    story.end(Outcome.ANSWERED)
    return story


def path_of(events: list[Told] | UUID, query: str = "") -> str:
    """Return the recording's path of a call."""
    uid = events if isinstance(events, UUID) else events[0].subject
    return f"/api/v1/calls/{uid}/recording{query}"


def link(uid: UUID, sound: bytes, account: int = 1, lives: timedelta = timedelta(hours=1)) -> str:
    """Return the path and query of a link that ingest gave."""
    parts = urlsplit(LINKS.link(account, uid, sha256(sound), datetime.now(UTC) + lives))
    return f"{parts.path}?{parts.query}"


async def chunks(sound: bytes) -> AsyncIterator[bytes]:
    """Yield a sound as it comes in."""
    for start in range(0, len(sound), 100_000):
        yield sound[start : start + 100_000]


def sha256(sound: bytes) -> str:
    return hashlib.sha256(sound).hexdigest()


async def test_the_recording_comes_byte_for_byte_with_all_that_a_player_needs(player: Player) -> None:
    events = await player.recorded("one", MP3)
    heard = await player.get(path_of(events))
    assert (heard.status, heard.body) == (200, MP3)
    assert {
        name: heard.headers.get(name)
        for name in (
            "Content-Type",
            "Content-Length",
            "Content-Disposition",
            "Accept-Ranges",
            "Cache-Control",
            "ETag",
            "X-Content-Type-Options",
            "Content-Range",
        )
    } == {
        "Content-Type": "audio/mpeg",
        "Content-Length": str(len(MP3)),
        "Content-Disposition": f'inline; filename="{events[0].subject}.mp3"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "private",
        "ETag": f'"{sha256(MP3)}"',
        "X-Content-Type-Options": "nosniff",
        "Content-Range": None,
    }
    head = await player.get(path_of(events), method="HEAD", Range="bytes=0-1")
    assert (head.status, head.body) == (200, b"")
    for name in set(heard.headers) | set(head.headers):
        assert head.headers.get(name) == heard.headers.get(name) or name.lower() in ("date", "x-request-id")


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=100-", 100, len(MP3)),
        ("bytes=-7", len(MP3) - 7, len(MP3)),
        ("bytes=5-999999", 5, len(MP3)),
        ("bytes=-999999", 0, len(MP3)),
    ],
)
async def test_a_part_comes_byte_for_byte(player: Player, asked: str, start: int, end: int) -> None:
    events = await player.recorded("one", MP3)
    for path, token in ((path_of(events), "ours"), (link(events[0].subject, MP3), None)):
        heard = await player.get(path, token, Range=asked)
        assert (heard.status, heard.body) == (206, MP3[start:end])
        assert heard.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(MP3)}"
        assert heard.headers["Content-Length"] == str(end - start)
        assert heard.headers["ETag"] == f'"{sha256(MP3)}"'


async def test_a_part_behind_the_end_is_416_and_says_how_long_it_is(player: Player) -> None:
    events = await player.recorded("one", MP3)
    for asked in (f"bytes={len(MP3)}-", "bytes=-0"):
        heard = await player.get(path_of(events), Range=asked)
        assert (heard.status, heard.headers["Content-Range"]) == (416, f"bytes */{len(MP3)}")


@pytest.mark.parametrize("asked", ["bytes=0-1,3-4", "bytes=9-1", "bytes=x", "lines=0-1", "bytes=" + "9" * 5000 + "-"])
async def test_a_part_that_is_not_understood_is_the_whole(player: Player, asked: str) -> None:
    events = await player.recorded("one", MP3)
    heard = await player.get(path_of(events), Range=asked)
    assert (heard.status, heard.body) == (200, MP3)


async def test_a_part_of_another_version_is_the_whole(player: Player) -> None:
    events = await player.recorded("one", MP3)
    for condition, status in (
        (f'"{sha256(MP3)}"', 206),
        (f'"{sha256(WAV)}"', 200),
        (f'W/"{sha256(MP3)}"', 200),
        ("Mon, 02 Mar 2026 09:15:04 GMT", 200),
    ):
        heard = await player.get(path_of(events), Range="bytes=1-5", If_Range=condition)
        assert (heard.status, heard.body) == (status, MP3[1:6] if status == 206 else MP3), condition


async def test_a_player_that_has_it_is_told_so(player: Player) -> None:
    events = await player.recorded("one", MP3)
    for known in (f'"{sha256(MP3)}"', f'"x", W/"{sha256(MP3)}"', "*"):
        heard = await player.get(path_of(events), If_None_Match=known)
        assert (heard.status, heard.body, heard.headers["ETag"]) == (304, b"", f'"{sha256(MP3)}"')
    assert (await player.get(path_of(events), If_None_Match='"other"')).status == 200


async def test_a_large_recording_comes_whole_and_in_parts(player: Player) -> None:
    sound = b"OggS" + os.urandom(3_000_000)
    events = await player.recorded("large", sound)
    heard = await player.get(path_of(events))
    assert (heard.status, heard.headers["Content-Type"]) == (200, "audio/ogg")
    assert heard.body == sound
    middle = await player.get(path_of(events), Range="bytes=1000000-1999999")
    assert middle.body == sound[1_000_000:2_000_000]


async def test_of_several_the_latest_is_played_and_any_other_by_its_hash(player: Player) -> None:
    events = await player.recorded("three", MP3, WAV, OTHER_MP3)
    assert (await player.get(path_of(events))).body == OTHER_MP3
    wav = await player.get(path_of(events, f"?sha256={sha256(WAV)}"))
    assert (wav.body, wav.headers["Content-Type"]) == (WAV, "audio/wav")
    assert wav.headers["Content-Disposition"].endswith('.wav"')
    for wrong in ("0" * 64, "x", "..%2F..", "%00", sha256(MP3).upper()):
        assert (await player.get(path_of(events, f"?sha256={wrong}"))).status == 404, wrong


async def test_what_is_no_audio_is_a_download_of_bytes_and_nothing_else(player: Player) -> None:
    page = b"<script>alert(1)</script>"
    events = await player.recorded("odd", page)
    heard = await player.get(path_of(events))
    assert (heard.body, heard.headers["Content-Type"]) == (page, "application/octet-stream")


@pytest.mark.parametrize("address", ["https://rec.example.net/a b.mp3?x=1", "http://rec.example.net/1"])
async def test_a_recording_that_only_the_provider_has_is_a_redirect(player: Player, address: str) -> None:
    story = told("elsewhere")
    story.note(recording=Recording(url=address))
    await player.api.store(story.events)
    for method in ("GET", "HEAD"):
        heard = await player.get(path_of(story.uid), method=method)
        assert (heard.status, heard.headers["Location"]) == (302, str(URL(address)))
    assert (await player.get(path_of(story.uid, "?sha256=" + "0" * 64))).status == 404


async def test_ours_is_played_before_the_providers(player: Player) -> None:
    story = told("both")
    story.note(recording=Recording(key=await player.keep(MP3, story.uid)))
    story.note(recording=Recording(url="https://rec.example.net/1.mp3"))
    await player.api.store(story.events)
    assert (await player.get(path_of(story.uid))).body == MP3


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "file:///etc/passwd", "/local", "http://[bad", "https://", ""]
)
async def test_nobody_is_sent_where_no_recording_can_be(player: Player, address: str) -> None:
    story = told("odd")
    story.note(recording=Recording(url=address))
    await player.api.store(story.events)
    assert (await player.get(path_of(story.uid))).status == 404


async def test_without_a_recording_or_without_the_call_it_is_404(player: Player) -> None:
    story = told("none")
    gone = told("gone")
    gone.note(recording=Recording(key=f"1/{gone.uid}/{'0' * 64}"))
    deleted = told("deleted")
    deleted.note(recording=Recording(key=await player.keep(MP3, deleted.uid)))
    deleted.note(deleted=True, authority=Authority.PERSON)
    await player.api.store(story.events, gone.events, deleted.events)
    for uid in (story.uid, gone.uid, deleted.uid, uuid4()):
        assert (await player.get(path_of(uid))).status == 404
    assert (await player.get("/api/v1/calls/x/recording")).status == 404


async def test_another_accounts_recording_is_as_unknown_as_none(player: Player) -> None:
    events = await player.recorded("one", MP3)
    for path in (path_of(events), path_of(events, f"?sha256={sha256(MP3)}")):
        assert (await player.get(path, "theirs")).status == 404


@pytest.mark.parametrize("account", [1, 2])
async def test_an_event_opens_nothing_of_another_call_or_account(player: Player, account: int) -> None:
    victim = await player.recorded("victim", MP3, account=account)
    thief = told("thief")
    thief.note(recording=Recording(key=f"{account}/{victim[0].subject}/{sha256(MP3)}"))
    thief.note(recording=Recording(key="../../etc/passwd"))
    await player.api.store(thief.events)
    assert (await player.get(path_of(thief.uid))).status == 404
    assert (await player.get(path_of(thief.uid, f"?sha256={sha256(MP3)}"))).status == 404
    shown = (await player.api.get(f"/api/v1/calls/{thief.uid}"))[1]["recordings"]
    assert [recording.get("url") for recording in shown] == [None, None]


@pytest.mark.parametrize(("token", "status"), [(None, 401), ("wrong", 401), ("writer", 403), ("reader", 200)])
async def test_a_token_that_may_read_calls_is_needed(player: Player, token: str | None, status: int) -> None:
    events = await player.recorded("one", MP3)
    assert (await player.get(path_of(events), token)).status == status


async def test_a_signed_link_needs_no_token_and_no_event(player: Player) -> None:
    uid = uuid4()
    await player.keep(MP3, uid, account=2)
    heard = await player.get(link(uid, MP3, account=2), token=None)
    assert (heard.status, heard.body, heard.headers["Content-Type"]) == (200, MP3, "audio/mpeg")
    head = await player.get(link(uid, MP3, account=2), token=None, method="HEAD")
    assert (head.status, head.headers["Content-Length"]) == (200, str(len(MP3)))


async def test_a_signed_link_plays_while_the_database_is_away_and_a_token_is_told_to_come_back(tmp_path: Path) -> None:
    (tmp_path / "link.key").write_bytes(LINK_KEY)
    settings = Settings(
        amqp_url="amqp://guest:guest@127.0.0.1:1/",
        postgres_dsn="postgres://nobody@127.0.0.1:1/none",
        listen_port=0,
        recordings_url=(tmp_path / "recordings").as_uri(),
        link_key_file=tmp_path / "link.key",
    )
    uid = uuid4()
    store = Recordings.open((tmp_path / "recordings").as_uri())
    async with (
        serving(create(settings), settings) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        upload = await store.receive(chunks(MP3), 2**20)
        await store.keep(upload, 1, uid)
        async with session.get(URL(link(uid, MP3), encoded=True)) as answer:
            assert (answer.status, await answer.read()) == (200, MP3)
        async with session.get(path_of(uid), headers={"Authorization": "Bearer ours"}) as answer:
            assert (answer.status, int(answer.headers["Retry-After"]) >= 1) == (503, True)


async def test_a_signed_link_to_what_is_not_there_is_404(player: Player) -> None:
    assert (await player.get(link(uuid4(), MP3), token=None)).status == 404


async def test_a_link_that_is_changed_over_or_not_ours_is_403_whatever_else_is_shown(player: Player) -> None:
    uid, other = uuid4(), uuid4()
    for each in (uid, other):
        await player.keep(MP3, each)
        await player.keep(WAV, each)
    good = link(uid, MP3)
    wrong = [
        link(uid, MP3, lives=timedelta(seconds=-1)),
        good.replace(str(uid), str(other)),
        good.replace(sha256(MP3), sha256(WAV)),
        good.replace("account=1", "account=2"),
        good.replace("expires=", "expires=9"),
        good[:-1],
        good.partition("&signature=")[0] + "&signature=",
        f"{path_of(uid)}?signature=%FF%00",
        Links(b"another key of the right length", BASE_URL)
        .link(1, uid, sha256(MP3), datetime.now(UTC) + timedelta(hours=1))
        .removeprefix(BASE_URL.rstrip("/")),
    ]
    for path in wrong:
        for token in (None, "ours"):
            heard = await player.get(path, token)
            assert (heard.status, heard.headers["Content-Type"]) == (403, "application/problem+json"), path
    assert (await player.get(good, token=None)).status == 200


async def test_every_api_shows_a_fresh_link_that_plays_the_recording(player: Player) -> None:
    events = await player.recorded("one", MP3, WAV)
    uid = events[0].subject
    call = (await player.api.get(f"/api/v1/calls/{uid}"))[1]
    assert [recording["key"] for recording in call["recordings"]] == [f"1/{uid}/{sha256(s)}" for s in (MP3, WAV)]
    listed = (await player.api.get("/api/v1/calls"))[1]["items"][0]
    crm = (await player.api.get("/voip/calls.json"))[1][0]
    shown = (await player.api.get(f"/voip/calls/{crm['id']}.json"))[1]
    expected = [MP3, WAV, MP3, WAV, WAV, WAV]
    links = [recording["url"] for source in (call, listed) for recording in source["recordings"]]
    for url, sound in zip([*links, crm["recording_url"], shown["recording_url"]], expected, strict=True):
        assert url.startswith(BASE_URL)
        lives = int(URL(url).query["expires"]) - time.time()
        assert 23 * 3600 < lives <= 24 * 3600
        parts = urlsplit(url)
        heard = await player.get(f"{parts.path}?{parts.query}", token=None)
        assert (heard.status, heard.body) == (200, sound)


async def test_a_providers_address_is_shown_as_it_was_told(player: Player) -> None:
    story = told("elsewhere")
    story.note(recording=Recording(key=await player.keep(MP3, story.uid)))
    story.note(recording=Recording(url="https://rec.example.net/1.mp3"))
    await player.api.store(story.events)
    assert (await player.api.get("/voip/calls.json"))[1][0]["recording_url"] == "https://rec.example.net/1.mp3"


async def test_one_that_becomes_shorter_while_it_is_sent_is_cut_off_and_not_taken_for_whole(
    player: Player, tmp_path: Path
) -> None:
    sound = b"ID3\x04" + os.urandom(40_000_000)  # more than all buffers between the store and here
    events = await player.recorded("large", sound)
    file = tmp_path / "recordings" / "1" / str(events[0].subject) / sha256(sound)
    headers = {"Authorization": "Bearer ours"}
    async with player.api.session.get(player.api.url + path_of(events), headers=headers) as answer:
        assert (answer.status, answer.content_length) == (200, len(sound))
        await answer.content.readexactly(1000)
        os.truncate(file, 2_000)
        with pytest.raises(aiohttp.ClientError):
            await answer.read()
    assert (await player.get(path_of(events), Range="bytes=0-9")).body == sound[:10]


async def test_a_listener_who_takes_nothing_is_cut_off(
    player: Player, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "_STALLED_SECONDS", 0.5)
    sound = b"ID3\x04" + os.urandom(40_000_000)  # more than all buffers between the store and here
    events = await player.recorded("large", sound)
    headers = {"Authorization": "Bearer ours"}
    with capture_logs() as lines:

        async def cut_off() -> bool:
            return any(line["event"] == "recording_cut_off" for line in lines)

        async with player.api.session.get(player.api.url + path_of(events), headers=headers) as answer:
            await until(cut_off, "who takes nothing is cut off")
            with pytest.raises(aiohttp.ClientError):
                await answer.read()


async def test_listeners_who_are_slow_or_go_away_keep_no_file_open(player: Player, tmp_path: Path) -> None:
    sound = b"ID3\x04" + os.urandom(20_000_000)
    events = await player.recorded("large", sound)

    async def nothing_open() -> bool:
        return not await asyncio.to_thread(open_files, tmp_path)

    gc.disable()  # nobody else may have to tidy up
    try:
        async with AsyncExitStack() as stack:
            for _ in range(20):
                answer = await stack.enter_async_context(
                    player.api.session.get(
                        player.api.url + path_of(events),
                        headers={"Authorization": "Bearer ours", "Connection": "close"},
                    )
                )
                await answer.content.readexactly(1000)
            await until(nothing_open, "what waits for slow listeners holds no file open")
        await until(nothing_open, "those who went away left no file open")
    finally:
        gc.enable()
    assert (await player.get(path_of(events))).body == sound


def open_files(folder: Path) -> list[str]:
    """Return the files below `folder` that this process has open."""
    found = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            found.append(str(each.readlink()))
    return [path for path in found if path.startswith(f"{folder}/")]


async def test_a_store_that_is_away_is_503_and_the_rest_of_the_service_goes_on(player: Player, tmp_path: Path) -> None:
    (tmp_path / "recordings").write_bytes(b"a file where the folder should be")
    story = told("one")
    story.note(recording=Recording(key=f"1/{story.uid}/{sha256(MP3)}"))
    await player.api.store(story.events)
    for path, token in ((path_of(story.uid), "ours"), (link(story.uid, MP3), None)):
        heard = await player.get(path, token)
        assert heard.status == 503
        assert int(heard.headers["Retry-After"]) >= 1
    assert (await player.api.get(f"/api/v1/calls/{story.uid}"))[0] == 200


async def test_what_crashed_uploads_left_is_swept_after_a_day_and_nothing_else(
    dsn: str, admin: asyncpg.Connection[Any], tmp_path: Path
) -> None:
    incoming = tmp_path / "recordings" / "incoming"
    incoming.mkdir(parents=True)
    old, new, kept = incoming / ("0" * 32), incoming / ("1" * 32), tmp_path / "recordings" / "1" / "kept"
    kept.parent.mkdir()
    for file in (old, new, kept):
        file.write_bytes(MP3)
    for file, hours in ((old, 25), (new, 23), (kept, 1000)):
        os.utime(file, (time.time() - hours * 3600,) * 2)
    settings = Settings(
        amqp_url="amqp://guest:guest@127.0.0.1:1/",
        postgres_dsn=dsn,
        recordings_url=(tmp_path / "recordings").as_uri(),
    )
    async with serving(create(settings), settings):
        await until(lambda: asyncio.to_thread(lambda: not old.exists()), "the old upload is swept")
    assert new.exists()
    assert kept.exists()


async def test_without_a_key_for_links_there_are_none_and_a_token_plays_all_the_same(
    dsn: str, writer: Writer, api: Api, player: Player, tmp_path: Path
) -> None:
    events = await player.recorded("one", MP3)
    settings = Settings(
        amqp_url="amqp://guest:guest@127.0.0.1:1/",
        postgres_dsn=dsn,
        listen_port=0,
        recordings_url=(tmp_path / "recordings").as_uri(),
    )
    async with serving(create(settings), settings) as port:
        keyless = Player(Api(api.session, f"http://127.0.0.1:{port}", writer), player.store)

        async def answers() -> bool:
            return (await keyless.api.get("/voip/calls"))[0] == 200

        await until(answers, "the directory is read")
        assert (await keyless.get(path_of(events))).body == MP3
        assert (await keyless.get(link(events[0].subject, MP3), token=None)).status == 403
        assert (await keyless.api.get("/voip/calls"))[1][0]["recording_url"] is None
        shown = (await keyless.api.get(f"/api/v1/calls/{events[0].subject}"))[1]["recordings"]
        assert [recording.get("url") for recording in shown] == [None]

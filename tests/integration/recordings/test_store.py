"""Recordings on a real disk, and (in memory) as in a bucket."""

import asyncio
import hashlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from shared.recordings import Found, NoRecording, Recordings, RecordingsUnavailable, TooLarge, Upload, _store

UID = UUID("0470ed2a-3745-525b-a6ac-8c76e888dfb6")
SOUND = bytes(range(256)) * 4096  # a megabyte: several buffers
SHA256 = hashlib.sha256(SOUND).hexdigest()
LIMIT = 2**21


async def chunks(content: bytes, size: int = 60_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def whole(store: Recordings, key: str, start: int = 0, end: int = len(SOUND)) -> bytes:
    return b"".join([chunk async for chunk in store.read(key, start, end)])


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "the recordings"


@pytest.fixture(params=["disk", "bucket"])
def store(request: pytest.FixtureRequest, folder: Path) -> Recordings:
    return Recordings.open(folder.as_uri() if request.param == "disk" else "memory:///")


async def test_what_is_received_and_kept_can_be_found_and_read(store: Recordings) -> None:
    upload = await store.receive(chunks(SOUND), LIMIT)

    key = await store.keep(upload, 7, UID)

    assert (upload.sha256, upload.size_bytes, upload.head) == (SHA256, len(SOUND), SOUND[:64])
    assert key == f"7/{UID}/{SHA256}"
    assert await store.find(key) == Found(len(SOUND))
    assert await whole(store, key) == SOUND


async def test_ranges(store: Recordings) -> None:
    key = await store.keep(await store.receive(chunks(SOUND), LIMIT), 7, UID)

    for start, end in ((0, 1), (1, 300_001), (len(SOUND) - 1, len(SOUND)), (5, 5), (6, 5)):
        assert await whole(store, key, start, end) == SOUND[start:end]


async def test_of_one_that_became_shorter_what_is_left_is_read_and_then_nothing(folder: Path) -> None:
    store = Recordings.open(folder.as_uri())
    key = await store.keep(await store.receive(chunks(SOUND), LIMIT), 7, UID)
    async with aclosing(store.read(key, 0, len(SOUND))) as pieces:
        first = await anext(pieces)
        os.truncate(folder / key, 300_001)

        rest = b"".join([piece async for piece in pieces])

    assert first + rest == SOUND[:300_001]


async def test_a_head_is_gathered_from_small_chunks_and_nothing_is_a_file_too(store: Recordings) -> None:
    small = await store.receive(chunks(b"OggS" + bytes(100), 3), LIMIT)
    empty = await store.receive(chunks(b""), LIMIT)

    assert small.head == b"OggS" + bytes(60)
    assert (empty.size_bytes, empty.head) == (0, b"")
    assert await store.find(await store.keep(empty, 7, UID)) == Found(0)


async def test_keeping_the_same_twice_and_at_once_keeps_it_once(store: Recordings) -> None:
    uploads = await asyncio.gather(*(store.receive(chunks(SOUND), LIMIT) for _ in range(8)))
    assert len({upload.path for upload in uploads}) == 8

    keys = set(await asyncio.gather(*(store.keep(upload, 7, UID) for upload in uploads)))

    assert keys == {f"7/{UID}/{SHA256}"}
    assert await whole(store, keys.pop()) == SOUND
    assert await store.sweep(older_than_seconds=-1) == 0


async def test_calls_and_accounts_do_not_share_what_they_keep(store: Recordings) -> None:
    other = uuid4()
    first = await store.keep(await store.receive(chunks(SOUND), LIMIT), 7, UID)
    second = await store.keep(await store.receive(chunks(SOUND), LIMIT), 7, other)

    assert first != second
    assert await store.find(f"8/{UID}/{SHA256}") is None


async def test_discarding_is_forgetting_and_never_touches_what_is_kept(store: Recordings) -> None:
    gone = await store.receive(chunks(SOUND), LIMIT)
    kept = await store.receive(chunks(SOUND), LIMIT)
    key = await store.keep(kept, 7, UID)

    for upload in (gone, gone, kept):
        await store.discard(upload)

    assert await store.find(key) == Found(len(SOUND))
    assert await store.sweep(older_than_seconds=-1) == 0
    with pytest.raises(RecordingsUnavailable):
        await store.keep(gone, 7, UID)


@pytest.mark.parametrize("late", [0, 700_000])
async def test_an_upload_that_breaks_leaves_nothing(folder: Path, late: int) -> None:
    store = Recordings.open(folder.as_uri())

    async def broken() -> AsyncIterator[bytes]:
        async for chunk in chunks(SOUND[:late]):
            yield chunk
        raise ConnectionResetError("the client has gone")

    with pytest.raises(ConnectionResetError):
        await store.receive(broken(), LIMIT)
    with pytest.raises(TooLarge):
        await store.receive(chunks(SOUND), 900_000)

    assert await store.receive(chunks(SOUND[:900_000]), 900_000)
    assert len(files(folder)) == 1


async def test_an_upload_that_is_cancelled_leaves_nothing(folder: Path) -> None:
    store = Recordings.open(folder.as_uri())
    halfway = asyncio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        async for chunk in chunks(SOUND[:700_000]):
            yield chunk
        halfway.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(store.receive(stalling(), LIMIT))
    await halfway.wait()
    assert files(folder) != set()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert files(folder) == set()


async def test_what_a_killed_process_left_is_swept_once_it_is_old(folder: Path) -> None:
    store = Recordings.open(folder.as_uri())
    key = await store.keep(await store.receive(chunks(SOUND), LIMIT), 7, UID)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.recordings.killed_upload", folder.as_uri(), stdout=-1
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"halfway\n"
    process.send_signal(signal.SIGKILL)
    await process.wait()
    left = files(folder) - {key}
    assert left != set()

    assert await store.sweep(older_than_seconds=3600) == 0
    for name in left:
        os.utime(folder / name, (1, 1))
    assert await store.sweep(older_than_seconds=3600) == len(left)

    assert files(folder) == {key}


async def test_uploads_in_a_bucket_are_swept_and_kept_ones_are_not() -> None:
    store = Recordings.open("memory:///")
    key = await store.keep(await store.receive(chunks(SOUND), LIMIT), 7, UID)
    await store.receive(chunks(SOUND), LIMIT)

    assert await store.sweep(older_than_seconds=3600) == 0
    assert await store.sweep(older_than_seconds=-1) == 1
    assert await store.find(key) is not None


@pytest.mark.parametrize(
    "key",
    [
        "",
        "secret",
        "../secret",
        f"7/{UID}/../../../secret",
        f"/7/{UID}/{SHA256}",
        f"7/{UID}/{SHA256}/x",
        f"7/{UID}/{SHA256[:-1]}",
        f"7/{UID}/{SHA256}\n",
        f"7/{str(UID).upper()}/{SHA256}",
        f"0/{UID}/{SHA256}",
        f"٧/{UID}/{SHA256}",
        f"7/%2e%2e/{SHA256}",
        "incoming/" + "a" * 32,
        "7/\0/x",
    ],
)
async def test_wrong_keys_never_reach_the_store(folder: Path, key: str) -> None:
    (folder.parent / "secret").write_text("s")
    store = Recordings.open(folder.as_uri())

    assert await store.find(key) is None
    with pytest.raises(NoRecording):
        await whole(store, key)
    for upload in (Upload(key, SHA256, 1, b""), Upload("../secret", SHA256, 1, b"")):
        if upload.path.startswith("incoming/"):
            continue
        with pytest.raises(ValueError, match="no upload"):
            await store.keep(upload, 7, UID)
        with pytest.raises(ValueError, match="no upload"):
            await store.discard(upload)
    for account, sha256 in ((0, SHA256), (-1, SHA256), (7, "../" + SHA256), (7, "")):
        with pytest.raises(ValueError, match="no key"):
            await store.keep(Upload("incoming/" + "a" * 32, sha256, 1, b""), account, UID)


async def test_a_recording_that_is_not_there_is_none(store: Recordings) -> None:
    assert await store.find(f"7/{UID}/{SHA256}") is None
    with pytest.raises(NoRecording):
        await whole(store, f"7/{UID}/{SHA256}")


async def test_a_store_that_can_not_be_written_says_so_and_recovers(folder: Path) -> None:
    folder.write_text("a file where the folder should be")
    store = Recordings.open(folder.as_uri())

    with pytest.raises(RecordingsUnavailable) as failure:
        await store.receive(chunks(SOUND), LIMIT)
    assert failure.value.retry_after_seconds
    folder.unlink()

    assert await store.keep(await store.receive(chunks(SOUND), LIMIT), 7, UID)


async def test_a_bucket_that_never_answers_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = asyncio.Event()

    async def silence(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answered.wait()
        writer.close()

    async with await asyncio.start_server(silence, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        for name, value in (
            ("ENDPOINT", f"http://127.0.0.1:{port}"),
            ("ALLOW_HTTP", "true"),
            ("REGION", "nowhere"),
            ("ACCESS_KEY_ID", "nobody"),
            ("SECRET_ACCESS_KEY", "nothing"),
        ):
            monkeypatch.setenv(f"AWS_{name}", value)
        monkeypatch.setattr(_store, "_ANSWER_SECONDS", 0.5)
        store = Recordings.open("s3://bucket/calls")
        with pytest.raises(RecordingsUnavailable):
            await store.find(f"7/{UID}/{SHA256}")
        with pytest.raises(RecordingsUnavailable):
            await whole(store, f"7/{UID}/{SHA256}")
        answered.set()


async def test_what_is_kept_is_synced_to_the_disk_with_every_name_on_the_way(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, set[str]]] = []
    fsync = os.fsync

    def watched(handle: int) -> None:
        fsync(handle)
        path = Path(f"/proc/self/fd/{handle}").readlink()
        synced.append((path.name, files(folder)))

    store = Recordings.open(folder.as_uri())
    upload = await store.receive(chunks(SOUND), LIMIT)
    monkeypatch.setattr(os, "fsync", watched)

    key = await store.keep(upload, 7, UID)

    file = Path(upload.path).name
    assert synced == [(file, {upload.path}), *((name, {key}) for name in (str(UID), "7", folder.name))]


async def test_a_new_folder_and_those_above_it_are_synced_where_they_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    fsync = os.fsync

    def watched(handle: int) -> None:
        fsync(handle)
        synced.append(Path(f"/proc/self/fd/{handle}").readlink())

    monkeypatch.setattr(os, "fsync", watched)
    await Recordings.open((tmp_path / "lib" / "callbus" / "recordings").as_uri()).receive(chunks(SOUND), LIMIT)

    assert set(synced) == {tmp_path, tmp_path / "lib", tmp_path / "lib" / "callbus"}


async def test_a_folder_is_private(folder: Path) -> None:
    store = Recordings.open(folder.as_uri())
    await store.receive(chunks(SOUND), LIMIT)

    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("url", ["", "/var/lib", "file://host/x", "ftp://x", "http://x/y", "s3:"])
def test_a_url_that_is_no_store_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="recordings"):
        Recordings.open(url)

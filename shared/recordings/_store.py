"""Recordings in an object store: uploads come in under a random name and are moved to their key once they are wanted.

A key names its content, so keeping the same recording twice is harmless, and what is kept never changes.
"""

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager, suppress
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Self
from urllib.parse import unquote, urlsplit
from uuid import UUID

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from shared import clock
from shared.disk import make_folder, sync
from shared.recordings._keys import INCOMING, is_key, is_upload, key_of, new_upload
from shared.recordings.errors import NoRecording, RecordingsUnavailable, TooLarge

if TYPE_CHECKING:
    from obstore.store import RetryConfig

_HEAD_BYTES: Final = 64
_DISK_READ_BYTES: Final = 64 * 1024
_BUCKET_READ_BYTES: Final = 256 * 1024
_DISK_BUFFER_BYTES: Final = 256 * 1024
_BUCKET_BUFFER_BYTES: Final = 5 * 1024 * 1024  # the smallest part that S3 takes
_ANSWER_SECONDS = 10.0
"""Who has not answered a question, or sent the next piece, within this is away."""
_RETRIES: Final["RetryConfig"] = {"max_retries": 4, "retry_timeout": timedelta(seconds=15)}
"""Of one request to a bucket. The library's own are ten, for three minutes: those who wait give up before."""
_SCHEMES: Final = frozenset({"local", "s3", "gcs", "azure", "memory"})


class Upload(NamedTuple):
    """What came in, whole: where it is now, and what it is."""

    path: str
    sha256: str  # hexadecimal
    size_bytes: int
    head: bytes  # its first 64 bytes


class Found(NamedTuple):
    """One recording that is kept."""

    size_bytes: int


class Recordings:
    """One store. It is first touched when it is first used, so a service starts while it is away.

    Every method raises `RecordingsUnavailable` where the store can't.
    """

    def __init__(self, url: str, folder: Path | None) -> None:
        self._url = url
        self._folder = folder  # on a local disk

    @classmethod
    def open(cls, url: str) -> Self:
        """Return the store at `url`: file:///folder, s3://bucket, gs://bucket, az://account/container, each with a path
        behind it if wanted, or memory:///. Raises `ValueError` for anything else.
        """
        try:
            scheme: str = obstore.parse_scheme(url)
        except (BaseError, ValueError):
            scheme = "unknown"
        if scheme not in _SCHEMES:
            raise ValueError("the URL of the recordings is file:///folder, or s3://, gs:// or az:// with a bucket")
        return cls(url, Path(unquote(urlsplit(url).path)) if scheme == "local" else None)

    async def receive(self, chunks: AsyncIterator[bytes], limit_bytes: int) -> Upload:
        """Return what `chunks` bring, stored as an upload: `keep` or `discard` it. Raises `TooLarge`.

        No more than a buffer of it is in memory. Whatever goes wrong, in `chunks` or in the store, nothing stays.
        """
        path = new_upload()
        digest, size, head = hashlib.sha256(), 0, b""
        with _failures():
            writer = obstore.open_writer_async(
                self._store,
                path,
                buffer_size=_BUCKET_BUFFER_BYTES if self._folder is None else _DISK_BUFFER_BYTES,
                max_concurrency=1,
            )
        try:
            async for chunk in chunks:
                size += len(chunk)
                if size > limit_bytes:
                    raise TooLarge(f"the file is larger than {limit_bytes / 2**20:.3g} MiB")
                digest.update(chunk)
                if len(head) < _HEAD_BYTES:
                    head = (head + chunk)[:_HEAD_BYTES]
                with _failures():
                    await writer.write(chunk)
            with _failures():
                await writer.close()
        except BaseException:
            del writer  # what it has written so far goes with it
            with suppress(RecordingsUnavailable):
                await self._delete(path)
            raise
        return Upload(path, digest.hexdigest(), size, head)

    async def keep(self, upload: Upload, account: int, uid: UUID) -> str:
        """Return the key under which `upload` is kept from now on, of call `uid` of `account`.

        On a local disk it is there after a power cut too.
        """
        key = key_of(account, uid, upload.sha256)
        _check_upload(upload)
        with _failures():
            if self._folder is not None:
                await asyncio.to_thread(sync, self._folder / upload.path)
            await obstore.rename_async(self._store, upload.path, key)
            if self._folder is not None:
                await asyncio.to_thread(_sync_folders, self._folder, self._folder / key)
        return key

    async def discard(self, upload: Upload) -> None:
        """Forget `upload`; harmless where it is kept or gone."""
        _check_upload(upload)
        await self._delete(upload.path)

    async def find(self, key: str) -> Found | None:
        """Return what is kept under `key`, whatever text that is; None where there is nothing."""
        if not is_key(key):
            return None
        with _failures():
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    meta = await obstore.head_async(self._store, key)
            except FileNotFoundError:
                return None
        return Found(meta["size"])

    async def read(self, key: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of a recording from `start` up to, not including, `end`; fewer where it is shorter.

        Raises `NoRecording`. Close it where it is not read to its end: a bucket's answer is open until then.
        """
        if not is_key(key):
            raise NoRecording("this is no key of a recording")
        if start >= end:
            return
        with _failures():
            try:
                pieces = self._from_bucket if self._folder is None else self._from_disk
                async with aclosing(pieces(key, start, end)) as read:
                    async for piece in read:
                        yield piece
            except FileNotFoundError:
                raise NoRecording("there is no such recording") from None

    async def _from_bucket(self, key: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        async with asyncio.timeout(_ANSWER_SECONDS):
            answer = await obstore.get_async(self._store, key, options={"range": (start, end)})
        pieces = aiter(answer.stream(min_chunk_size=_BUCKET_READ_BYTES))
        while True:
            async with asyncio.timeout(_ANSWER_SECONDS):
                piece = await anext(pieces, None)
            if piece is None:
                return
            yield bytes(piece)

    async def _from_disk(self, key: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """A piece at a time, so that no file is open while whoever reads it is slow.

        As one stream the library would also read a file that became shorter for ever, waiting for the rest.
        """
        for at in range(start, end, _DISK_READ_BYTES):
            piece_end = min(end, at + _DISK_READ_BYTES)
            piece = bytes(await obstore.get_range_async(self._store, key, start=at, end=piece_end))
            yield piece
            if at + len(piece) < piece_end:
                return

    async def sweep(self, older_than_seconds: float) -> int:
        """Delete uploads that nobody has written to for so long: a process died over them. Return how many."""
        with _failures():
            if self._folder is not None:
                return await asyncio.to_thread(_sweep_folder, self._folder / INCOMING, older_than_seconds)
            before = clock.now() - timedelta(seconds=older_than_seconds)
            old = [
                meta["path"]
                async for page in obstore.list(self._store, f"{INCOMING}/")
                for meta in page
                if meta["last_modified"] < before
            ]
            for path in old:
                await self._delete(path)
            return len(old)

    @cached_property
    def _store(self) -> ObjectStore:
        if self._url.startswith("memory:"):
            return from_url(self._url)
        if self._folder is None:
            return from_url(self._url, retry_config=_RETRIES)
        make_folder(self._folder)
        return LocalStore(self._folder)

    async def _delete(self, path: str) -> None:
        with _failures(), suppress(FileNotFoundError):
            await obstore.delete_async(self._store, path)


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        reason = str(error).partition("\n")[0][:200]  # the rest is the library's inner state
        raise RecordingsUnavailable(f"the store of recordings fails: {reason or type(error).__name__}", 5.0) from error


def _check_upload(upload: Upload) -> None:
    if not is_upload(upload.path):
        raise ValueError("this is no upload")


def _sync_folders(root: Path, file: Path) -> None:
    """Make the names on the way from `root` to `file` durable: the folders may be new too."""
    for folder in file.parents:
        sync(folder)
        if folder == root:
            return


def _sweep_folder(folder: Path, older_than_seconds: float) -> int:
    """The library does not list files that it had not finished writing; the disk does."""
    before = time.time() - older_than_seconds
    swept = 0
    with suppress(FileNotFoundError):  # nothing ever came in; or somebody else swept it
        for entry in os.scandir(folder):
            with suppress(FileNotFoundError):
                if entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime < before:
                    Path(entry.path).unlink()
                    swept += 1
    return swept

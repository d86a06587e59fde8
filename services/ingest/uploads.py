"""Reading a request of the channel-key API: its fields into memory, its file straight into the store of recordings."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from typing import Any, Final, NamedTuple

from aiohttp import web
from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser, parse_options_header

from services.ingest import bodies, metrics
from services.ingest.door import Seen
from services.ingest.errors import Incomplete, TooMuch, Unreadable, WrongField
from services.ingest.limits import NoneFree, Slots
from services.ingest.providers.channel_key.fields import FILE, canonical
from services.ingest.settings import Settings
from shared.http import Problem, body_pieces, read_body
from shared.recordings import Recordings, RecordingsUnavailable, TooLarge, Upload, audio_type

MAX_PARTS: Final = 400
MAX_AT_ONCE: Final = 50
"""Forms that come in on one channel at a time: each is an open file and a megabyte for as long as it may take."""

_RETRY_AFTER_SECONDS: Final = 2


class Audio(NamedTuple):
    """A file that came in and is audio by its bytes; not kept yet."""

    upload: Upload
    content_type: str


class Received(NamedTuple):
    """A request, read."""

    fields: bodies.Fields
    """In their one form, credentials left out; the file by its hash."""
    credentials: tuple[str, ...]
    body: bytes
    """As it came in; instead of the file its hash."""
    audio: Audio | None


@asynccontextmanager
async def received(
    request: web.Request, seen: Seen, recordings: Recordings, settings: Settings, slots: Slots
) -> AsyncIterator[Received]:
    """Yield the request, read whole; if the block fails, the file that came with it is discarded.

    What was read is noted in `seen`. A form takes one of its channel's `slots` while it comes in. Raises
    `errors.Refused`, `Problem` 408, 413, 415 and 429, and `RecordingsUnavailable`.
    """
    if request.content_type.startswith("multipart/"):
        form = _Form(request, recordings, settings)
        try:
            with _slot(slots, seen):
                got = await form.read(seen)
            yield got
        except BaseException:
            await form.discard()
            raise
        return
    seen.body = body = await read_body(request, bodies.MAX_BODY)
    pairs = bodies.pairs_of(body, request.headers.get("Content-Type", "")) if body.strip() else ()
    parsed = canonical(pairs)
    yield Received(parsed.fields, parsed.credentials, body, None)


@contextmanager
def _slot(slots: Slots, seen: Seen) -> Iterator[None]:
    try:
        with slots.one(seen.channel and seen.channel.id):
            yield
    except NoneFree:
        headers = {"Retry-After": str(_RETRY_AFTER_SECONDS)}
        raise Problem(429, detail="too many forms come in on this channel at once", headers=headers) from None


class _Form:
    """One multipart form, while it comes in. The file may come before the fields."""

    def __init__(self, request: web.Request, recordings: Recordings, settings: Settings) -> None:
        self._request = request
        self._recordings = recordings
        self._settings = settings
        self._boundary = _boundary(request.headers.get("Content-Type", ""))
        self._pairs: list[tuple[str, Any]] = []
        self._body = bytearray()
        self._file_bytes = 0
        self._has_file = False
        self._upload: Upload | None = None
        self._content_type = ""
        self._fields_limit = min(settings.body_limit_bytes, bodies.MAX_BODY)
        self._deadline = asyncio.timeout(settings.body_read_seconds)

    async def read(self, seen: Seen) -> Received:
        self._refuse_declared()
        try:
            async with self._deadline:
                await self._parts()
        except TimeoutError:
            raise Problem(408, detail="the body did not arrive in time", headers={"Connection": "close"}) from None
        finally:
            seen.body = bytes(self._body)
        self._body += b"--" + self._boundary + b"--\r\n"
        parsed = canonical(self._pairs)
        body = bytes(self._body)
        if self._upload is None:
            return Received(parsed.fields, parsed.credentials, body, None)
        fields = {**parsed.fields, FILE: f"sha256:{self._upload.sha256}"}
        return Received(fields, parsed.credentials, body, Audio(self._upload, self._content_type))

    async def discard(self) -> None:
        """Forget the file, whole or not, that came with a request which is refused."""
        if self._has_file:
            metrics.UPLOADS.labels("refused").inc()
        await self._forget()

    async def _forget(self) -> None:
        if self._upload is not None:
            with suppress(RecordingsUnavailable):  # then it is swept some day
                await self._recordings.discard(self._upload)

    def _refuse_declared(self) -> None:
        most = self._settings.audio_limit_bytes + self._fields_limit
        if (self._request.content_length or 0) > most:
            raise TooMuch(f"the body is larger than {most / 2**20:.3g} MiB")

    async def _parts(self) -> None:
        async with aclosing(self._pieces()) as pieces:
            await self._each_part(pieces)

    async def _each_part(self, pieces: AsyncIterator[Any]) -> None:
        async for part in pieces:
            if not isinstance(part, MultipartSegment):
                raise Unreadable("the multipart body is broken")
            if not part.name:
                raise Unreadable("a part of the multipart body has no name")
            name = bodies.text_of(part.name.encode("latin-1", "replace"), "")
            if name.strip().lower() == FILE:
                await self._take_file(part, pieces)
            elif part.filename is not None:
                raise Incomplete([WrongField(bodies.clean(name)[: bodies.MAX_NAME], f"is no file; the file is {FILE}")])
            else:
                content = b"".join([piece async for piece in _content(pieces)])
                self._note(part, content)
                self._pairs.append((name, bodies.text_of(content, part.header("Content-Type") or "")))

    async def _take_file(self, part: MultipartSegment, pieces: AsyncIterator[Any]) -> None:
        if self._upload is not None:
            raise Incomplete([WrongField(FILE, "is given twice")])
        self._has_file = True
        loop = asyncio.get_running_loop()
        self._deadline.reschedule(loop.time() + self._settings.audio_read_seconds)
        try:
            upload = await self._recordings.receive(self._counted(_content(pieces)), self._settings.audio_limit_bytes)
        except TooLarge as error:
            raise Problem(413, detail=str(error)) from error
        self._upload = upload  # from here on it is discarded should anything fail
        self._note(part, f"sha256:{upload.sha256}".encode() if upload.size_bytes else b"")
        if not upload.size_bytes and not part.filename:  # a form whose file nobody chose
            await self._forget()
            self._upload, self._has_file = None, False
            return
        content_type = audio_type(upload.head)
        if content_type is None:
            raise Problem(415, detail=f"{FILE} is not an mp3, mp4, wav or ogg file")
        self._content_type = content_type

    def _note(self, part: MultipartSegment, content: bytes) -> None:
        """Write the part into the copy of the body that is kept."""
        self._body += b"--" + self._boundary + b"\r\n"
        for name, value in part.headerlist:
            self._body += f"{name}: {value}\r\n".encode("latin-1", "replace")
        self._body += b"\r\n" + content + b"\r\n"

    async def _pieces(self) -> AsyncGenerator[Any, None]:
        """Yield every part, its content, and None at its end."""
        parser = PushMultipartParser(self._boundary, max_segment_count=MAX_PARTS, header_charset="latin-1")
        taken = 0
        try:
            async with aclosing(body_pieces(self._request)) as chunks:
                async for chunk in chunks:
                    if chunk:  # to the parser, nothing is the end
                        for piece in parser.parse(chunk):
                            yield piece
                    taken += len(chunk)
                    if taken - self._file_bytes > self._fields_limit:
                        raise TooMuch(f"the fields are larger than {self._fields_limit / 2**20:.3g} MiB")
            for piece in parser.parse(b""):
                yield piece
        except ParserLimitReached:
            raise TooMuch(f"more than {MAX_PARTS} parts, or too long a part's header") from None
        except MultipartError as error:
            raise Unreadable(f"the multipart body is broken: {error}") from None
        except ConnectionError as error:
            raise Unreadable("the connection broke before the body was complete") from error

    async def _counted(self, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in content:
            self._file_bytes += len(piece)
            yield piece


async def _content(pieces: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    """Yield the content of the part that has just begun."""
    async for piece in pieces:
        if piece is None:
            return
        yield bytes(piece)


def _boundary(content_type: str) -> bytes:
    _, options = parse_options_header(content_type)
    boundary = options.get("boundary", "").encode("latin-1", "replace")
    if not 0 < len(boundary) <= 200:
        raise Unreadable("the Content-Type names no boundary (of at most 200 characters)")
    return bytes(boundary)

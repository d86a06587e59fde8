"""Where the recordings of a call can be heard, and `GET /api/v1/calls/<uid>/recording`, which plays one of our store.

A link that we signed needs no token and no database, so that it is good as soon as it was given; it is checked by its
signature, and served from the store.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from contextlib import aclosing
from datetime import timedelta
from typing import Any, Final, Never
from uuid import UUID

import orjson
import structlog
from aiohttp import web
from yarl import URL

from services.history.asking import uid_in
from services.history.ranges import Span, Unsatisfiable, wanted_span
from services.history.reading import READER, Row
from shared import clock
from shared.http import Problem, problem
from shared.http.auth import account_token
from shared.recordings import InvalidLink, Links, NoRecording, Recordings, RecordingsUnavailable, audio_type

_LINK_LIVES: Final = timedelta(hours=24)
_HEAD_BYTES: Final = 64
_STALLED_SECONDS = 60.0
"""The next piece (256 kB at the most) is read and taken within this, or the answer is cut off."""
_SWEEP_SECONDS: Final = 3600.0
_LEFT_OVER_SECONDS: Final = 86400.0
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_EXTENSIONS: Final = {"audio/mpeg": ".mp3", "audio/mp4": ".mp4", "audio/wav": ".wav", "audio/ogg": ".ogg"}

log = structlog.get_logger()


class Addresses:
    """Says where recordings can be heard; without `links` nothing of our store can."""

    def __init__(self, links: Links | None) -> None:
        self._links = links

    def of(self, account: int, uid: UUID, recordings: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the recordings of a call, each as it was told, but in our store `url` is a fresh link of a day."""
        expires_at = clock.now() + _LINK_LIVES
        shown = [dict(recording) for recording in recordings]
        for recording in shown:
            sha256 = _sha256(account, uid, recording)
            if sha256 is not None and self._links is not None:
                recording["url"] = self._links.link(account, uid, sha256, expires_at)
        return shown

    def latest(self, row: Row) -> str | None:
        """Return the address of a call's latest recording that has one."""
        recordings = self.of(row["account_id"], row["uid"], orjson.loads(row["recordings"]))
        return next((recording["url"] for recording in reversed(recordings) if recording.get("url")), None)

    def key(self, uid: UUID, query: Mapping[str, str]) -> str:
        """Return the store's key that a link of ours names. Raises `Problem` 403."""
        try:
            if self._links is None:
                raise InvalidLink("links are not signed here")
            return self._links.verify(uid, query, clock.now())
        except InvalidLink as error:
            raise problem(403, detail=str(error), code="link") from None


STORE: Final = web.AppKey("STORE", Recordings)
ADDRESSES: Final = web.AppKey("ADDRESSES", Addresses)


def add_routes(app: web.Application, store: Recordings, links: Links | None) -> None:
    """Serve recordings on `app`."""
    app[STORE], app[ADDRESSES] = store, Addresses(links)
    app.router.add_get("/api/v1/calls/{uid}/recording", _recording)


async def keep_swept(store: Recordings) -> Never:
    """Delete what crashed uploads left in the store, again and again."""
    while True:
        try:
            swept = await store.sweep(_LEFT_OVER_SECONDS)
        except Exception as error:  # whatever it is: calls are taken and answered all the same
            log.warning("recordings_unswept", reason=str(error) or type(error).__name__)
        else:
            if swept:
                log.info("recordings_swept", uploads=swept)
        await asyncio.sleep(_SWEEP_SECONDS)


def _sha256(account: int, uid: UUID, recording: Mapping[str, Any]) -> str | None:
    """Return the content's hash where the recording is in our store.

    Only under its own call: an event may come from a provider's own words, and must open nothing of anybody else.
    """
    folder, _, sha256 = (recording.get("key") or "").rpartition("/")
    return sha256 if folder == f"{account}/{uid}" and _SHA256.fullmatch(sha256) else None


async def _recording(request: web.Request) -> web.StreamResponse:
    if "signature" in request.query:
        uid = uid_in(request)
        return await _play(request, uid, request.app[ADDRESSES].key(uid, request.query))
    token = await account_token(request, "calls:read")
    uid = uid_in(request)
    row = await request.app[READER].call_by_uid(token.account_id, uid)
    if row is None:
        raise problem(404, detail="there is no such call")
    recordings = orjson.loads(row["recordings"])
    ours = [sha256 for each in recordings if (sha256 := _sha256(token.account_id, uid, each)) is not None]
    wanted = request.query.get("sha256") or next(reversed(ours), None)
    if wanted in ours:
        return await _play(request, uid, f"{token.account_id}/{uid}/{wanted}")
    elsewhere = None if wanted else next((url for each in reversed(recordings) if (url := _web_url(each))), None)
    if elsewhere is None:
        raise _no_recording()
    return web.Response(status=302, headers={"Location": str(elsewhere), "Cache-Control": "private"})


def _web_url(recording: Mapping[str, Any]) -> URL | None:
    """Return a provider's address, where a browser may be sent to it."""
    try:
        url = URL(recording.get("url") or "")
    except ValueError:
        return None
    return url if url.scheme in ("http", "https") and url.host else None


def _no_recording() -> Problem:
    return problem(404, detail="there is no such recording")


async def _play(request: web.Request, uid: UUID, key: str) -> web.StreamResponse:
    """Answer with what is kept under `key`, or the part of it that is asked for."""
    store = request.app[STORE]
    found = await store.find(key)
    if found is None:
        raise _no_recording()
    sha256 = key.rpartition("/")[2]
    headers = {"ETag": f'"{sha256}"', "Cache-Control": "private", "Accept-Ranges": "bytes"}
    if any(etag.value in (sha256, "*") for etag in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    part = _part(request, sha256, found.size_bytes)
    whole = Span(0, found.size_bytes)
    media_type = await _media_type(store, key, found.size_bytes)
    name = f"{uid}{_EXTENSIONS.get(media_type, '')}"
    headers |= {"Content-Disposition": f'inline; filename="{name}"', "X-Content-Type-Options": "nosniff"}
    if part is not None:
        headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{found.size_bytes}"
    response = web.StreamResponse(status=200 if part is None else 206, headers=headers)
    response.content_type = media_type
    return await _stream(request, response, store, key, part or whole)


def _part(request: web.Request, sha256: str, size_bytes: int) -> Span | None:
    """Return the part that is wanted, None: all of it. Raises `Problem` 416."""
    if request.method != "GET" or request.headers.get("If-Range", f'"{sha256}"') != f'"{sha256}"':
        return None
    try:
        return wanted_span(request.headers.get("Range"), size_bytes)
    except Unsatisfiable as error:
        raise Problem(416, detail=str(error), headers={"Content-Range": f"bytes */{size_bytes}"}) from None


async def _media_type(store: Recordings, key: str, size_bytes: int) -> str:
    """Return what the file is by its first bytes, as it was judged when it came in."""
    try:
        head = b"".join([chunk async for chunk in store.read(key, 0, min(_HEAD_BYTES, size_bytes))])
    except NoRecording:
        raise _no_recording() from None
    return audio_type(head) or "application/octet-stream"


async def _stream(
    request: web.Request, response: web.StreamResponse, store: Recordings, key: str, part: Span
) -> web.StreamResponse:
    """Send a part of a file, a piece at a time. What can't be sent whole is cut off: its length is promised by then."""
    left = part.end - part.start
    response.content_length = left
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    try:
        async with aclosing(store.read(key, part.start, part.end)) as pieces:
            while left > 0:
                async with asyncio.timeout(_STALLED_SECONDS):
                    piece = await anext(pieces, b"")
                    await response.write(piece)
                if not piece:
                    raise NoRecording("it became shorter")
                left -= len(piece)
    except (NoRecording, RecordingsUnavailable, TimeoutError) as error:
        log.warning("recording_cut_off", reason=str(error) or type(error).__name__)
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("a recording could not be sent whole") from error
    return response

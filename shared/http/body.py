"""Reading a request's body: bounded in size and in time, and decompressed by nobody but us.

aiohttp would refuse a compression that it does not know before any handler, and so without an API's own error body.
"""

import asyncio
import zlib
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any, Final

from aiohttp import web
from aiohttp.web_protocol import RequestPayloadError

from shared.http.problems import Problem
from shared.settings import HttpSettings

SETTINGS: Final = web.AppKey("HTTP_SETTINGS", HttpSettings)

_PIECE_BYTES: Final = 64 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS
_ENCODINGS: Final = frozenset({"gzip", "x-gzip", "deflate"})


async def read_body(request: web.Request, at_most_bytes: int | None = None) -> bytes:
    """Return the whole body, decompressed; empty where there is none. Once per request.

    Raises `Problem`: 413 beyond the limit (the service's, or `at_most_bytes` where that is less), 408 where it takes
    too long, 415 for a compression that we don't know, 400 where its framing or compression is broken.
    """
    settings = request.app[SETTINGS]
    limit = min(settings.body_limit_bytes, at_most_bytes or settings.body_limit_bytes)
    declared = request.content_length
    if declared is not None and declared > limit:
        raise _too_large(limit)
    if request.content.is_eof():  # the usual small body came with its headers: no timer needed
        return await _read(request, limit)
    try:
        async with asyncio.timeout(settings.body_read_seconds):
            return await _read(request, limit)
    except TimeoutError:
        detail = f"the body did not arrive within {settings.body_read_seconds:g} s"
        raise Problem(408, detail=detail, headers={"Connection": "close"}) from None


async def body_pieces(request: web.Request) -> AsyncGenerator[bytes, None]:
    """Yield the body as it comes, decompressed: for what is too large to be held. No piece is empty.

    Limits, of size and of time, are the caller's. Raises `Problem`: 415 for a compression that we don't know, 400 where
    framing or compression is broken.
    """
    encoding = _encoding(request)
    inflater = _Inflater(encoding) if encoding else None
    try:
        async for piece in request.content.iter_any():
            if inflater is None:
                yield piece
            else:
                for part in inflater.feed(piece):
                    yield part
        if inflater is not None:
            inflater.finish()
    except (RequestPayloadError, zlib.error) as error:
        raise Problem(400, detail="the body can't be read: its length or encoding is not as declared") from error


async def _read(request: web.Request, limit: int) -> bytes:
    body = bytearray()
    async with aclosing(body_pieces(request)) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > limit:
                raise _too_large(limit)
    return bytes(body)


def _encoding(request: web.Request) -> str | None:
    named = ",".join(request.headers.getall("Content-Encoding", ())).lower()
    encodings = [word for part in named.split(",") if (word := part.strip()) not in ("", "identity")]
    if not encodings or not request.body_exists:
        return None
    if len(encodings) > 1 or encodings[0] not in _ENCODINGS:
        headers = {"Accept-Encoding": "gzip, deflate"}
        raise Problem(415, detail="a body is compressed with gzip or deflate, or not at all", headers=headers)
    return encodings[0]


class _Inflater:
    """Decompresses a little at a time, so that a bomb meets the caller's limit long before it is unpacked."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._stream: Any = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` holds. Raises `zlib.error`."""
        if self._stream is None:
            self._stream = zlib.decompressobj(_window(self._encoding, data))
        pending = True
        while pending and not self._stream.eof:
            found = self._stream.decompress(data, _PIECE_BYTES)
            if found:
                yield found
            data = self._stream.unconsumed_tail
            pending = bool(data) or len(found) == _PIECE_BYTES  # a full piece: the stream may hold more of it
        if data or self._stream.unused_data:
            raise zlib.error("something follows the end")

    def finish(self) -> None:
        """Raise `zlib.error` where the end is missing."""
        if self._stream is not None and not self._stream.eof:
            raise zlib.error("it ends too early")


def _window(encoding: str, first: bytes) -> int:
    if encoding != "deflate":
        return _GZIP
    # "deflate" is zlib's format, but many send the bare stream: RFC 1950 has 8 in the lower half of the first byte.
    return zlib.MAX_WBITS if first[0] & 0xF == 8 else -zlib.MAX_WBITS


def _too_large(limit: int) -> Problem:
    return Problem(413, detail=f"the body is larger than {limit / 2**20:.3g} MiB")

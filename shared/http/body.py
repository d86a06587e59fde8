"""Reading a request's body: bounded in size and in time."""

import asyncio
from typing import Final

from aiohttp import web
from aiohttp.web_protocol import RequestPayloadError

from shared.http.problems import Problem
from shared.settings import HttpSettings

SETTINGS: Final = web.AppKey("HTTP_SETTINGS", HttpSettings)


async def read_body(request: web.Request) -> bytes:
    """Return the whole body, decompressed; empty where there is none.

    Raises `Problem`: 413 beyond the limit, 408 where it takes too long, 400 where its framing or compression is
    broken.
    """
    settings = request.app[SETTINGS]
    declared = request.content_length
    if declared is not None and declared > settings.body_limit_bytes:
        raise _too_large(settings.body_limit_bytes)
    try:
        if request.content.is_eof():  # the usual small body came with its headers: no timer needed
            return await request.read()
        async with asyncio.timeout(settings.body_read_seconds):
            return await request.read()
    except TimeoutError:
        detail = f"the body did not arrive within {settings.body_read_seconds:g} s"
        raise Problem(408, detail=detail, headers={"Connection": "close"}) from None
    except web.HTTPRequestEntityTooLarge:
        raise _too_large(settings.body_limit_bytes) from None
    except RequestPayloadError as error:
        raise Problem(400, detail="the body can't be read: its length or encoding is not as declared") from error


def _too_large(limit: int) -> Problem:
    return Problem(413, detail=f"the body is larger than {limit / 2**20:.3g} MiB")

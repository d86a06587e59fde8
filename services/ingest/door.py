"""The door that every API of ingest shares: who may come in how often, and what becomes of those who may not.

An API's handler is a `Take`: it notes what it learns of the request in `Seen` and raises what is wrong. The door keeps
a copy of whatever is refused, counts, and leaves the answer to the envelope of the path.
"""

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler

from services.ingest import metrics
from services.ingest.durable import NotDurable
from services.ingest.errors import Incomplete, Misconfigured, Refused, TooMuch, Unrecognised
from services.ingest.intake import Arrival, Intake, note_oddities
from services.ingest.limits import TokenBuckets
from services.ingest.rejected import Refusal, Rejected, printable
from services.ingest.settings import Settings
from shared import clock
from shared.directory import Channel
from shared.errors import Transient
from shared.http import FieldError, Problem, request_id, unavailable

_MENDED_AFTER_SECONDS: Final = 60.0  # somebody has to mend it; a provider that retries for hours loses nothing


class Parts(NamedTuple):
    """What the handlers work with."""

    settings: Settings
    intake: Intake
    rejected: Rejected
    rates: TokenBuckets


PARTS: Final = web.AppKey("PARTS", Parts)


class Seen:
    """What is known of a request, filled in as it becomes known, for the copy that is kept of a refused one."""

    __slots__ = ("body", "channel", "dry_run", "provider")

    def __init__(self, provider: str) -> None:
        self.provider = provider
        self.channel: Channel | None = None
        self.body = b""
        self.dry_run = False


Take = Callable[[web.Request, Seen], Awaitable[web.Response]]
OnUnrecognised = Callable[[web.Request, Seen, Unrecognised], web.Response]
"""Returns the answer to a word that we do not know, once it is kept."""


def guarded(provider: str, take: Take, on_unrecognised: OnUnrecognised | None = None) -> Handler:
    """Return the handler of one API. An API without `on_unrecognised` refuses words that it does not know: 422."""
    return partial(_come_in, provider, take, on_unrecognised)


async def _come_in(
    provider: str, take: Take, on_unrecognised: OnUnrecognised | None, request: web.Request
) -> web.Response:
    seen = Seen(provider)
    try:
        response, outcome = await _taken(take, on_unrecognised, request, seen)
    except Problem as problem:
        if not seen.dry_run:
            await _keep(request, seen, problem)
        metrics.requests(provider, "throttled" if problem.status == 429 else "refused").inc()
        raise
    except Transient:
        metrics.requests(provider, "unavailable").inc()
        raise
    except Exception as error:  # a fault of ours: what the provider said must not be lost with it
        await _keep(request, seen, Problem(500, detail=type(error).__name__))
        metrics.requests(provider, "failed").inc()
        raise
    metrics.requests(provider, outcome).inc()
    return response


async def _taken(
    take: Take, on_unrecognised: OnUnrecognised | None, request: web.Request, seen: Seen
) -> tuple[web.Response, str]:
    try:
        return await take(request, seen), "accepted"
    except Unrecognised as unknown:
        if on_unrecognised is None:
            raise Problem(422, detail=str(unknown), errors=[FieldError(unknown.field, "is not known")]) from unknown
        await _keep_unrecognised(request, seen, unknown)
        return on_unrecognised(request, seen, unknown), "unrecognised"
    except Refused as refused:
        raise _problem(refused) from refused


def throttle(request: web.Request, channel: Channel) -> None:
    """Take one request of `channel`'s rate. Raises `Problem` 429."""
    parts = request.app[PARTS]
    rate = channel.limits.rate_per_second or parts.settings.channel_rate_per_second
    burst = channel.limits.rate_burst or parts.settings.channel_rate_burst
    wait_seconds = parts.rates.take(channel.id, rate, burst, time.monotonic())
    if wait_seconds:
        headers = {"Retry-After": str(max(1, round(wait_seconds)))}
        raise Problem(429, detail=f"more than {rate:g} requests a second on this channel", headers=headers)


def arrival_of(request: web.Request, body: bytes) -> Arrival:
    """Return `request`, whose body has been read, as it came in now."""
    headers = request.headers
    return Arrival(
        method=request.method,
        query=request.rel_url.raw_query_string,
        content_type=printable(headers.get("Content-Type", "")),
        body=body,
        received_at=clock.now(),
        request_id=request_id(request),
        traceparent=headers.get("traceparent"),
    )


def _problem(refused: Refused) -> Problem:
    if isinstance(refused, Incomplete):
        errors = [FieldError(wrong.field, wrong.detail) for wrong in refused.errors]
        return Problem(422, detail="what a call needs is missing or can't be used", errors=errors)
    if isinstance(refused, Misconfigured):
        return unavailable(str(refused), _MENDED_AFTER_SECONDS)
    return Problem(413 if isinstance(refused, TooMuch) else 400, detail=str(refused))


async def _keep(request: web.Request, seen: Seen, problem: Problem) -> None:
    reason = "; ".join([problem.detail, *(f"{error.field} {error.detail}" for error in problem.errors)])
    refusal = Refusal(problem.status, "refused", reason)
    await request.app[PARTS].rejected.keep(request, seen.provider, seen.channel, seen.body, refusal)


async def _keep_unrecognised(request: web.Request, seen: Seen, unknown: Unrecognised) -> None:
    """Return only once the broker has it, for it is to be applied some day. Raises `NotDurable`."""
    if seen.dry_run or seen.channel is None:
        return
    note_oddities(seen.channel, (unknown.field,))
    refusal = Refusal(200, "unrecognised", str(unknown))
    if not await request.app[PARTS].rejected.keep(request, seen.provider, seen.channel, seen.body, refusal):
        raise NotDurable("an unrecognised request could not be kept", 2.0)

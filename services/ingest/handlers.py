"""Provider webhooks over HTTP: `GET|POST /hooks/<provider>/<key>`."""

import time
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from services.ingest import metrics
from services.ingest.adapter import Adapter, Event
from services.ingest.errors import Incomplete, Refused, TooMuch, Unrecognised
from services.ingest.intake import Arrival, Intake, NotDurable, note_oddities
from services.ingest.limits import TokenBuckets
from services.ingest.rejected import Refusal, Rejected, printable
from services.ingest.settings import Settings
from shared import clock, logging
from shared.directory import Channel
from shared.errors import Transient
from shared.http import FieldError, Problem, read_body, request_id
from shared.http.auth import channel_of_key, require_enabled


class Parts(NamedTuple):
    """What the handlers work with."""

    settings: Settings
    intake: Intake
    rejected: Rejected
    rates: TokenBuckets


_DRY_RUN: Final = {"1": True, "true": True, "0": False, "false": False}

PARTS: Final = web.AppKey("PARTS", Parts)


def hook(adapter: Adapter) -> Handler:
    """Return the handler of one provider's webhooks."""
    return partial(_hook, adapter)


async def _hook(adapter: Adapter, request: web.Request) -> web.Response:
    # Filled in as they become known, for the copy that is kept of a refused request.
    seen = _Seen()
    try:
        response, outcome = await _take(adapter, request, seen), "accepted"
    except Unrecognised as unknown:
        response, outcome = await _unrecognised(adapter, request, seen, unknown), "unrecognised"
    except Problem as problem:
        if not seen.dry_run:
            await _keep(adapter, request, seen, problem)
        metrics.requests(adapter.name, "throttled" if problem.status == 429 else "refused").inc()
        raise
    except Transient:
        metrics.requests(adapter.name, "unavailable").inc()
        raise
    except Exception as error:  # a fault of ours: what the provider said must not be lost with it
        await _keep(adapter, request, seen, Problem(500, detail=type(error).__name__))
        metrics.requests(adapter.name, "failed").inc()
        raise
    metrics.requests(adapter.name, outcome).inc()
    return response


class _Seen:
    __slots__ = ("body", "channel", "dry_run")

    def __init__(self) -> None:
        self.channel: Channel | None = None
        self.body = b""
        self.dry_run = False


async def _take(adapter: Adapter, request: web.Request, seen: _Seen) -> web.Response:
    parts = request.app[PARTS]
    seen.channel = channel = await channel_of_key(request, request.match_info["key"], adapter.name)
    require_enabled(channel)
    _throttle(parts, channel)
    seen.dry_run = _wants_dry_run(request)
    seen.body = await read_body(request)
    headers = request.headers
    arrival = Arrival(
        method=request.method,
        query=request.rel_url.raw_query_string,
        content_type=printable(headers.get("Content-Type", "")),
        body=seen.body,
        received_at=clock.now(),
        request_id=request_id(request),
        traceparent=headers.get("traceparent"),
    )
    try:
        events, oddities = parts.intake.read(arrival, adapter, channel)
    except Unrecognised:
        raise
    except Refused as refused:
        raise _problem(refused) from refused
    if seen.dry_run:
        return _dry_run(request, events, oddities)
    if oddities:
        note_oddities(channel, oddities)
    if events:
        logging.bind(call_id=str(events[0].subject))
        await parts.intake.publish(events)
    return _answer({"accepted": True, "request_id": arrival.request_id, "events": len(events)})


def _throttle(parts: Parts, channel: Channel) -> None:
    rate = channel.limits.rate_per_second or parts.settings.channel_rate_per_second
    burst = channel.limits.rate_burst or parts.settings.channel_rate_burst
    wait_seconds = parts.rates.take(channel.id, rate, burst, time.monotonic())
    if wait_seconds:
        headers = {"Retry-After": str(max(1, round(wait_seconds)))}
        raise Problem(429, detail=f"more than {rate:g} requests a second on this channel", headers=headers)


def _problem(refused: Refused) -> Problem:
    if isinstance(refused, Incomplete):
        errors = [FieldError(wrong.field, wrong.detail) for wrong in refused.errors]
        return Problem(422, detail="what a call needs is missing or can't be used", errors=errors)
    return Problem(413 if isinstance(refused, TooMuch) else 400, detail=str(refused))


async def _keep(adapter: Adapter, request: web.Request, seen: _Seen, problem: Problem) -> None:
    reason = "; ".join([problem.detail, *(f"{error.field} {error.detail}" for error in problem.errors)])
    refusal = Refusal(problem.status, "refused", reason)
    await request.app[PARTS].rejected.keep(request, adapter.name, seen.channel, seen.body, refusal)


async def _unrecognised(adapter: Adapter, request: web.Request, seen: _Seen, unknown: Unrecognised) -> web.Response:
    """200, for the PBX did nothing wrong; but only once the broker has it, for it is to be applied some day."""
    answer = _answer({"accepted": False, "request_id": request_id(request), "reason": str(unknown)})
    if seen.dry_run or seen.channel is None:
        return answer
    note_oddities(seen.channel, (unknown.field,))
    refusal = Refusal(200, "unrecognised", str(unknown))
    if not await request.app[PARTS].rejected.keep(request, adapter.name, seen.channel, seen.body, refusal):
        raise NotDurable("an unrecognised request could not be kept", 2.0)
    return answer


def _wants_dry_run(request: web.Request) -> bool:
    """Read `?dry_run=`. Raises `Problem` for a word that we don't know: a trial must not become a call."""
    if not request.query_string:
        return False
    word = request.query.get("dry_run", "0").strip().lower()
    if word not in _DRY_RUN:
        raise Problem(422, detail="dry_run is 1 or 0", errors=[FieldError("dry_run", "is 1 or 0")])
    return _DRY_RUN[word]


def _dry_run(request: web.Request, events: list[Event], oddities: Sequence[str]) -> web.Response:
    shown = [orjson.Fragment(event.to_json()) for event in events]
    return _answer({"request_id": request_id(request), "events": shown, "not_understood": list(oddities)})


def _answer(body: dict[str, object]) -> web.Response:
    return web.Response(body=orjson.dumps(body), content_type="application/json")

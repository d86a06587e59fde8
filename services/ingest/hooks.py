"""Provider webhooks over HTTP: `GET|POST /hooks/<provider>/<key>[/<event>]`."""

from datetime import datetime
from functools import partial

import orjson
from aiohttp import web

from services.ingest import dry_runs
from services.ingest.adapter import Adapter, Mapped
from services.ingest.bodies import MAX_BODY
from services.ingest.door import PARTS, Seen, arrival_of, guarded, throttle
from services.ingest.errors import Unrecognised
from services.ingest.intake import note_oddities
from services.ingest.providers import HOOKS
from shared import logging
from shared.events import CallNoted
from shared.http import Problem, read_body, request_id
from shared.http.auth import DIRECTORY, channel_of_key, require_enabled
from shared.routing import explain


def add_routes(app: web.Application) -> None:
    """Serve every provider that posts webhooks."""
    for adapter in HOOKS:
        handler = guarded(adapter.name, partial(_take, adapter), _unrecognised)
        path = f"/hooks/{adapter.name}/{{key}}" + ("/{event}" if adapter.path_events else "")
        for each in (path, f"{path}/"):
            for method in ("GET", "POST"):
                app.router.add_route(method, each, handler)


async def _take(adapter: Adapter, request: web.Request, seen: Seen) -> web.Response:
    intake = request.app[PARTS].intake
    seen.channel = channel = await channel_of_key(request, request.match_info["key"], adapter.name)
    require_enabled(channel)
    throttle(request, channel)
    seen.dry_run = dry_runs.is_wanted(request)
    event = _path_event(adapter, request)
    seen.body = await read_body(request, MAX_BODY)
    arrival = arrival_of(request, seen.body)
    mapped = intake.read(arrival, adapter, channel, event)
    if seen.dry_run:
        return _dry_run(request, mapped, arrival.received_at)
    if mapped.oddities:
        note_oddities(channel, mapped.oddities)
    if mapped.sent_at is not None:
        intake.clocks.note(channel, arrival.received_at, mapped.sent_at)
    if mapped.events:
        logging.bind(call_id=str(mapped.events[0].subject))
        await intake.publish(mapped.events)
    return _answer({"accepted": True, "request_id": arrival.request_id, "events": len(mapped.events)})


def _path_event(adapter: Adapter, request: web.Request) -> str:
    if not adapter.path_events:
        return ""
    event = request.match_info["event"]
    if event not in adapter.path_events:
        raise Problem(404, detail=f"the event in the URL is one of {', '.join(adapter.path_events)}")
    return event


def _unrecognised(request: web.Request, _seen: Seen, unknown: Unrecognised) -> web.Response:
    """200, for the PBX did nothing wrong."""
    return _answer({"accepted": False, "request_id": request_id(request), "reason": str(unknown)})


def _dry_run(request: web.Request, mapped: Mapped, at: datetime) -> web.Response:
    moving = [event for event in mapped.events if not isinstance(event, CallNoted)] or mapped.events
    directory = request.app[DIRECTORY].snapshot
    return _answer(
        {
            "request_id": request_id(request),
            "events": [orjson.Fragment(event.to_json()) for event in mapped.events],
            "not_understood": list(mapped.oddities),
            "routing": explain(moving[0].data, directory, at).to_dict() if moving else None,
        }
    )


def _answer(body: dict[str, object]) -> web.Response:
    return web.Response(body=orjson.dumps(body), content_type="application/json")

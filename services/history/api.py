"""`/api/v1/calls`: an account's calls, those of one of its locations, and all that was ever said of one."""

from __future__ import annotations

import base64
from datetime import datetime
from functools import partial
from typing import Any, Final

import orjson
from aiohttp import web

from services.history.asking import Query, uid_in
from services.history.bodies import Body
from services.history.paging import as_json, page, read_cursor, read_limit, read_number, read_time
from services.history.reading import READER, Newest, Row
from services.history.recordings import ADDRESSES, Addresses
from services.history.stored import CallStory, read
from shared.call import Call, State
from shared.events import Direction, Outcome, Party, Raw
from shared.http import problem
from shared.http.auth import DIRECTORY, account_token

_DIRECTIONS: Final = {word.value: word.value for word in Direction}
_STATES: Final = {word.value: word.value for word in State}
_OUTCOMES: Final = {word.value: word.value for word in Outcome}


def add_routes(app: web.Application) -> None:
    """Serve calls on `app`."""
    app.router.add_get("/api/v1/calls", _list)
    app.router.add_get("/api/v1/calls/{uid}", _show)
    app.router.add_get(r"/api/v1/chains/{id:\d{1,19}}/calls", _list_of_chain)
    app.router.add_get(r"/api/v1/locations/{id:\d{1,19}}/calls", _list_of_location)


async def _list(request: web.Request) -> web.Response:
    token = await account_token(request, "calls:read")
    return await _newest(request, token.account_id)


async def _list_of_chain(request: web.Request) -> web.Response:
    """A chain is an account: the token's own is the only one that there is for it."""
    token = await account_token(request, "calls:read")
    if int(request.match_info["id"]) != token.account_id:
        raise problem(404, detail="there is no such chain")
    return await _newest(request, token.account_id)


async def _list_of_location(request: web.Request) -> web.Response:
    token = await account_token(request, "calls:read")
    location = request.app[DIRECTORY].snapshot.locations.get(int(request.match_info["id"]))
    if location is None or location.account_id != token.account_id:
        raise problem(404, detail="there is no such location")
    return await _newest(request, token.account_id, location.id)


async def _newest(request: web.Request, account: int, location_id: int | None = None) -> web.Response:
    """Return a page of calls: of the location, else of the one that the query names, else of all."""
    query = Query(request.query)
    named = query.integer("location_id")
    wanted = Newest(
        before=read_cursor(query, _read_place),
        location_id=location_id or named,
        channel_id=query.integer("channel_id"),
        direction=query.one_of("direction", _DIRECTIONS),
        state=query.one_of("state", _STATES),
        outcome=query.one_of("outcome", _OUTCOMES),
        limit=read_limit(query),
    )
    query.finish()
    rows = await request.app[READER].newest(account, wanted)
    return page(rows, wanted.limit, partial(_item, addresses=request.app[ADDRESSES]), _place)


async def _show(request: web.Request) -> web.Response:
    token = await account_token(request, "calls:read")
    reader = request.app[READER]
    row = await reader.call_by_uid(token.account_id, uid_in(request))
    if row is None:
        raise problem(404, detail="there is no such call")
    told = [(body, read(body.essence.encode()).event) for body in await reader.bodies(row["uid"])]
    # Folded here rather than read from the row, so that it is exactly what the timeline beneath it says.
    call = Call.of(event for _, event in told)
    story = sorted(told, key=lambda item: (item[1].time, item[1].id.int))
    return as_json(
        {**_whole(row, call, request.app[ADDRESSES]), "timeline": [_entry(body, event) for body, event in story]}
    )


def _item(row: Row, addresses: Addresses) -> dict[str, Any]:
    """Return a call as lists show it."""
    return {
        "uid": str(row["uid"]),
        "id": row["id"],
        "channel_id": row["channel_id"],
        "provider": row["provider"],
        "call_key": row["call_key"],
        "state": row["state"],
        "final": row["final"],
        "outcome": row["outcome"],
        "direction": row["direction"],
        "from": {"raw": row["from_raw"], "e164": row["from_e164"], "name": row["from_name"]},
        "to": {"raw": row["to_raw"], "e164": row["to_e164"], "name": row["to_name"]},
        "did": {"raw": row["did_raw"], "e164": row["did_e164"]},
        "queue": row["queue"],
        "started_at": row["started_at"],
        "answered_at": row["answered_at"],
        "ended_at": row["ended_at"],
        "duration_seconds": row["duration_seconds"],
        "talk_seconds": row["talk_seconds"],
        "answered_by": row["answered_by"],
        "assignee": row["assignee"],
        "locations": row["locations"],
        "client_id": row["client_id"],
        "contact_id": row["contact_id"],
        "external_id": row["external_id"],
        "comments": row["comments"],
        "recordings": addresses.of(row["account_id"], row["uid"], orjson.loads(row["recordings"])),
        "revision": row["revision"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }


def _whole(row: Row, call: Call, addresses: Addresses) -> dict[str, Any]:
    """Return all that is known of a call."""
    recordings = [recording.model_dump(exclude_none=True) for recording in call.recordings]
    return {
        "uid": str(call.uid),
        "id": row["id"],
        "channel_id": call.channel_id,
        "provider": call.provider,
        "call_key": call.call_key,
        "state": call.state,
        "final": call.final,
        "outcome": call.outcome,
        "cause": call.cause,
        "direction": call.direction,
        "from": _party(call.from_),
        "to": _party(call.to),
        "did": _party(call.did),
        "queue": call.queue,
        "started_at": call.started_at,
        "answered_at": call.answered_at,
        "ended_at": call.ended_at,
        "duration_seconds": call.duration_seconds,
        "talk_seconds": call.talk_seconds,
        "legs": call.legs,
        "answered_by": call.answered_by,
        "audience": call.audience,
        "locations": call.locations,
        "assignee": call.assignee,
        "contacts": [contact.model_dump() for contact in call.contacts],
        "client_id": call.client_id,
        "contact_id": call.contact_id,
        "external_id": call.external_id,
        "call_number": call.call_number,
        "ticket_number": call.ticket_number,
        "department_id": call.department_id,
        "comments": call.comments,
        "recordings": addresses.of(call.account, call.uid, recordings),
        "revision": row["revision"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }


def _entry(body: Body, event: CallStory) -> dict[str, Any]:
    """Return one event of the timeline: what it says, and the provider's own words."""
    data = orjson.loads(body.essence)["data"]
    return {
        "id": str(event.id),
        "type": event.type,
        "time": event.time,
        "received_at": event.receivedat,
        "source": event.source,
        "request_id": event.requestid,
        "leg": data.pop("leg", ""),
        "data": data,
        "raw": None if body.raw is None else _words(Raw.model_validate_json(body.raw)),
    }


def _words(raw: Raw) -> dict[str, Any]:
    """Return the provider's request, its body readable wherever it is text."""
    content = raw.unpack()
    try:
        encoding, text = "text", content.decode()
    except UnicodeDecodeError:
        encoding, text = "base64", base64.b64encode(content).decode()
    return {
        "method": raw.method,
        "query": raw.query,
        "content_type": raw.content_type,
        "encoding": encoding,
        "body": text,
    }


def _party(party: Party | None) -> dict[str, Any] | None:
    return None if party is None else party.model_dump()


def _place(row: Row) -> tuple[object, ...]:
    return row["started_at"].isoformat(), row["id"]


def _read_place(parts: list[str]) -> tuple[datetime, int]:
    started_at, id_ = parts
    return read_time(started_at), read_number(id_)

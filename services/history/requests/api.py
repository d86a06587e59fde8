"""Requests as their account reads them, `/api/v1/requests`, and as their provider does, `/hooks/requests/<id>`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, get_args
from uuid import UUID

from aiohttp import web

from services.history.asking import Query
from services.history.paging import as_json, page, read_cursor, read_limit
from services.history.requests.store import EARLIEST, LATEST, REQUESTS, TOP, Place, Wanted
from services.history.requests.told import ACCEPTED, Told, shown
from shared.directory import Channel, KeyKind
from shared.http import problem, unauthorized
from shared.http.auth import DIRECTORY, account_token, bearer

_OUTCOMES: Final = {word: word for word in (ACCEPTED, "unrecognised", "refused")}
_ID = re.compile(r"[!-~]{1,200}")
_KEY = re.compile(r"[!-~]{1,512}")


def add_routes(app: web.Application) -> None:
    """Serve requests on `app`."""
    app.router.add_get("/api/v1/requests", _list)
    app.router.add_get("/api/v1/requests/{id}", _show)
    app.router.add_get("/hooks/requests/{id}", _show_to_provider)


async def _list(request: web.Request) -> web.Response:
    token = await account_token(request, "calls:read")
    query = Query(request.query)
    wanted = read_wanted(query)
    query.finish()
    return as_page(await request.app[REQUESTS].newest(token.account_id, wanted), wanted, shown)


async def _show(request: web.Request) -> web.Response:
    token = await account_token(request, "calls:read")
    return as_json(shown(await find(request, token.account_id)))


async def _show_to_provider(request: web.Request) -> web.Response:
    """The same, for whoever has the key of the channel that it came in on."""
    channel = await _channel(request)
    return as_json(shown(await find(request, channel.account_id, channel.id)))


async def _channel(request: web.Request) -> Channel:
    """Return the channel that a key of any kind names, switched off or not: its provider wants to know why."""
    key = bearer(request) or request.query.get("key")
    if not key:
        raise unauthorized("the channel's key is needed, as bearer token or as ?key=")
    if _KEY.fullmatch(key):
        for kind in get_args(KeyKind):
            if channel := await request.app[DIRECTORY].channel_by_key(key, kind):
                return channel
    raise problem(404, detail="no channel has this key", code="unknown_key")


async def find(request: web.Request, account: int | None, channel: int | None = None) -> Told:
    """Return the latest request with the id in the URL. Raises `Problem` 404."""
    id_ = request.match_info["id"]
    told = await request.app[REQUESTS].latest(account, id_, channel) if _ID.fullmatch(id_) else None
    if told is None:
        raise problem(404, detail="no request with this id is known")
    return told


def read_wanted(query: Query) -> Wanted:
    """Return which page of requests is asked for."""
    return Wanted(
        before=read_cursor(query, _read_place) or TOP,
        date_from=query.moment("date_from", UTC) or EARLIEST,
        date_to=query.moment("date_to", UTC, end=True) or LATEST,
        channel_id=query.integer("channel_id"),
        provider=query.text("provider"),
        outcome=query.one_of("outcome", _OUTCOMES),
        limit=read_limit(query),
    )


def as_page(found: Sequence[Told], wanted: Wanted, item: Callable[[Told], Mapping[str, Any]]) -> web.Response:
    """Return one page as it is answered."""
    return page(found, wanted.limit, item, _place)


def _place(told: Told) -> tuple[str, str, str]:
    received_at, id_, event_id = told.place
    return received_at.isoformat(), id_, str(event_id)


def _read_place(parts: list[str]) -> Place:
    moment, id_, event_id = parts
    at = datetime.fromisoformat(moment)
    if at.tzinfo is None or not EARLIEST <= at <= LATEST or not _ID.fullmatch(id_):
        raise ValueError("no place of ours")
    return at, id_, UUID(event_id)

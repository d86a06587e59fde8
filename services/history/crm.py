"""The CRM API's calls: `/voip/calls[.json]` and `/voip/calls/:id[.json]`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import Any, Final

from aiohttp import web

from services.history.asking import Query, zone_named
from services.history.paging import as_json
from services.history.reading import READER, Filter, Row
from services.history.recordings import ADDRESSES, Addresses
from services.history.told import duration, spellings
from shared.directory import Channel
from shared.http import problem
from shared.http.auth import DIRECTORY, account_token

_PER_PAGE: Final = 25
_MOST_PER_PAGE: Final = 100
_LAST_PAGE: Final = 10**9

STATUS: Final[Mapping[str, str]] = {
    "answered": "ANSWERED",
    "busy": "BUSY",
    "failed": "FAILED",
    "missed": "NO ANSWER",
    "canceled": "CANCELED",
    "unknown": "UNKNOWN",
    "ringing": "RINGING",
    "in_progress": "IN PROGRESS",
}
"""Our words for how a call stands, and the CRM's."""

_KINDS: Final = {kind: kind for kind in ("incoming", "outgoing", "internal")}
_STATUSES: Final = {theirs: ours for ours, theirs in STATUS.items()}
_COLUMNS: Final = {
    "id": "id",
    "start_time": "started_at",
    # As `duration` reads it.
    "duration": "coalesce(duration_seconds, talk_seconds,"
    " CASE WHEN outcome IN ('busy', 'missed', 'canceled', 'failed') THEN 0 END)",
    "kind": "direction",
    "status": "coalesce(outcome, state, 'unknown')",
    "number_from": "coalesce(from_e164, from_raw)",
    "number_to": "coalesce(to_e164, to_raw)",
    "voip_id": "channel_id",
    "client_id": "client_id",
    "contact_id": "contact_id",
    "user_id": "assignee",
    "external_id": "external_id",
    "created_at": "created_at",
    "updated_at": "updated_at",
}
_ORDERS: Final = {
    **{name: f"{column} ASC NULLS LAST, id ASC" for name, column in _COLUMNS.items()},
    **{f"-{name}": f"{column} DESC NULLS LAST, id DESC" for name, column in _COLUMNS.items()},
    # Without NULLS LAST, as the index has it: what is shown has a start.
    "start_time": "started_at, id",
    "-start_time": "started_at DESC, id DESC",
}


def add_routes(app: web.Application, *, base_url: str) -> None:
    """Serve calls on `app`; links in answers begin with `base_url`."""

    async def list_calls(request: web.Request) -> web.Response:
        return await _list(request, base_url.rstrip("/"))

    for suffix in ("", ".json"):
        app.router.add_get(f"/voip/calls{suffix}", list_calls)
        app.router.add_get(rf"/voip/calls/{{id:\d{{1,19}}}}{suffix}", _show)


async def _list(request: web.Request, base_url: str) -> web.Response:
    token = await account_token(request, "calls:read")
    channels = request.app[DIRECTORY].snapshot.channels_of.get(token.account_id, ())
    query = Query(request.query)
    wanted = _filter(query, channels)
    order = query.one_of("order_by", _ORDERS) or _ORDERS["-start_time"]
    page = query.integer("page", most=_LAST_PAGE) or 1
    per_page = min(query.integer("per_page") or _PER_PAGE, _MOST_PER_PAGE)
    query.finish()
    total, rows = await request.app[READER].count_and_page(
        token.account_id, wanted, order=order, limit=per_page, offset=(page - 1) * per_page
    )
    headers = {"X-Total-Count": str(total)}
    addresses = request.app[ADDRESSES]
    if links := _links(request, base_url, page, -(-total // per_page)):
        headers["Link"] = links
    return as_json([call_object(row, addresses) for row in rows], headers)


async def _show(request: web.Request) -> web.Response:
    token = await account_token(request, "calls:read")
    id_ = int(request.match_info["id"])
    row = await request.app[READER].call_by_id(token.account_id, id_) if id_ < 2**63 else None
    if row is None:
        raise problem(404, detail="there is no such call")
    return as_json(call_object(row, request.app[ADDRESSES]))


def call_object(row: Row, addresses: Addresses) -> dict[str, Any]:
    """Return a call as the CRM API writes it."""
    return {
        "id": row["id"],
        "voip_id": row["channel_id"],
        "number_from": row["from_e164"] or row["from_raw"],
        "number_to": row["to_e164"] or row["to_raw"],
        "start_time": row["started_at"],
        "duration": duration(row),
        "kind": row["direction"],
        "status": STATUS[row["outcome"] or row["state"] or "unknown"],
        "client_id": row["client_id"],
        "contact_id": row["contact_id"],
        "description": "\n".join(row["comments"]) or None,
        "uid": str(row["uid"]),
        "external_id": row["external_id"],
        "user_id": row["assignee"],
        "recording_url": addresses.latest(row),
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }


def _filter(query: Query, channels: tuple[Channel, ...]) -> Filter:
    zone = _zone(channels)
    number = query.text("number")
    return Filter(
        q=query.text("q"),
        numbers=None if number is None else spellings(number, channels),
        date_from=query.moment("date_from", zone),
        date_to=query.moment("date_to", zone, end=True),
        direction=query.one_of("kind", _KINDS),
        status=query.one_of("status", _STATUSES),
        channel_id=query.integer("voip_id"),
        client_id=query.integer("client_id", least=0),
        contact_id=query.integer("contact_id", least=0),
        assignee=query.integer("user_id"),
        external_id=query.text("external_id"),
    )


def _zone(channels: tuple[Channel, ...]) -> tzinfo:
    """A day is the account's own where its channels agree on a time zone, else UTC's."""
    names = {channel.time_zone for channel in channels}
    return zone_named(names.pop()) if len(names) == 1 else UTC


def _links(request: web.Request, base_url: str, page: int, last: int) -> str:
    """Return the Link header's value: the same request for other pages."""
    pages = {"first": 1, "prev": min(page - 1, last), "next": page + 1, "last": last}
    wanted = {rel: n for rel, n in pages.items() if 1 <= n <= last and (rel != "next" or page < last)}
    return ", ".join(f'<{base_url}{request.rel_url.update_query(page=n)}>; rel="{rel}"' for rel, n in wanted.items())

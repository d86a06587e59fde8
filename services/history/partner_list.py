"""The partner API's list: `GET /voip/integration/calls`, the ended calls of one location."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from aiohttp import web

from services.history.asking import Query, zone_named
from services.history.paging import as_json
from services.history.reading import READER, OfLocation, Row
from services.history.recordings import ADDRESSES, Addresses
from services.history.told import customer, duration, spellings
from shared.directory import Partner, Token
from shared.http import problem
from shared.http.auth import DIRECTORY, partner_of, partner_user

_LIMIT: Final = 25
_MOST: Final = 500
_LAST_PAGE: Final = 10**9
_TYPES: Final = {word: word for word in ("incoming", "outgoing", "internal")}
_STATUSES: Final = {
    word: word for word in ("success", "missed", "cancel", "busy", "notallowed", "notavailable", "notfound")
}


def add_routes(app: web.Application) -> None:
    """Serve the list on `app`."""
    for prefix in ("", "/api/v1"):
        app.router.add_get(f"{prefix}/voip/integration/calls", _list)


async def _list(request: web.Request) -> web.Response:
    partner = await partner_of(request)
    token = await partner_user(request, "calls:read")
    channels = _entitled(partner, token)
    query = Query(request.query)
    salon_id = query.required("salon_id", query.integer("salon_id"))
    zone = _zone(request, token, salon_id)
    wanted = OfLocation(
        location_id=salon_id,
        date_from=query.required("date_from", query.moment("date_from", zone)),
        date_to=query.required("date_to", query.moment("date_to", zone, end=True)),
        numbers=_numbers(request, token, query.text("phone")),
        directions=query.several("types", _TYPES),
        statuses=query.several("statuses", _STATUSES),
        channels=channels,
    )
    page = query.integer("page", most=_LAST_PAGE) or 1
    limit = min(query.integer("limit") or _LIMIT, _MOST)
    query.finish()
    rows = await request.app[READER].of_location(token.account_id, wanted, limit=limit, offset=(page - 1) * limit)
    addresses = request.app[ADDRESSES]
    return as_json({"success": True, "data": [_item(row, zone, addresses) for row in rows], "meta": {}})


def _entitled(partner: Partner, token: Token) -> list[int] | None:
    """Return the channels of the token's account that the partner may see, None for all of them. Raises 403."""
    channels = [each.channel_id for each in partner.entitlements if each.account_id == token.account_id]
    if not channels:
        raise problem(403, detail="Access denied.")
    return None if None in channels else [channel for channel in channels if channel is not None]


def _zone(request: web.Request, token: Token, salon_id: int | None) -> tzinfo:
    """Return the location's time zone, UTC while none is named. Raises 403: another account's is as unknown as none."""
    if salon_id is None:
        return UTC
    location = request.app[DIRECTORY].snapshot.locations.get(salon_id)
    if location is None or location.account_id != token.account_id:
        raise problem(403, detail="Access denied.")
    return zone_named(location.time_zone)


def _numbers(request: web.Request, token: Token, phone: str | None) -> Sequence[str] | None:
    channels = request.app[DIRECTORY].snapshot.channels_of.get(token.account_id, ())
    return None if phone is None else spellings(phone, channels)


def _item(row: Row, zone: tzinfo, addresses: Addresses) -> dict[str, Any]:
    """Return a call as the partner API writes it; `zone` is the location's."""
    number = customer(row)
    return {
        "id": row["id"],
        "client_id": row["client_id"] or 0,
        "caller_phone": number.e164 or number.raw or "",
        "record_link": addresses.latest(row) or "",
        "duration": duration(row) or 0,
        "status": row["word"],
        "type": row["direction"],
        "call_date": _local(row["started_at"], zone).isoformat(timespec="seconds"),
    }


def _local(at: datetime, zone: tzinfo) -> datetime:
    try:
        return at.astimezone(zone)
    except OverflowError:  # the first day or the last one that there is
        return at

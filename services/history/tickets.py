"""`/api/v1/tickets`: the tickets that calls made, newest number first."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from aiohttp import web

from services.history.asking import Query
from services.history.paging import as_json, page, read_cursor, read_limit, read_number
from services.history.reading import READER, Row, Tickets
from services.history.told import customer
from shared.http import problem
from shared.http.auth import account_token


def add_routes(app: web.Application) -> None:
    """Serve tickets on `app`."""
    app.router.add_get("/api/v1/tickets", _list)
    app.router.add_get(r"/api/v1/tickets/{id:\d{1,19}}", _show)


async def _list(request: web.Request) -> web.Response:
    token = await account_token(request, "calls:read")
    query = Query(request.query)
    wanted = Tickets(
        before=read_cursor(query, _read_place),
        assignee=query.integer("assignee"),
        department_id=query.integer("department_id"),
        channel_id=query.integer("channel_id"),
        limit=read_limit(query),
    )
    query.finish()
    rows = await request.app[READER].tickets(token.account_id, wanted)
    return page(rows, wanted.limit, _item, lambda row: (row["id"], row["uid"]))


async def _show(request: web.Request) -> web.Response:
    token = await account_token(request, "calls:read")
    id_ = int(request.match_info["id"])
    row = await request.app[READER].ticket(token.account_id, id_) if id_ < 2**63 else None
    if row is None:
        raise problem(404, detail="there is no such ticket")
    return as_json(_item(row))


def _read_place(parts: list[str]) -> tuple[int, UUID]:
    id_, uid = parts
    return read_number(id_), UUID(uid)


def _item(row: Row) -> dict[str, Any]:
    """Return a ticket as the API writes it."""
    number = customer(row)
    return {
        "id": row["id"],
        "call_uid": str(row["uid"]),
        "call_id": row["call_number"],
        "channel_id": row["channel_id"],
        "department_id": row["department_id"],
        "assignee": row["assignee"],
        "number": {"raw": number.raw, "e164": number.e164, "name": number.name},
        "comments": row["comments"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }

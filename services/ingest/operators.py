"""What operators see of ingest: `GET /api/v1/admin/journal`."""

import asyncio
from collections.abc import Sequence

import orjson
from aiohttp import web

from services.ingest.journal import Journal
from shared.http.admin import PREFIX, for_operators


def add_routes(app: web.Application, token: str, journals: Sequence[Journal]) -> None:
    """Serve operators on `app`."""

    async def show(_request: web.Request) -> web.Response:
        items = [await asyncio.to_thread(journal.status) for journal in journals]
        return web.Response(body=orjson.dumps({"items": items}), content_type="application/json")

    app.router.add_get(f"{PREFIX}/journal", for_operators(token, show))

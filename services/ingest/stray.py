"""Requests that reach no API: a mistyped URL, a method that none takes. They are kept too: somebody looks for them."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from services.ingest import metrics
from services.ingest.door import PARTS
from services.ingest.rejected import Refusal

_PROVIDER: Final = "unknown"
_WHERE_PROVIDERS_POST: Final = ("/hooks/", "/voip/integration", "/api/v1/voip/integration", "/api/v2/telephony/")


@web.middleware
async def keep_strays(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Keep a request that matches no route where providers post to, and let it be answered."""
    why = request.match_info.http_exception
    if why is not None and request.path.startswith(_WHERE_PROVIDERS_POST):
        metrics.requests(_PROVIDER, "refused").inc()
        refusal = Refusal(
            why.status,
            "refused",
            "this path does not take that method" if why.status == 405 else "no API has this path",
        )
        await request.app[PARTS].rejected.keep(request, _PROVIDER, None, b"", refusal)
    return await handler(request)

"""Requests as operators read them, `/api/v1/admin/requests`: those of every account, and of none."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.history.asking import Query
from services.history.paging import as_json
from services.history.requests.api import as_page, find, read_wanted
from services.history.requests.keeper import KEEPER
from services.history.requests.store import REQUESTS
from services.history.requests.told import for_operators
from shared.http import FieldError, problem, read_body
from shared.http.admin import PREFIX
from shared.http.admin import for_operators as behind

_MOST_EVENTS = 1000


class AppliedEvent(BaseModel):
    """One event that came of a request."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    type: str = Field(max_length=100, pattern=r"^[!-~]+$")
    call_uid: UUID


class Applied(BaseModel):
    """What came of a request that was applied; no events: it told of no call."""

    model_config = ConfigDict(frozen=True)

    event_id: UUID
    events: tuple[AppliedEvent, ...] = Field(max_length=_MOST_EVENTS)


def add_routes(app: web.Application, token: str) -> None:
    """Serve operators on `app`."""
    app.router.add_get(f"{PREFIX}/requests", behind(token, _list))
    app.router.add_get(f"{PREFIX}/requests/{{id}}", behind(token, _show))
    app.router.add_post(f"{PREFIX}/requests/applied", behind(token, _note_applied))


async def _list(request: web.Request) -> web.Response:
    """What was refused or not recognised, newest first; of `?account=0` what came with a wrong key."""
    query = Query(request.query)
    account = query.integer("account", least=0)
    wanted = replace(read_wanted(query), id=query.text("id"))
    query.finish()
    return as_page(await request.app[REQUESTS].newest_kept(account, wanted), wanted, for_operators)


async def _show(request: web.Request) -> web.Response:
    """The latest request with an id, whoever's it is, accepted ones too."""
    return as_json(for_operators(await find(request, None)))


async def _note_applied(request: web.Request) -> web.Response:
    """Note what came of a request: from now on it is an accepted one."""
    try:
        applied = Applied.model_validate_json(await read_body(request))
    except ValidationError as error:
        wrong = [FieldError(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors(include_input=False)]
        raise problem(422, detail="this says of no request what came of it", errors=wrong) from None
    events = [event.model_dump(mode="json") for event in applied.events]
    if not await request.app[KEEPER].mark_applied(applied.event_id, events):
        raise problem(404, detail="no kept request was told of by this event")
    return as_json({"event_id": str(applied.event_id), "events": events})

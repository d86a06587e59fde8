"""Operators apply a kept request once its words are known: `POST /api/v1/admin/requests/apply`.

It is mapped and published as if it had come in now, but with the time and the id that it had then. What comes of it has
the ids that a retry would have, so applying it twice does no harm.
"""

from __future__ import annotations

import binascii
import re
import zlib
from typing import Annotated, Final

import orjson
from aiohttp import web
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from services.ingest import bodies
from services.ingest.adapter import Adapter, Mapped, Request
from services.ingest.door import PARTS
from services.ingest.errors import Incomplete, Misconfigured, Refused, Unrecognised
from services.ingest.intake import note_oddities
from services.ingest.providers import HOOKS
from shared import clock
from shared.directory import Channel
from shared.events import Raw
from shared.http import FieldError, Problem, read_body
from shared.http.admin import PREFIX, for_operators
from shared.http.auth import DIRECTORY, require_enabled

_ADAPTERS: Final = {adapter.name: adapter for adapter in HOOKS}
_NOT_KEPT: Final = "this is no request as history keeps it"
_ID: Final = re.compile(r"^[!-~]{1,200}$")


class Kept(BaseModel):
    """A request as history keeps it. `raw` holds the sender's words, credentials replaced."""

    model_config = ConfigDict(frozen=True)

    id: Annotated[str, Field(pattern=_ID)]
    channel_id: Annotated[int, Field(ge=1, lt=2**63)]
    received_at: AwareDatetime
    raw: Raw
    path_event: Annotated[str, Field(max_length=200)] = ""
    body_cut: bool = False


def add_routes(app: web.Application, token: str) -> None:
    """Serve operators on `app`."""
    app.router.add_post(f"{PREFIX}/requests/apply", for_operators(token, _apply))


async def _apply(request: web.Request) -> web.Response:
    kept = _read(await read_body(request))
    channel, adapter = _place(request, kept)
    mapped = _mapped(kept, channel, adapter, limit=request.app[PARTS].settings.body_limit_bytes)
    if mapped.oddities:
        note_oddities(channel, mapped.oddities)
    if mapped.events:
        await request.app[PARTS].intake.publish(mapped.events)
    events = [{"id": str(e.id), "type": e.type, "call_uid": str(e.subject)} for e in mapped.events]
    return web.Response(body=orjson.dumps({"id": kept.id, "events": events}), content_type="application/json")


def _read(body: bytes) -> Kept:
    try:
        kept = Kept.model_validate_json(body)
    except ValidationError as error:
        wrong = [FieldError(".".join(map(str, each["loc"])), each["msg"]) for each in error.errors(include_input=False)]
        raise Problem(422, detail=_NOT_KEPT, errors=wrong) from None
    if kept.body_cut:
        raise Problem(422, detail="only the first part of the body was kept: it can't be applied", code="body_cut")
    if kept.received_at > clock.now():
        raise _wrong("received_at", "is in the future")
    return kept


def _place(request: web.Request, kept: Kept) -> tuple[Channel, Adapter]:
    """Return where the request came in, and who reads what comes in there."""
    channel = request.app[DIRECTORY].snapshot.channels.get(kept.channel_id)
    if channel is None:
        raise Problem(404, detail=f"there is no channel {kept.channel_id} any more", code="no_channel")
    require_enabled(channel)
    adapter = _ADAPTERS.get(channel.provider)
    if adapter is None:
        raise Problem(
            422, detail=f"only webhooks can be applied, and {channel.provider} is none", code="not_applicable"
        )
    if adapter.path_events and kept.path_event not in adapter.path_events:
        raise _wrong("path_event", f"is one of {', '.join(adapter.path_events)}")
    return channel, adapter


def _mapped(kept: Kept, channel: Channel, adapter: Adapter, *, limit: int) -> Mapped:
    raw, event = kept.raw, kept.path_event if adapter.path_events else ""
    try:
        fields, _ = bodies.parse(_unpacked(raw, limit), raw.query, raw.content_type)
        return adapter.to_events(Request(channel, fields, kept.received_at, kept.id, raw, event=event))
    except Incomplete as incomplete:
        errors = [FieldError(wrong.field, wrong.detail) for wrong in incomplete.errors]
        raise Problem(422, detail=str(incomplete), errors=errors, code="incomplete") from incomplete
    except Unrecognised as unknown:
        raise Problem(422, detail=f"still not recognised: {unknown}", code="unrecognised") from unknown
    except Misconfigured as misconfigured:
        raise Problem(422, detail=str(misconfigured), code="misconfigured") from misconfigured
    except Refused as refused:
        raise Problem(422, detail=str(refused), code="refused") from refused


def _unpacked(raw: Raw, limit: int) -> bytes:
    """Return the body, of which there is at most `limit`."""
    try:
        body = raw.body.encode() if raw.encoding == "text" else binascii.a2b_base64(raw.body, strict_mode=True)
        if raw.encoding == "zlib":
            unpacking = zlib.decompressobj()
            body = unpacking.decompress(body, limit + 1)
            if len(body) <= limit and not unpacking.eof:
                raise ValueError("its end is missing")
    except (ValueError, zlib.error):  # binascii.Error is a ValueError
        raise _wrong("raw.body", f"is not {raw.encoding}") from None
    if len(body) > limit:
        raise Problem(413, detail=f"the body is larger than {limit} bytes")
    return body


def _wrong(field: str, detail: str) -> Problem:
    return Problem(422, detail=_NOT_KEPT, errors=[FieldError(field, detail)])

"""The partner API over HTTP: `POST /voip/integration`, also under `/api/v1`. See providers/partner/README.md."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson
from aiohttp import web
from pydantic import AwareDatetime, BaseModel, ValidationError

from services.ingest import dry_runs, metrics
from services.ingest.adapter import Request
from services.ingest.bodies import JsonObject, parse_json
from services.ingest.credentials import CREDENTIALS
from services.ingest.door import PARTS, Seen, arrival_of, guarded, throttle
from services.ingest.errors import Incomplete, WrongField
from services.ingest.identities import Identities
from services.ingest.intake import message_of, note_oddities, request_of
from services.ingest.integrations import Integrations
from services.ingest.journal import Deferred, Journal
from services.ingest.providers.partner.mapping import Report, Ring, Setup, read, to_event
from services.ingest.settings import Settings
from services.ingest.transactions import TRANSACTIONS, once_more
from shared import logging
from shared.bus import Message, Publisher
from shared.db import DatabaseUnavailable
from shared.directory import Channel
from shared.errors import Permanent
from shared.events import Authority, Raw
from shared.http import Problem, read_body, run_in_background
from shared.http.auth import DIRECTORY, channel_of_key, partner_of

_NAME: Final = "partner"
_PATHS: Final = ("/voip/integration", "/api/v1/voip/integration")
_GUESSES_FIRST_SECONDS: Final = 5.0
_ACCEPTED: Final = orjson.dumps({"success": True, "data": None, "meta": {"message": "Accepted"}})


class Nameless(NamedTuple):
    """What is known of calls that nobody has named, and of who may tell of them."""

    integrations: Integrations
    identities: Identities


class Unbound(BaseModel):
    """A report that was accepted while the database was away, as it waits in the journal to be bound to its call."""

    channel: Channel
    fields: dict[str, str]
    received_at: AwareDatetime
    request_id: str
    traceparent: str | None
    raw: Raw


NAMELESS: Final = web.AppKey("NAMELESS", Nameless)
REPORTS: Final = web.AppKey("REPORTS", Journal)
"""Accepted reports that wait for the database."""


def add_routes(app: web.Application) -> None:
    """Serve the partner API."""
    handler = guarded(_NAME, _take)
    for path in _PATHS:
        app.router.add_post(path, handler)
        app.router.add_post(f"{path}/", handler)


def start(app: web.Application) -> asyncio.Task[Any]:
    """Let `app` work with what is behind its `TRANSACTIONS`; return what keeps doing so."""
    transactions = app[TRANSACTIONS]
    integrations = Integrations(transactions)
    identities = Identities(transactions, integrations)
    app[NAMELESS] = Nameless(integrations, identities)

    async def keep_doing() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(integrations.run())
            tasks.create_task(identities.run())

    return run_in_background(app, "nameless calls", keep_doing())


def journal_of_reports(app: web.Application, settings: Settings, publisher: Publisher) -> Journal:
    """Return where `app` keeps reports while the database is away; forwarded, each is bound to its call."""

    async def bound(body: bytes) -> Sequence[Message]:
        try:
            unbound = Unbound.model_validate_json(body)
        except ValidationError:  # its text holds what was sent
            raise Permanent("no report as this release writes it") from None
        report = read(unbound.fields, unbound.channel)
        if not isinstance(report, Report):
            raise Permanent("only reports are deferred")
        fields, received_at = unbound.fields, unbound.received_at
        words = Request(unbound.channel, fields, received_at, unbound.request_id, unbound.raw, unbound.traceparent)
        identities = app[NAMELESS].identities
        if app[TRANSACTIONS].sound_seconds < _GUESSES_FIRST_SECONDS:  # they may be those of other processes
            raise DatabaseUnavailable("the database is back since a moment ago", _GUESSES_FIRST_SECONDS)
        uid = await identities.of_accepted_report(unbound.channel, report, fields, received_at)
        return [message_of(to_event(report, words, uid))]

    app[REPORTS] = Journal(
        settings.journal_dir / "reports",
        publisher,
        limit_bytes=settings.journal_limit_bytes,
        deferred={_NAME: bound},
    )
    return app[REPORTS]


async def _take(request: web.Request, seen: Seen) -> web.Response:
    partner = await partner_of(request)
    seen.body = await read_body(request)
    arrival = arrival_of(request, seen.body)
    body = parse_json(seen.body, arrival.content_type)
    crm_token = _crm_token(body)
    seen.channel = channel = await channel_of_key(request, crm_token, _NAME, "crm_token")
    # As it stands by now: a chain made a moment ago has just been looked up, and the partner's right to it with it.
    partner = request.app[DIRECTORY].snapshot.partners.get(partner.id, partner)
    if not partner.may_use(channel):
        raise _denied("the token is not entitled to this chain")
    if not channel.enabled:
        raise _denied("this channel is switched off")
    throttle(request, channel)
    dry_runs.refuse(request)
    fields = {name: value for name, value in body.fields.items() if name not in CREDENTIALS}
    nameless = request.app[NAMELESS]
    told = await _read(fields, body, channel, nameless.integrations)
    if isinstance(told, Setup):
        await nameless.integrations.set_enabled(channel, told.enable, arrival.received_at)
    else:
        words = request_of(arrival, channel, fields, (crm_token,))
        if isinstance(told, Report) and told.oddities:
            note_oddities(channel, told.oddities)
        try:
            uid, authority = await _call_of(told, words, nameless)
        except DatabaseUnavailable:
            if not isinstance(told, Report) or not nameless.integrations.last_known(channel):
                raise
            await request.app[REPORTS].append([_unbound(words)])
        else:
            logging.bind(call_id=str(uid))
            await request.app[PARTS].intake.publish([to_event(told, words, uid, authority)])
    return web.Response(status=202, body=_ACCEPTED, content_type="application/json")


def _unbound(words: Request) -> Deferred:
    unbound = Unbound(
        channel=words.channel,
        fields=dict(words.fields),
        received_at=words.received_at,
        request_id=words.request_id,
        traceparent=words.traceparent,
        raw=words.raw,
    )
    return Deferred(_NAME, unbound.model_dump_json().encode())


def _crm_token(body: JsonObject) -> str:
    """Return the token that names the chain. Raises `Incomplete` where it, or the command, is missing."""
    name = "crm_token" if "crm_token" in body.fields else "crmtoken"
    token = body.fields.get(name, "").strip()
    wrong = []
    if not token or name in body.structured:
        wrong.append(WrongField("crm_token", "is required"))
    if not body.fields.get("command", "").strip():
        wrong.append(WrongField("command", "is required"))
    if wrong:
        raise Incomplete(wrong)
    return token


async def _read(
    fields: Mapping[str, str], body: JsonObject, channel: Channel, integrations: Integrations
) -> Setup | Ring | Report:
    try:
        return read(fields, channel, body.structured)
    except Incomplete:
        # Who may not say anything of calls is told that, not what is wrong with it.
        if fields["command"].strip().lower() in ("event", "history") and not await integrations.is_enabled(channel):
            raise _disabled() from None
        raise


async def _call_of(told: Ring | Report, words: Request, nameless: Nameless) -> tuple[UUID, Authority]:
    """Return the call that a message is of, and what a ring of it is worth. Raises `Problem` 403."""
    channel, received_at = words.channel, words.received_at
    integrations, identities = nameless
    try:
        if isinstance(told, Report):
            uid = await once_more(lambda: identities.of_report(channel, told, words.fields, received_at))
        else:
            uid = await once_more(lambda: identities.of_ring(channel, told, received_at))
    except DatabaseUnavailable:
        enabled = integrations.last_known(channel)
        if enabled is False:
            raise _disabled() from None
        if enabled is None or isinstance(told, Report):
            raise
        metrics.GUESSED.inc()
        return identities.guess(channel, told, received_at), Authority.GUESS
    if uid is None:
        raise _disabled()
    return uid, Authority.LIVE


def _disabled() -> Problem:
    return _denied("the integration is disabled; the command setup with type enable enables it")


def _denied(why: str) -> Problem:
    return Problem(403, detail=f"Access denied: {why}.")

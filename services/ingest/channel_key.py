"""The channel-key API over HTTP: `POST /api/v2/telephony/calls/@<key>`."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any, Final, NamedTuple

import orjson
from aiohttp import web

from services.ingest import dry_runs, metrics
from services.ingest.door import PARTS, Seen, arrival_of, guarded, throttle
from services.ingest.errors import Incomplete, WrongField
from services.ingest.intake import request_of
from services.ingest.keyed_calls import MAX_EVENTS, KeyedCalls, Known, Stored
from services.ingest.keyed_rules import Saying, has_unmapped, hash_of, tell, unknown_people
from services.ingest.limits import Slots
from services.ingest.outbox import Outbox
from services.ingest.providers.channel_key import ADAPTER
from services.ingest.providers.channel_key.asked import Create, Update, read
from services.ingest.providers.channel_key.mapping import (
    status_of,
    uid_of_number,
    uid_of_pbx_call,
    uid_of_request,
)
from services.ingest.settings import Settings
from services.ingest.transactions import TRANSACTIONS, once_more
from services.ingest.uploads import MAX_AT_ONCE, Audio, received
from shared import clock, logging
from shared.bus import Publisher
from shared.call import Call
from shared.db import DatabaseUnavailable
from shared.directory import Channel, DirectoryUnavailable
from shared.directory.snapshot import Snapshot
from shared.events import Recording
from shared.http import Problem, cancel, run_in_background
from shared.http.auth import DIRECTORY, channel_of_key, require_enabled
from shared.recordings import Links, Recordings

PATH: Final = "/api/v2/telephony/calls/@{key}"

_LINK_AGE: Final = timedelta(hours=24)
_LONGEST_IDEMPOTENCY_KEY: Final = 255


class Api(NamedTuple):
    """What the handler works with, beside what every API has."""

    recordings: Recordings
    links: Links | None
    calls: KeyedCalls
    outbox: Outbox
    slots: Slots


API: Final = web.AppKey("CHANNEL_KEY_API", Api)


def add_to(app: web.Application, settings: Settings, publisher: Publisher) -> None:
    """Serve the API; needs `TRANSACTIONS` by the time it is started."""
    handler = guarded(ADAPTER.name, _take)
    for path in (PATH, f"{PATH}/"):
        app.router.add_post(path, handler)
    recordings = Recordings.open(settings.recordings_url)
    links = Links.from_file(settings.link_key_file, settings.base_url) if settings.link_key_file else None

    async def parts(app: web.Application) -> AsyncIterator[None]:
        calls = KeyedCalls(app[TRANSACTIONS])
        outbox = Outbox(publisher, calls, settings.confirm_seconds)
        app[API] = Api(recordings, links, calls, outbox, Slots(MAX_AT_ONCE))
        task = run_in_background(app, "outbox", outbox.run())
        yield
        await cancel(task)
        with suppress(DatabaseUnavailable):  # then another replica publishes them once more
            await outbox.mark()

    app.cleanup_ctx.append(parts)


async def _take(request: web.Request, seen: Seen) -> web.Response:
    seen.channel = channel = await channel_of_key(request, request.match_info["key"], ADAPTER.name)
    require_enabled(channel)
    throttle(request, channel)
    dry_runs.refuse(request)
    api = request.app[API]
    async with received(request, seen, api.recordings, request.app[PARTS].settings, api.slots) as got:
        asked = read(got.fields)
        said = request_of(arrival_of(request, got.body), channel, got.fields, got.credentials)
        directory = await _directory(request, channel, asked)
        key = _idempotency_key(request, asked)
        call = await _call(api.calls, channel, asked, key)
        logging.bind(call_id=str(call.uid))
        recording = await _kept(api.recordings, channel, call, got.audio)
        saying = Saying(said, asked, directory, recording, names_one_request=key is not None)
        stored = await once_more(lambda: api.calls.add(channel, call, partial(tell, saying)))
        if key is not None and stored.earlier_hashes and stored.earlier_hashes[0] != hash_of(got.fields):
            raise Incomplete([WrongField("Idempotency-Key", "came with another request before")])
    # It is safe by now: the answer does not depend on the broker.
    await api.outbox.publish(stored.pending)
    return web.Response(body=orjson.dumps({"data": _answer(stored, api.links)}), content_type="application/json")


async def _directory(request: web.Request, channel: Channel, asked: Create | Update) -> Snapshot:
    """Return the directory in which everyone is whom `asked` names. Raises `Incomplete` where somebody is not."""
    reader = request.app[DIRECTORY]
    directory = reader.snapshot
    if unknown_people(channel, asked, directory):
        directory = await reader.refresh()  # perhaps made a moment ago
    elif has_unmapped(channel, asked, directory):
        with suppress(DirectoryUnavailable):  # whom nobody is mapped to is no fault
            directory = await reader.refresh()
    wrong = unknown_people(channel, asked, directory)
    if wrong:
        raise Incomplete(wrong)
    return directory


def _idempotency_key(request: web.Request, asked: Create | Update) -> str | None:
    """Return the header that names the call which this request creates, where nothing else does."""
    key = request.headers.get("Idempotency-Key", "").strip()
    if not key or isinstance(asked, Update) or asked.pbx_call_id is not None:
        return None
    if len(key) > _LONGEST_IDEMPOTENCY_KEY or not (key.isascii() and key.isprintable()):
        raise Incomplete([WrongField("Idempotency-Key", f"has at most {_LONGEST_IDEMPOTENCY_KEY} ASCII characters")])
    return key


async def _call(calls: KeyedCalls, channel: Channel, asked: Create | Update, key: str | None) -> Known:
    """Return the call that `asked` is about, or as which it will be known. Raises `Problem` 404."""
    if isinstance(asked, Update) and asked.call_id is not None:
        return _there(await calls.find_by_number(channel, asked.call_id))
    uid = None
    if asked.pbx_call_id is not None:
        uid = uid_of_pbx_call(channel.id, asked.pbx_call_id)
    elif key is not None:
        uid = uid_of_request(channel.id, key)
    known = await calls.find_by_uid(channel, uid) if uid is not None else None
    if known is not None or isinstance(asked, Update):
        return _there(known)
    call_number, ticket_number = await calls.take_numbers(channel)
    return Known(uid or uid_of_number(channel.id, call_number), call_number, ticket_number, asked.pbx_call_id)


def _there(known: Known | None) -> Known:
    if known is None:
        raise Problem(404, detail="this channel has no such call", code="unknown_call")
    if known.events >= MAX_EVENTS:
        raise Problem(422, detail=f"more than {MAX_EVENTS} requests about one call", code="too_many_requests_of_call")
    return known


async def _kept(recordings: Recordings, channel: Channel, call: Known, audio: Audio | None) -> Recording | None:
    if audio is None:
        return None
    key = await recordings.keep(audio.upload, channel.account_id, call.uid)
    metrics.UPLOADS.labels("kept").inc()
    metrics.UPLOADED_BYTES.inc(audio.upload.size_bytes)
    return Recording(key=key, content_type=audio.content_type, size_bytes=audio.upload.size_bytes)


def _answer(stored: Stored, links: Links | None) -> dict[str, Any]:
    known, call = stored.known, Call.of(stored.events)
    recording = call.recordings[-1] if call.recordings else None
    link = None
    if recording is not None and recording.key is not None and links is not None:
        link = links.link_of(recording.key, clock.now() + _LINK_AGE)
    return {
        "call_id": known.call_number,
        "pbx_call_id": known.pbx_call_id,
        "user_id": call.assignee,
        "pbx_user_id": known.pbx_user_id,
        "call_status": status_of(call),
        "audio_record": link,
        "ticket_id": known.ticket_number,
    }

"""Keeps what was refused, so that somebody can read it: published as `request.rejected.v1`.

A word that we don't know is always kept (it is applied when the mapping learns it), and so is what a sender has to
correct. Refusals of which one looks like the next (unknown keys, floods) are kept ten a minute per address and channel.
"""

import hashlib
import re
import time
from typing import Final, Literal, NamedTuple
from uuid import uuid4

import structlog
from aiohttp import web

from services.ingest import bodies, metrics
from services.ingest.credentials import freed, without_credentials, without_next_words
from services.ingest.durable import NotDurable, send
from services.ingest.errors import Refused
from services.ingest.limits import TokenBuckets
from services.ingest.settings import Settings
from shared import clock
from shared.bus import Message, Publisher
from shared.directory import Channel
from shared.events import Raw, RejectedData, RequestRejected
from shared.http import request_id

log = structlog.get_logger(__name__)

_ALIKE: Final = frozenset({401, 403, 404, 405, 413, 429})
_HEADERS: Final = ("Content-Type", "Content-Length", "Content-Encoding", "User-Agent", "Accept", "X-Forwarded-For")
_LONGEST_HEADER: Final = 200
_LONGEST_REASON: Final = 1000
_LONGEST_PATH: Final = 500
_MAYBE_KEY: Final = re.compile(r"(?<=/@)[^/]+|(?<=/)[^/@][^/]{11,}")
_PLAIN_PARTS: Final = frozenset({"event"})
"""What a path may name that is no credential; everything else in it is taken for one."""


class Refusal(NamedTuple):
    """What was answered, and why."""

    status: int
    outcome: Literal["unrecognised", "refused"]
    reason: str


class Rejected:
    """Publishes refused requests."""

    def __init__(self, publisher: Publisher, settings: Settings) -> None:
        self._publisher = publisher
        self._confirm_seconds = settings.confirm_seconds
        self._body_bytes = settings.rejected_body_bytes
        self._per_minute = settings.rejected_per_minute
        self._buckets = TokenBuckets()

    async def keep(
        self, request: web.Request, provider: str, channel: Channel | None, body: bytes, refusal: Refusal
    ) -> bool:
        """Return whether the broker has a copy of the refused request. Never raises."""
        if refusal.status in _ALIKE and not self._is_wanted(request, channel):
            metrics.REJECTED_UNKEPT.labels(provider, "alike").inc()
            return False
        event = self._event(request, provider, channel, body, refusal)
        message = Message(event.exchange, event.routing_key, event.to_json(), str(event.id))
        try:
            await send(self._publisher, [message], self._confirm_seconds)
        except NotDurable as error:
            metrics.REJECTED_UNKEPT.labels(provider, "broker").inc()
            log.warning("rejected_request_unkept", provider=provider, reason=str(error), refusal=refusal.reason)
            return False
        return True

    def _is_wanted(self, request: web.Request, channel: Channel | None) -> bool:
        # The edge appends the sender's address; without an edge it is the connection's.
        address = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip() or request.remote
        key = (address, channel.id if channel else None)
        return self._buckets.take(key, self._per_minute / 60, self._per_minute, time.monotonic()) == 0

    def _event(
        self, request: web.Request, provider: str, channel: Channel | None, body: bytes, refusal: Refusal
    ) -> RequestRejected:
        now = clock.now()
        words = _words(request, body, self._body_bytes)
        data = RejectedData(
            channel_id=channel.id if channel else None,
            provider=provider,
            method=request.method,
            path=_public_path(request),
            status=refusal.status,
            outcome=refusal.outcome,
            reason=bodies.clean(refusal.reason)[:_LONGEST_REASON],
            headers={
                name: printable(request.headers[name])[:_LONGEST_HEADER] for name in _HEADERS if name in request.headers
            },
            fields=words.fields,
            path_event=bodies.clean(request.match_info.get("event", ""))[:_LONGEST_HEADER],
            body_cut=words.cut,
            raw=words.raw,
        )
        return RequestRejected(
            id=uuid4(),
            source=f"/ingest/{provider}/{channel.id}" if channel else f"/ingest/{provider}",
            subject=request_id(request),
            time=now,
            receivedat=now,
            account=channel.account_id if channel else 0,
            requestid=request_id(request),
            data=data,
        )


class _Words(NamedTuple):
    """What the sender said, without credentials."""

    raw: Raw
    cut: bool
    fields: dict[str, str] | None


def _words(request: web.Request, body: bytes, limit: int) -> _Words:
    query, content_type = request.rel_url.raw_query_string, printable(request.headers.get("Content-Type", ""))
    fields, credentials = _read(body, query, content_type)
    # More than is kept: a credential at the edge is replaced whole, where half of one would not be known.
    public = without_credentials(body[: 2 * limit], credentials)
    if fields is None:
        public = without_next_words(public)
    cut = len(body) > 2 * limit or len(public) > limit
    raw = Raw.pack(
        public[:limit],
        method=request.method,
        query=freed(bodies.public_query(query), credentials),
        content_type=bodies.clean(content_type),
    )
    if fields is None or cut:  # they are what the body says: more of it than is kept
        return _Words(raw, cut, None)
    return _Words(raw, cut, {name: freed(value, credentials) for name, value in fields.items()})


def _read(body: bytes, query: str, content_type: str) -> tuple[bodies.Fields | None, tuple[str, ...]]:
    """Return the fields, None where they can't be read, and the credentials that are known by it."""
    try:
        return bodies.parse(body, query, content_type)
    except Refused:
        pass
    try:
        return None, bodies.parse(b"", query, content_type).credentials  # those of the query at least
    except Refused:
        return None, ()


def _public_path(request: web.Request) -> str:
    """Return the path, what may be a key in it replaced by the first eight digits of its hash."""
    template = request.match_info.route.resource
    if template is None:  # nobody can tell what is where
        return bodies.clean(_MAYBE_KEY.sub(lambda found: _digest(found[0]), request.path))[:_LONGEST_PATH]
    path = template.canonical
    for name, value in request.match_info.items():
        shown = bodies.clean(value)[:_LONGEST_HEADER] if name in _PLAIN_PARTS else _digest(value)
        path = path.replace(f"{{{name}}}", shown)
    return path


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()[:8]


def printable(text: str) -> str:
    """Return a header's value as text that JSON can carry; bytes that are no UTF-8 are replaced."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

"""Keeps what was refused, so that somebody can read it: published as `request.rejected.v1`.

A word that we don't know is always kept (it is applied when the mapping learns it), and so is what a sender has to
correct. Refusals of which one looks like the next (unknown keys, floods) are kept ten a minute per address and channel.
"""

import hashlib
import time
from typing import Final, Literal, NamedTuple
from uuid import uuid4

import structlog
from aiohttp import web

from services.ingest import bodies, metrics
from services.ingest.errors import Refused
from services.ingest.intake import NotDurable, send
from services.ingest.limits import TokenBuckets
from services.ingest.settings import Settings
from shared import clock
from shared.bus import Message, Publisher
from shared.directory import Channel
from shared.events import Raw, RejectedData, RequestRejected
from shared.http import request_id

log = structlog.get_logger(__name__)

_ALIKE: Final = frozenset({401, 403, 404, 413, 429})
_HEADERS: Final = ("Content-Type", "Content-Length", "Content-Encoding", "User-Agent", "Accept", "X-Forwarded-For")
_LONGEST_HEADER: Final = 200


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
        query, content_type = request.rel_url.raw_query_string, printable(request.headers.get("Content-Type", ""))
        now = clock.now()
        parsed = _parsed(body, query, content_type)
        data = RejectedData(
            channel_id=channel.id if channel else None,
            provider=provider,
            method=request.method,
            path=_path_without_key(request),
            status=refusal.status,
            outcome=refusal.outcome,
            reason=refusal.reason,
            headers={
                name: printable(request.headers[name])[:_LONGEST_HEADER] for name in _HEADERS if name in request.headers
            },
            fields=dict(parsed.fields) if parsed else None,
            raw=Raw.pack(
                bodies.without_credentials(body[: self._body_bytes], parsed.credentials if parsed else ())[
                    : self._body_bytes
                ],
                method=request.method,
                query=bodies.public_query(query),
                content_type=content_type,
            ),
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


def _parsed(body: bytes, query: str, content_type: str) -> bodies.Parsed | None:
    try:
        return bodies.parse(body, query, content_type)
    except Refused:
        return None


def _path_without_key(request: web.Request) -> str:
    path = template.canonical if (template := request.match_info.route.resource) is not None else ""
    for name, value in request.match_info.items():
        if name == "key":
            value = hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()[:8]
        path = path.replace(f"{{{name}}}", bodies.clean(value)[:_LONGEST_HEADER])
    return path


def printable(text: str) -> str:
    """Return a header's value as text that JSON can carry; bytes that are no UTF-8 are replaced."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

"""The use case: a provider's request becomes events that are safe, or a reason why not."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import structlog

from services.ingest import bodies, metrics
from services.ingest.adapter import Adapter, Event, Mapped, Request
from services.ingest.clocks import Clocks
from services.ingest.credentials import freed, without_credentials
from services.ingest.durable import Keeper
from shared import logging
from shared.bus import Message
from shared.directory import Channel
from shared.events import CallEvent, Raw

log = structlog.get_logger(__name__)

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Arrival(NamedTuple):
    """A provider's request as HTTP brought it, its body read."""

    method: str
    query: str  # still encoded
    content_type: str
    body: bytes
    received_at: datetime
    request_id: str
    traceparent: str | None


class Intake:
    """Reads, maps and publishes."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self.clocks = Clocks()

    def read(self, arrival: Arrival, adapter: Adapter, channel: Channel, event: str = "") -> Mapped:
        """Return the events of a request; `event` is the one that the URL names. Raises `errors.Refused`."""
        fields, credentials = bodies.parse(arrival.body, arrival.query, arrival.content_type)
        return adapter.to_events(request_of(arrival, channel, fields, credentials, event))

    async def publish(self, events: Sequence[Event]) -> None:
        """Return when `events` are safe. Raises `Transient` where nobody takes them."""
        await self._keeper.keep([message_of(event) for event in events])
        for event in events:
            metrics.events(event.data.provider, event.type).inc()


def request_of(
    arrival: Arrival, channel: Channel, fields: bodies.Fields, credentials: Sequence[str], event: str = ""
) -> Request:
    """Return what adapters get of `arrival`; `credentials` are those that `fields` were freed of."""
    raw = Raw.pack(
        _public_body(arrival.body, credentials),
        method=arrival.method,
        query=_public_query(arrival.query, credentials),
        content_type=bodies.clean(arrival.content_type),
    )
    traceparent = arrival.traceparent
    if traceparent is not None and _TRACEPARENT.fullmatch(traceparent) is None:
        traceparent = None
    return Request(channel, fields, arrival.received_at, arrival.request_id, raw, traceparent, event)


def _public_body(body: bytes, credentials: Sequence[str]) -> bytes:
    # Only what is nested can hold credentials that are no fields.
    if credentials or body.count(b"{") > 1:
        return without_credentials(body, credentials)
    return body


def _public_query(query: str, credentials: Sequence[str]) -> str:
    public = bodies.public_query(query)
    return freed(public, credentials) if public and credentials else public


def message_of(event: CallEvent) -> Message:
    """Return `event` as it is published."""
    return Message(event.exchange, event.routing_key, event.to_json(), str(event.id))


def note_oddities(channel: Channel, fields: Sequence[str]) -> None:
    """Flag fields of a request that were not understood."""
    for field in fields:
        metrics.ODDITIES.labels(channel.provider, str(channel.id), field).inc()
    if logging.enabled("info"):
        log.info("request_odd", provider=channel.provider, channel_id=channel.id, fields=list(fields))

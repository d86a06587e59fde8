"""Publishes events that are in the database already, and again until the broker has them."""

import asyncio
from collections.abc import Sequence
from typing import Final, Never
from uuid import UUID

import structlog

from services.ingest import metrics
from services.ingest.chores import repeat
from services.ingest.durable import NotDurable, send
from services.ingest.keyed_calls import KeyedCalls, Pending
from services.ingest.providers.channel_key import ADAPTER
from shared.bus import Message, Publisher
from shared.events import CallEvent, InvalidEvent, parse

_MARK_SECONDS: Final = 0.25
_LOOK_SECONDS: Final = 1.0
_REPUBLISH_SECONDS: Final = 4.0  # nobody waits for it; less than until they are due again
_MOST_AT_ONCE: Final = 200

log = structlog.get_logger(__name__)


class Outbox:
    """Any number of them may run: an event that is published twice is the same event."""

    def __init__(self, publisher: Publisher, calls: KeyedCalls, confirm_seconds: float) -> None:
        self._publisher = publisher
        self._calls = calls
        self._confirm_seconds = confirm_seconds
        self._confirmed: set[UUID] = set()

    async def publish(self, pending: Sequence[Pending]) -> bool:
        """Return whether the broker has confirmed `pending` in time; what it has not is published again later."""
        return await self._publish(pending, self._confirm_seconds)

    async def _publish(self, pending: Sequence[Pending], within_seconds: float) -> bool:
        messages = {one.event_id: _message(one) for one in pending if one.event_id not in self._confirmed}
        known = {event_id: message for event_id, message in messages.items() if message is not None}
        try:
            await send(self._publisher, list(known.values()), within_seconds)
        except NotDurable as error:
            log.info("calls_unconfirmed", count=len(known), reason=str(error))
            return False
        self._confirmed |= known.keys()
        for message in known.values():
            metrics.events(ADAPTER.name, message.routing_key.rpartition(".")[0]).inc()
        return True

    async def run(self) -> Never:
        """Mark what was confirmed, and publish what is due, until cancelled."""
        async with asyncio.TaskGroup() as chores:
            chores.create_task(repeat("mark what is confirmed", _MARK_SECONDS, self.mark))
            chores.create_task(repeat("publish what is unconfirmed", _LOOK_SECONDS, self._republish))
        raise AssertionError("unreachable")

    async def mark(self) -> None:
        """Write down what the broker has confirmed. Raises `DatabaseUnavailable`; then it is tried again."""
        confirmed = list(self._confirmed)
        if confirmed:
            await self._calls.mark_confirmed(confirmed)
            self._confirmed.difference_update(confirmed)

    async def _republish(self) -> None:
        while due := await self._calls.claim_unconfirmed(_MOST_AT_ONCE):
            metrics.REPUBLISHED.inc(len(due))
            if not await self._publish(due, _REPUBLISH_SECONDS) or len(due) < _MOST_AT_ONCE:
                return


def _message(pending: Pending) -> Message | None:
    body = pending.body.encode()
    try:
        event = parse(body)
    except InvalidEvent as error:  # of another release; it waits for one that knows it
        log.error("stored_event_unknown", event_id=str(pending.event_id), reason=str(error))
        return None
    assert isinstance(event, CallEvent)  # noqa: S101 - nothing else is stored
    return Message(event.exchange, event.routing_key, body, str(event.id))

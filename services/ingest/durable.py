"""What is accepted is safe: with the broker, or, where that does not confirm in time, on disk."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

import structlog

from services.ingest import metrics
from services.ingest.journal import Journal, JournalFull, Unwritable
from shared.bus import Message, Publisher
from shared.bus.messages import NotPublished
from shared.errors import Transient

log = structlog.get_logger(__name__)

_RETRY_AFTER_SECONDS: Final = 2.0


class NotDurable(Transient):
    """The broker has not confirmed in time: whether it has the event is not known."""


class Unconfirmed(NotDurable):
    """The broker is there and says nothing."""


class Keeper(Protocol):
    """Makes messages safe."""

    async def keep(self, messages: Sequence[Message]) -> None:
        """Return when `messages` survive any crash. Raises `Transient` where nobody takes them."""
        ...


class Durable:
    """Asks the broker first, and the journal where it does not confirm.

    Once it has kept somebody waiting in vain, nobody else waits for it until it has taken something from the journal;
    but those whom the journal refuses, for then nothing else may ever tell that the broker is back.
    """

    def __init__(self, publisher: Publisher, journal: Journal, confirm_seconds: float) -> None:
        self._publisher = publisher
        self._journal = journal
        self._confirm_seconds = confirm_seconds
        self._is_slow = False
        journal.on_forwarded(self._broker_is_back)

    async def keep(self, messages: Sequence[Message]) -> None:
        """Return when `messages` are with the broker or on disk. Raises `JournalFull` and `Unwritable`."""
        if self._is_slow:
            with suppress(JournalFull, Unwritable):
                await self._journal.append(messages)
                return
        if not await self._is_taken(messages):
            await self._journal.append(messages)

    async def _is_taken(self, messages: Sequence[Message]) -> bool:
        """Return whether the broker confirms `messages` in time."""
        try:
            await send(self._publisher, messages, self._confirm_seconds)
        except Unconfirmed:
            if not self._is_slow:
                log.warning("broker_slow", confirm_seconds=self._confirm_seconds)
            self._is_slow = True
            metrics.BROKER_SLOW.set(1)
            return False
        except NotDurable as error:
            log.debug("broker_did_not_take", reason=str(error))
            return False
        self._broker_is_back()
        return True

    def _broker_is_back(self) -> None:
        if self._is_slow:
            log.info("broker_takes_again")
            self._is_slow = False
            metrics.BROKER_SLOW.set(0)


async def send(publisher: Publisher, messages: Sequence[Message], confirm_seconds: float) -> None:
    """Return when the broker has confirmed `messages`. Raises `NotDurable`, at the latest after `confirm_seconds`."""
    try:
        async with asyncio.timeout(confirm_seconds):
            await publisher.publish(messages)
    except TimeoutError:
        raise Unconfirmed(f"not confirmed within {confirm_seconds:g} s", _RETRY_AFTER_SECONDS) from None
    except NotPublished as error:
        raise NotDurable(str(error), _RETRY_AFTER_SECONDS) from error

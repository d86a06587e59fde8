"""What goes over the bus: messages to publish, deliveries to handle, and why a publish failed."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from shared.errors import Transient


class Message(NamedTuple):
    """One message to publish. It is always sent persistent and mandatory."""

    exchange: str
    routing_key: str
    body: bytes
    message_id: str
    content_type: str = "application/cloudevents+json"
    headers: Mapping[str, str | int] | None = None


class Delivery(NamedTuple):
    """One message as the broker delivered it.

    `message_id` is the SHA-256 of the body (`sha256:…`) where the sender gave none. `delivery_count` is how often
    it was delivered before, 0 at first. A replayed dead letter carries the exchange and routing key that it had
    when it was first published.
    """

    body: bytes
    message_id: str
    routing_key: str
    redelivered: bool
    delivery_count: int
    headers: Mapping[str, Any]
    exchange: str
    content_type: str
    tag: int


class Publisher(Protocol):
    """Sends messages and answers when the broker has them."""

    @property
    def ready(self) -> bool:
        """Whether a publish would be sent now."""
        ...

    async def publish(self, messages: Sequence[Message]) -> None:
        """Return when the broker has confirmed every message.

        Raises `Unavailable`, `Nacked` or `Unroutable`, all `Transient`; others of the same call may have been taken
        all the same, so publish all of them again: consumers de-duplicate by id. It has no time-out of its own: use
        `asyncio.timeout()`. Cancelling one publish never disturbs another; what it had handed over may still arrive.
        """
        ...


class NotPublished(Transient):
    """At least one message of the call is not known to be with the broker."""


class Unavailable(NotPublished):
    """No usable connection: away, blocked, not declared yet, or lost before the confirm (fate unknown)."""


class Nacked(NotPublished):
    """The broker refused at least one message."""

    def __init__(self, message_ids: Sequence[str]) -> None:
        super().__init__(f"the broker refused {len(message_ids)} message(s), the first is {message_ids[0]}")
        self.message_ids = tuple(message_ids)


class Unroutable(NotPublished):
    """At least one message fits no queue."""

    def __init__(self, message_ids: Sequence[str]) -> None:
        super().__init__(f"no queue for {len(message_ids)} message(s), the first is {message_ids[0]}")
        self.message_ids = tuple(message_ids)

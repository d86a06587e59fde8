"""What a dead letter looks like: the message as it was, and in headers why it died. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from shared.bus.messages import Delivery, Message

REASON: Final = "x-callbus-reason"
ERROR: Final = "x-callbus-error"
SOURCE_QUEUE: Final = "x-callbus-source-queue"
DELIVERY_COUNT: Final = "x-callbus-delivery-count"
DEAD_AT: Final = "x-callbus-dead-at"
EXCHANGE: Final = "x-callbus-exchange"
ROUTING_KEY: Final = "x-callbus-routing-key"

_ERROR_LENGTH = 1000
_HEADER_LENGTH = 1000


class DeadLetter(NamedTuple):
    """One dead letter; `_asdict()` is JSON. `body` is text, undecodable bytes replaced; None in a list."""

    message_id: str
    reason: str
    error: str
    source_queue: str
    delivery_count: int
    dead_at: str
    exchange: str
    routing_key: str
    content_type: str
    size: int
    body: str | None = None


def dead_message(
    delivery: Delivery, dead_queue: str, source_queue: str, *, reason: str, error: Exception, now: datetime
) -> Message:
    """Return the message that puts `delivery` into `dead_queue` by the default exchange."""
    headers: dict[str, str | int] = {
        **_surviving(delivery.headers),
        REASON: reason,
        ERROR: f"{type(error).__name__}: {error}"[:_ERROR_LENGTH],
        SOURCE_QUEUE: source_queue,
        DELIVERY_COUNT: delivery.delivery_count,
        DEAD_AT: now.isoformat(timespec="milliseconds"),
        EXCHANGE: delivery.exchange,
        ROUTING_KEY: delivery.routing_key,
    }
    return Message("", dead_queue, delivery.body, delivery.message_id, delivery.content_type, headers)


def replay_message(message_id: str, body: bytes, content_type: str, headers: Mapping[str, Any]) -> Message:
    """Return the message that puts a dead letter back into the one queue that it came from."""
    return Message("", str(headers.get(SOURCE_QUEUE, "")), body, message_id, content_type, _surviving(headers))


def dead_letter(message_id: str, body: bytes, content_type: str, headers: Mapping[str, Any]) -> DeadLetter:
    """Read one from the dead queue, without its body. Headers that are missing become empty."""
    return DeadLetter(
        message_id=message_id,
        reason=str(headers.get(REASON, "")),
        error=str(headers.get(ERROR, "")),
        source_queue=str(headers.get(SOURCE_QUEUE, "")),
        delivery_count=int(headers.get(DELIVERY_COUNT, 0)),
        dead_at=str(headers.get(DEAD_AT, "")),
        exchange=str(headers.get(EXCHANGE, "")),
        routing_key=str(headers.get(ROUTING_KEY, "")),
        content_type=content_type,
        size=len(body),
    )


def original_address(exchange: str, routing_key: str, headers: Mapping[str, Any]) -> tuple[str, str]:
    """Return the exchange and routing key that a message was first published with, a replayed one's too."""
    if not exchange and ROUTING_KEY in headers:
        return str(headers.get(EXCHANGE, "")), str(headers[ROUTING_KEY])
    return exchange, routing_key


def _surviving(headers: Mapping[str, Any]) -> dict[str, str | int]:
    """Return the headers that survive death and replay: not the broker's own bookkeeping, and nothing long.

    All headers of a message must fit one frame together, or the broker closes the connection that publishes it.
    """
    return {
        key: value
        for key, value in headers.items()
        if (not key.startswith("x-") or key.startswith("x-callbus-"))
        and isinstance(value, str | int)
        and len(str(value)) <= _HEADER_LENGTH
    }

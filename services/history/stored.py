"""What history stores: the events about calls, each with its body as it came."""

from typing import Final, NamedTuple

from services.history.bodies import Body, split
from shared.events import (
    CallAnswered,
    CallEnded,
    CallMissed,
    CallMissedSettled,
    CallNoted,
    CallRinging,
    CallRouted,
    InvalidEvent,
    parse,
)

CallStory = CallRinging | CallAnswered | CallEnded | CallNoted | CallRouted | CallMissed | CallMissedSettled
"""What history stores."""
_STORED: Final = (CallRinging, CallAnswered, CallEnded, CallNoted, CallRouted, CallMissed, CallMissedSettled)


class Arrived(NamedTuple):
    """An event as it came in."""

    event: CallStory
    body: Body


def read(message: bytes) -> Arrived:
    """Return the event in a message. Raises `InvalidEvent`."""
    event = parse(message)
    if not isinstance(event, _STORED):
        raise InvalidEvent(f"{event.type} is not about a call")
    return Arrived(event, split(event, message))

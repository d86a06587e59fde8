"""What the service and its adapters agree on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, TypeVar

from services.ingest.bodies import Fields
from shared.directory import Channel
from shared.events import CallAnswered, CallData, CallEnded, CallNoted, CallRinging, Raw
from shared.events.ids import call_uid, event_id

Event = CallRinging | CallAnswered | CallEnded | CallNoted
E = TypeVar("E", bound=Event)


class Says(NamedTuple):
    """What a provider tells of a call at all: what others may wait for, and what never comes."""

    ring: bool
    answer: bool
    end: Literal["call", "leg"] | None  # `leg`: the end of the last live leg is the end of the call
    legs: bool
    time: bool  # whether every message carries the time of what it tells


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a provider on one of its channels."""

    channel: Channel
    fields: Fields
    received_at: datetime
    request_id: str
    raw: Raw
    traceparent: str | None = None


class Mapped(NamedTuple):
    """The events that a request tells of (none where it concerns no call), and what in it we did not understand.

    `oddities` are words such as "disposition": the events are right without it, but somebody should look.
    """

    events: list[Event]
    oddities: tuple[str, ...] = ()


class Adapter(NamedTuple):
    """One provider. `to_events` is pure and raises what `errors` lists."""

    name: str  # in URLs, metrics and rows: never renamed
    says: Says
    to_events: Callable[[Request], Mapped]


def envelope(
    kind: type[E], request: Request, data: CallData, *, ordinal: int = 0, identity: Mapping[str, str] | None = None
) -> E:
    """Return `data` as an event of `kind` at the time when we received it.

    Its id comes from the request's fields (or `identity`) and `ordinal`, so that a retry is the same event.
    `data.call_key` names the call.
    """
    channel = request.channel
    uid = call_uid(channel.id, data.call_key or "")
    return kind(
        id=event_id(uid, request.fields if identity is None else identity, ordinal),
        source=f"/ingest/{channel.provider}/{channel.id}",
        subject=uid,
        time=request.received_at,
        receivedat=request.received_at,
        account=channel.account_id,
        requestid=request.request_id,
        traceparent=request.traceparent,
        data=data,
    )

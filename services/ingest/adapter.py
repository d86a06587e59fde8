"""What the service and its adapters agree on."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple, TypeVar
from uuid import UUID

from services.ingest.bodies import Fields
from services.ingest.errors import WrongField
from shared.directory import Channel
from shared.events import CallAnswered, CallData, CallEnded, CallNoted, CallRinging, Raw
from shared.events.ids import call_uid, event_id

Event = CallRinging | CallAnswered | CallEnded | CallNoted
E = TypeVar("E", bound=Event)

LONGEST_ID: Final = 255
"""Characters in the id of a call, a leg, a queue: longer than any telephone system's."""


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
    event: str = ""
    """The event that the URL names, of those in `Adapter.path_events`."""


class Mapped(NamedTuple):
    """The events that a request tells of (none where it concerns no call), and what in it we did not understand.

    `oddities` are words such as "disposition": the events are right without it, but somebody should look. `sent_at` is
    the provider's clock when it sent this, where it says so: how far it is from ours is a metric per channel.
    """

    events: list[Event]
    oddities: tuple[str, ...] = ()
    sent_at: datetime | None = None


class Adapter(NamedTuple):
    """One provider. `to_events` is pure and raises what `errors` lists."""

    name: str  # in URLs, metrics and rows: never renamed
    says: Says
    to_events: Callable[[Request], Mapped]
    path_events: tuple[str, ...] = ()
    """Where the event is a segment of the URL behind the key: the segments that there are."""


def envelope(
    kind: type[E],
    request: Request,
    data: CallData,
    *,
    ordinal: int = 0,
    identity: Mapping[str, str] | None = None,
    uid: UUID | None = None,
    time: datetime | None = None,
) -> E:
    """Return `data` as an event of `kind`.

    Its id comes from what the request says (or `identity`) and `ordinal`, so that a retry is the same event. The call
    is `uid`, by default the one that `data.call_key` names. `time` is for providers of which every message tells it;
    by default it is when we received the request.
    """
    channel = request.channel
    if uid is None:
        uid = call_uid(channel.id, data.call_key or "")
    return kind(
        id=event_id(uid, _said(request) if identity is None else identity, ordinal),
        source=f"/ingest/{channel.provider}/{channel.id}",
        subject=uid,
        time=time or request.received_at,
        receivedat=request.received_at,
        account=channel.account_id,
        requestid=request.request_id,
        traceparent=request.traceparent,
        data=data,
    )


def too_long(ids: Mapping[str, str]) -> Iterator[WrongField]:
    """Yield what is wrong with ids, by the names that the provider gives them."""
    for name, value in ids.items():
        if len(value) > LONGEST_ID:
            yield WrongField(name, f"is longer than {LONGEST_ID} characters")


def arrival_identity(request: Request) -> Mapping[str, str]:
    """Return the identity of what tells no time of its own: what the request says, and when it came in.

    The latter in steps of the channel's `leg_reopen_seconds`: a retry comes within the same few seconds, and a phone
    that rings once more later would else say nothing new.
    """
    step = int(request.received_at.timestamp() / request.channel.leg_reopen_seconds)
    return {**_said(request), "callbus.receivedat": str(step)}


def _said(request: Request) -> Mapping[str, str]:
    return {**request.fields, "callbus.event": request.event} if request.event else request.fields

"""The typed events: CloudEvents 1.0, structured JSON mode."""

import re
from typing import Annotated, ClassVar, Final, Literal, NoReturn
from uuid import UUID

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from shared.errors import Permanent
from shared.events._data import (
    AgentData,
    CallData,
    CardData,
    EndedData,
    MissedData,
    Model,
    RejectedData,
    RoutedData,
    SettledData,
)
from shared.events.ids import shard

CONTENT_TYPE: Final = "application/cloudevents+json"


class InvalidEvent(Permanent):
    """A message that is no event of this catalogue, or breaks its rules."""


class Envelope(Model):
    """CloudEvents attributes that every event has. `account`, `receivedat` and `requestid` are extensions."""

    exchange: ClassVar[str] = "calls"

    specversion: Literal["1.0"] = "1.0"
    id: UUID = Field(description="Says what is the same event: two copies are one.")
    source: str = Field(description="`/ingest/<provider>/<channel id>`, or the service that says it.")
    time: AwareDatetime = Field(
        description="Effective time, by which events of a call are ordered: the provider's where its adapter always "
        "has one, else `receivedat`."
    )
    receivedat: AwareDatetime = Field(description="Our clock when it came in; ages and limits count from it.")
    account: int = Field(ge=0, description="The tenant; 0 where none is known (a request with a wrong key).")
    requestid: str | None = None
    traceparent: str | None = None
    datacontenttype: Literal["application/json"] = "application/json"

    def to_json(self) -> bytes:
        """Return the event as it is published. Fields without a value are left out."""
        return self.__pydantic_serializer__.to_json(self, exclude_none=True, by_alias=True)


class CallEvent(Envelope):
    """Something about one call; `subject` is the call's uid."""

    subject: UUID

    @property
    def uid(self) -> UUID:
        return self.subject

    @property
    def routing_key(self) -> str:
        return f"{self.type}.{shard(self.subject)}"  # type: ignore[attr-defined]  # each event has its own literal


class CallRinging(CallEvent):
    """A leg rings or is dialled, or the call itself does."""

    type: Literal["call.ringing.v1"] = "call.ringing.v1"
    data: CallData


class CallAnswered(CallEvent):
    """A leg, or the call itself, is being talked on. Some providers never say it: see their READMEs."""

    type: Literal["call.answered.v1"] = "call.answered.v1"
    data: CallData


class CallEnded(CallEvent):
    """A leg or the whole call is over, with its outcome."""

    type: Literal["call.ended.v1"] = "call.ended.v1"
    data: EndedData


class CallNoted(CallEvent):
    """Anything that does not move the call: a comment, a recording, an assignee, a client."""

    type: Literal["call.noted.v1"] = "call.noted.v1"
    data: CallData


class CallRouted(CallEvent):
    """Routing's decision for the call or one of its legs."""

    type: Literal["call.routed.v1"] = "call.routed.v1"
    data: RoutedData


class CallMissed(CallEvent):
    """An incoming call that nobody took."""

    type: Literal["call.missed.v1"] = "call.missed.v1"
    data: MissedData


class CallMissedSettled(CallEvent):
    """A missed call needs nobody any more."""

    type: Literal["call.missed-settled.v1"] = "call.missed-settled.v1"
    data: SettledData


class CardDismissed(CallEvent):
    """A user put the call's card away, on all of that user's screens."""

    type: Literal["card.dismissed.v1"] = "card.dismissed.v1"
    data: CardData


class CardClaimed(CallEvent):
    """A user says: this call is mine."""

    type: Literal["card.claimed.v1"] = "card.claimed.v1"
    data: CardData


class CardReleased(CallEvent):
    """A user gives a claimed call back."""

    type: Literal["card.released.v1"] = "card.released.v1"
    data: CardData


class AgentStateChanged(Envelope):
    """A user became available or not; `subject` is `user/<id>`."""

    type: Literal["agent.state.v1"] = "agent.state.v1"
    subject: str
    data: AgentData

    @property
    def routing_key(self) -> str:
        return f"{self.type}.{shard(self.data.user_id)}"


class RequestRejected(Envelope):
    """A provider's request that was refused or not understood; `subject` is the request's id."""

    exchange: ClassVar[str] = "ingest"

    type: Literal["request.rejected.v1"] = "request.rejected.v1"
    subject: str
    data: RejectedData

    @property
    def routing_key(self) -> str:
        return self.type


Event = (
    CallRinging
    | CallAnswered
    | CallEnded
    | CallNoted
    | CallRouted
    | CallMissed
    | CallMissedSettled
    | CardDismissed
    | CardClaimed
    | CardReleased
    | AgentStateChanged
    | RequestRejected
)

CATALOGUE: Final[tuple[type[Envelope], ...]] = (
    CallRinging,
    CallAnswered,
    CallEnded,
    CallNoted,
    CallRouted,
    CallMissed,
    CallMissedSettled,
    CardDismissed,
    CardClaimed,
    CardReleased,
    AgentStateChanged,
    RequestRejected,
)


def type_of(event: type[Envelope]) -> str:
    """Return an event class's type, such as `call.ringing.v1`."""
    return str(event.model_fields["type"].default)


# The escape itself, not one that is quoted: a provider's raw JSON may well say it, and then its backslash is doubled.
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

_EVENTS: Final[TypeAdapter[Event]] = TypeAdapter(Annotated[Event, Field(discriminator="type")])


def parse(body: bytes) -> Event:
    """Return the event in a message's body. Raises `InvalidEvent`, which names the first few faults."""
    try:
        event = _EVENTS.validator.validate_json(body)
    except ValidationError as error:
        _refuse(error)
    if b"\\u0000" in body and _NUL.search(body):
        raise InvalidEvent("the event holds a NUL character, which no database stores")
    return event  # type: ignore[no-any-return]


def _refuse(error: ValidationError) -> NoReturn:
    # The input itself is left out: it may hold numbers, and reasons are logged.
    faults = [
        f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False, include_url=False)
    ]
    raise InvalidEvent("; ".join(faults[:5])) from None

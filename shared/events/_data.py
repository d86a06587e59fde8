"""What an event says, beneath its envelope. All models are frozen and ignore fields that they do not know."""

import base64
import zlib
from enum import IntEnum, StrEnum
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

Seconds = Annotated[float, Field(ge=0, le=10**9, allow_inf_nan=False)]
Identifier = Annotated[int, Field(ge=1, lt=2**63)]

RAW_COMPRESS_BYTES = 4096


class Model(BaseModel):
    """Base of every part of an event."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, serialize_by_alias=True)


class Direction(StrEnum):
    INCOMING = "incoming"
    OUTGOING = "outgoing"
    INTERNAL = "internal"


class Outcome(StrEnum):
    """How a leg or a call ended. `missed`: it rang and nobody took it; `canceled`: the caller gave up first."""

    ANSWERED = "answered"
    BUSY = "busy"
    MISSED = "missed"
    CANCELED = "canceled"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Authority(IntEnum):
    """Whose word counts when two differ; on the wire the lower-case name."""

    GUESS = 0
    """Callbus itself supposes it (the watchdog)."""
    LIVE = 1
    """The telephone system says it while it happens."""
    RECORD = 2
    """The telephone system says it afterwards, in its record of the call."""
    PERSON = 3
    """Somebody wrote it."""


_AUTHORITIES = {a.name.lower(): a for a in Authority}


def _read_authority(value: object) -> object:
    return _AUTHORITIES.get(value, value) if isinstance(value, str) else value


WireAuthority = Annotated[
    Authority,
    BeforeValidator(_read_authority),
    PlainSerializer(lambda a: a.name.lower(), return_type=str),
    WithJsonSchema({"enum": list(_AUTHORITIES), "type": "string"}),
]


class Party(Model):
    """One end of a call, or the company's own number."""

    raw: str = Field("", description="The number exactly as the provider wrote it.")
    e164: str | None = Field(None, description="The same in E.164, where the channel's country makes it readable.")
    name: str | None = None


class Recording(Model):
    """Where the sound of a call is: a provider's URL, or a key in our own store."""

    url: str | None = None
    key: str | None = Field(None, description="`<account>/<uid>/<sha256>` in the recordings store.")
    content_type: str | None = None
    size_bytes: int | None = None


class Raw(Model):
    """The provider's own words, credentials removed."""

    method: str = "POST"
    query: str = ""
    content_type: str = ""
    encoding: Literal["text", "base64", "zlib"] = Field(
        "text", description="How `body` is written: as it is, base64, or zlib-compressed and then base64 (over 4 kB)."
    )
    body: str = ""

    @classmethod
    def pack(cls, body: bytes, *, method: str = "POST", query: str = "", content_type: str = "") -> Self:
        """Keep `body`, whatever bytes it has; what is over 4 kB is compressed."""
        encoding: Literal["text", "base64", "zlib"]
        if len(body) > RAW_COMPRESS_BYTES:
            encoding, text = "zlib", base64.b64encode(zlib.compress(body)).decode()
        else:
            try:
                encoding, text = "text", body.decode()
            except UnicodeDecodeError:
                encoding, text = "base64", base64.b64encode(body).decode()
            if "\0" in text:  # PostgreSQL stores no NUL
                encoding, text = "base64", base64.b64encode(body).decode()
        return cls(method=method, query=query, content_type=content_type, encoding=encoding, body=text)

    def unpack(self) -> bytes:
        """Return the body's bytes as they came in."""
        if self.encoding == "text":
            return self.body.encode()
        packed = base64.b64decode(self.body)
        return zlib.decompress(packed) if self.encoding == "zlib" else packed


class ContactMatch(Model):
    """A known contact behind a number; `level` says how surely (`exact`, `national`, `suffix`)."""

    name: str
    level: str
    client_id: int | None = None
    contact_id: int | None = None


class Decision(Model):
    """Who must see a call (or one leg of it), and why."""

    audience: tuple[int, ...] = Field((), description="Ids of the users who must see it, ascending; may be empty.")
    locations: tuple[int, ...] = ()
    assignee: int | None = None
    contacts: tuple[ContactMatch, ...] = ()
    rule: str = Field(description="Name of the rule that decided.")
    rank: int = Field(
        ge=1, description="Number of that rule; 1 is the most exact. A vaguer rank never widens a sharper one."
    )
    sentence: str = Field("", description="The same for people.")


class CallData(Model):
    """What a provider, a person or Callbus itself says of a call. Only `channel_id` and `provider` are always there."""

    channel_id: Identifier
    provider: str
    call_key: str | None = Field(None, description="The provider's own id of the call.")
    authority: WireAuthority = Authority.LIVE
    leg: str = Field("", description="Extension or PBX user that this is about; empty: the call itself.")
    direction: Direction | None = None
    from_: Party | None = Field(None, alias="from")
    to: Party | None = None
    did: Party | None = Field(None, description="The company's own number that the call came in on (DID, diversion).")
    queue: str | None = None
    started_at: AwareDatetime | None = Field(None, description="Start of the call, where the provider tells it.")
    user: str | None = Field(None, description="PBX subscriber who is addressed.")
    user_ids: tuple[int, ...] | None = None
    group_ids: tuple[int, ...] | None = None
    pbx_user_ids: tuple[str, ...] | None = None
    outcome: Outcome | None = Field(None, description="In `call.ended.v1` alone, and always there.")
    cause: str | None = Field(None, description="The provider's own word for how it ended.")
    duration_seconds: Seconds | None = Field(None, description="From start to end, as told.")
    talk_seconds: Seconds | None = Field(None, description="Talked (billed) time, as told.")
    recording: Recording | None = None
    comment: str | None = None
    assignee: int | None = Field(None, description="User to whom the call was given.")
    client_id: int | None = None
    contact_id: int | None = None
    external_id: str | None = None
    call_number: int | None = Field(None, description="Number under which an API answered for this call.")
    ticket_number: int | None = None
    department_id: int | None = Field(None, description="Department that the ticket of this call goes to.")
    deleted: bool = Field(False, description="A tombstone: hidden in every API from now on.")
    says_end: Literal["call", "leg"] = Field(
        "call", description="`leg`: this provider never ends the call itself, so the end of its last live leg does."
    )
    leg_reopen_seconds: Seconds = Field(3, description="A ring this soon after its leg's end is late, not a new round.")
    decision: Decision | None = Field(None, description="Routing's decision, where ingest had to take it to answer.")
    raw: Raw | None = None


class EndedData(CallData):
    outcome: Outcome


class RoutedData(Decision):
    channel_id: Identifier
    leg: str = ""
    trigger: UUID = Field(description="Id of the event that was decided on.")
    directory_version: int = Field(0, ge=0)


class MissedData(Model):
    """An incoming call that nobody took, as it stands at `revision`."""

    channel_id: Identifier
    number: Party
    outcome: Outcome
    revision: int = Field(ge=1)
    ended_at: AwareDatetime
    users: tuple[int, ...] = ()
    locations: tuple[int, ...] = ()


class SettledData(Model):
    channel_id: Identifier
    revision: int = Field(ge=1)
    how: Literal["called_back", "by_hand", "age", "answered"]
    by: int | None = Field(None, description="User who settled it by hand.")


class CardData(Model):
    user_id: Identifier


class AgentData(Model):
    user_id: Identifier
    available: bool | None = None
    do_not_disturb: bool | None = None


class RejectedData(Model):
    """A request that was refused, or whose words we do not know: kept so that it can be read and tried again."""

    channel_id: int | None = None
    provider: str
    method: str
    path: str = Field(description="Credentials replaced by the first eight digits of their hash.")
    status: int
    outcome: Literal["unrecognised", "refused"]
    reason: str
    headers: dict[str, str] = {}
    fields: dict[str, Any] | None = Field(None, description="Left out where the body could not be read, or was cut.")
    path_event: str = Field("", description="The event that the URL names, where a provider's URLs do.")
    body_cut: bool = Field(False, description="`raw` holds the first part of the body only.")
    raw: Raw | None = None

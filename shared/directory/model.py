"""What is in the directory. Every row names its account; ids are unique over all accounts.

Hashes are hexadecimal; secrets themselves, sealed or not, are never here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

KeyKind = Literal["key", "crm_token"]
Hours = dict[str, list[list[str]]]
"""By weekday, `{"mon": [["09:00", "17:00"]], …}`; a missing or empty day is closed."""
SCOPES: Final[Mapping[str, str]] = {"calls:read": "read calls, and all that was told of them"}
"""What an API token can be narrowed to, and what each scope allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Users and groups named together; both empty = nobody."""

    user_ids: tuple[int, ...] = ()
    group_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A tenant. `fallback` is shown what comes outside working hours; None where it is not configured."""

    id: int
    name: str
    fallback: Audience | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A place of the account; `hours` None = always open."""

    id: int
    account_id: int
    name: str
    time_zone: str = "UTC"
    hours: Hours | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person. Only those with `telephony` are shown cards; JWTs issued before `tokens_valid_from` are revoked."""

    id: int
    account_id: int
    name: str
    email: str | None = None
    role: Literal["admin", "agent"] = "agent"
    telephony: bool = True
    location_ids: tuple[int, ...] = ()
    tokens_valid_from: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentState:
    """What an agent last said; a user without one is available."""

    user_id: int
    account_id: int
    available: bool = True
    do_not_disturb: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Users under one name."""

    id: int
    account_id: int
    name: str
    user_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Department:
    """Where tickets go."""

    id: int
    account_id: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Requests taken from a channel; None = the service's own setting."""

    rate_per_second: float | None = None
    rate_burst: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Nameless:
    """Windows, in seconds, in which messages that name no call are taken for one; see the comments of the table."""

    join_seconds: float = 90.0
    slack_seconds: float = 120.0
    late_seconds: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One connection of a PBX to an account. `mapping` names the fields of datera and generic hooks, None = our own."""

    id: int
    account_id: int
    provider: str
    name: str
    enabled: bool = True
    number: str | None = None
    department_id: int | None = None
    location_id: int | None = None
    audience: Audience | None = None
    time_zone: str = "UTC"
    country: str = "PL"
    ring_seconds: int = 120
    talk_seconds: int = 14400
    leg_reopen_seconds: float = 3.0
    trust_clock: bool = True
    nameless: Nameless = field(default_factory=Nameless)
    limits: Limits = field(default_factory=Limits)
    mapping: dict[str, Any] | None = None
    address: str | None = None
    port: str | None = None
    extension_number: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelKey:
    """What a provider shows to name its channel; `valid_until` is set on the old one of two while they are rotated."""

    channel_id: int
    kind: KeyKind
    hash: str
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlement:
    """An account a partner may act for; `channel_id` None = all of its partner channels."""

    account_id: int
    channel_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """A PBX vendor's application."""

    id: int
    name: str
    entitlements: tuple[Entitlement, ...] = ()

    def may_use(self, channel: Channel) -> bool:
        """Whether the partner is entitled to `channel`."""
        return any(e.account_id == channel.account_id and e.channel_id in (None, channel.id) for e in self.entitlements)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerToken:
    """One of a partner's tokens."""

    partner_id: int
    hash: str
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxUser:
    """A user as a channel's PBX calls him."""

    id: int
    account_id: int
    channel_id: int
    pbx_user_id: str
    user_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """A phone, queue, conference or IVR; `number` is the extended one, 0001*101, `short` the 101 of it."""

    id: int
    account_id: int
    kind: Literal["phone", "queue", "conference", "ivr"]
    number: str
    short: str | None = None
    user_id: int | None = None
    channel_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SipAccount:
    """Ties an account of a PBX to a channel (the CRM's voip_id) and a user."""

    id: int
    account_id: int
    name: str
    sip: str | None = None
    channel_id: int | None = None
    username: str | None = None
    kind: str | None = None
    number: str | None = None
    active: bool = True
    user_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Who sees calls to a PBX subscriber or a company number; `channel_id` None = on every channel of the account."""

    id: int
    account_id: int
    channel_id: int | None = None
    match: Literal["user", "diversion"]
    value: str
    user_ids: tuple[int, ...] = ()
    group_ids: tuple[int, ...] = ()
    location_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An API token. No `user_id` = the account's own; no scopes (of `SCOPES`) = all its account or user may do."""

    id: int
    account_id: int
    kind: Literal["api", "partner_user"] = "api"
    name: str
    hash: str
    scopes: tuple[str, ...] = ()
    user_id: int | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthClient:
    """A UnifiedAPI client; it may do what its user may."""

    id: int
    account_id: int
    user_id: int
    client_id: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Somebody outside, by the numbers he calls from (E.164 where they could be read)."""

    id: int
    account_id: int
    name: str
    phones: tuple[str, ...] = ()
    client_id: int | None = None
    contact_id: int | None = None
    responsible_user_id: int | None = None

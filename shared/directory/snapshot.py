"""The directory at one version: rows, and the look-ups that a request needs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from shared.directory.model import (
    Account,
    AgentState,
    Channel,
    ChannelKey,
    Contact,
    Department,
    Extension,
    Group,
    KeyKind,
    Location,
    OAuthClient,
    Partner,
    PartnerToken,
    PbxUser,
    Route,
    SipAccount,
    Token,
    User,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """All rows of one version, each kind by id; kinds that were not asked for are empty."""

    version: int = 0
    contacts_version: int = 0
    accounts: tuple[Account, ...] = ()
    locations: tuple[Location, ...] = ()
    users: tuple[User, ...] = ()
    agent_states: tuple[AgentState, ...] = ()
    groups: tuple[Group, ...] = ()
    departments: tuple[Department, ...] = ()
    channels: tuple[Channel, ...] = ()
    channel_keys: tuple[ChannelKey, ...] = ()
    partners: tuple[Partner, ...] = ()
    partner_tokens: tuple[PartnerToken, ...] = ()
    pbx_users: tuple[PbxUser, ...] = ()
    extensions: tuple[Extension, ...] = ()
    sip_accounts: tuple[SipAccount, ...] = ()
    routes: tuple[Route, ...] = ()
    tokens: tuple[Token, ...] = ()
    oauth_clients: tuple[OAuthClient, ...] = ()
    contacts: tuple[Contact, ...] = ()


_ROWS: Final = TypeAdapter(Rows)
_TAIL_DIGITS: Final = 4  # no country has shorter numbers, so one number has one tail, however it is written


def parse_rows(document: bytes) -> Rows:
    """Rows of a JSON document as `queries.sql` writes it. Raises `ValueError` on anything else."""
    try:
        return _ROWS.validate_json(document)
    except ValidationError as error:
        raise ValueError(f"not a directory: {error.error_count()} errors, first {error.errors()[0]['loc']}") from None


class Line(NamedTuple):
    """A row that a leg's name may mean, and by which of its names, the surest first.

    `order` 0 is an extension's extended number, 1 its short one; 2, 3 and 4 are a SIP account's `sip`, `username` and
    `number`.
    """

    order: int
    row: Extension | SipAccount


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The directory at one version. Never changed: a newer one replaces it."""

    rows: Rows
    accounts: Mapping[int, Account]
    locations: Mapping[int, Location]
    users: Mapping[int, User]
    agent_states: Mapping[int, AgentState]
    groups: Mapping[int, Group]
    departments: Mapping[int, Department]
    channels: Mapping[int, Channel]
    channel_keys: Mapping[tuple[KeyKind, str], ChannelKey]
    partners: Mapping[int, Partner]
    partner_tokens: Mapping[str, PartnerToken]
    pbx_users: Mapping[tuple[int, str], int]
    tokens: Mapping[str, Token]
    oauth_clients: Mapping[str, OAuthClient]
    users_of: Mapping[int, tuple[User, ...]]
    channels_of: Mapping[int, tuple[Channel, ...]]
    extensions_of: Mapping[int, tuple[Extension, ...]]
    sip_accounts_of: Mapping[int, tuple[SipAccount, ...]]
    routes_of: Mapping[int, tuple[Route, ...]]
    contacts_by_phone: Mapping[tuple[int, str], tuple[Contact, ...]]
    telephony_of: Mapping[int, tuple[int, ...]]
    do_not_disturb_of: Mapping[int, frozenset[int]]
    routes_by: Mapping[tuple[int, Literal["user", "diversion"], str], tuple[Route, ...]]
    lines: Mapping[tuple[int, str], tuple[Line, ...]]
    """Plain names are by id; `…_of` by account id; channel keys by (kind, hash), tokens by hash, OAuth clients by their
    client_id, pbx_users by (channel id, the PBX's id) give the user id, contacts by (account id, phone).

    telephony_of has the ids of users with access to telephony, ascending; do_not_disturb_of those who want no calls
    now. routes_by is by (account id, match, key): the key of `user` is the value, of `diversion` the value's
    `number_tail`, for what the rest means depends on a channel's country. lines is by (account id, a leg's name), the
    surest first; inactive SIP accounts are left out."""

    @classmethod
    def of(cls, rows: Rows) -> Snapshot:
        """Index `rows`."""
        return cls(
            rows=rows,
            accounts={row.id: row for row in rows.accounts},
            locations={row.id: row for row in rows.locations},
            users={row.id: row for row in rows.users},
            agent_states={row.user_id: row for row in rows.agent_states},
            groups={row.id: row for row in rows.groups},
            departments={row.id: row for row in rows.departments},
            channels={row.id: row for row in rows.channels},
            channel_keys={(row.kind, row.hash): row for row in rows.channel_keys},
            partners={row.id: row for row in rows.partners},
            partner_tokens={row.hash: row for row in rows.partner_tokens},
            pbx_users={(row.channel_id, row.pbx_user_id): row.user_id for row in rows.pbx_users},
            tokens={row.hash: row for row in rows.tokens},
            oauth_clients={row.client_id: row for row in rows.oauth_clients},
            users_of=_by_account(rows.users),
            channels_of=_by_account(rows.channels),
            extensions_of=_by_account(rows.extensions),
            sip_accounts_of=_by_account(rows.sip_accounts),
            routes_of=_by_account(rows.routes),
            contacts_by_phone=_by_phone(rows.contacts),
            telephony_of=_with_telephony(rows.users),
            do_not_disturb_of=_in_do_not_disturb(rows.agent_states),
            routes_by=_by_value(rows.routes),
            lines=_by_name(rows.extensions, rows.sip_accounts),
        )

    @property
    def version(self) -> int:
        """Version of the directory that this is."""
        return self.rows.version

    def channel(self, key_hash: str, kind: KeyKind, now: datetime) -> Channel | None:
        """The channel, enabled or not, that a key of `kind` names at `now`."""
        key = self.channel_keys.get((kind, key_hash))
        if key is None or (key.valid_until is not None and key.valid_until <= now):
            return None
        return self.channels.get(key.channel_id)

    def partner(self, token_hash: str, now: datetime) -> Partner | None:
        """The partner that a token names at `now`."""
        token = self.partner_tokens.get(token_hash)
        return self.partners.get(token.partner_id) if token and _is_valid(token, now) else None

    def token(self, token_hash: str, now: datetime) -> Token | None:
        """The API token with this hash, unless it is over at `now`."""
        token = self.tokens.get(token_hash)
        return token if token and _is_valid(token, now) else None


def number_tail(written: str) -> str:
    """The last digits of a number, alike however it is written; the text itself where there are none."""
    text = written.partition("@")[0].partition(";")[0]
    digits = "".join(str(int(character)) for character in text if character.isdecimal())
    return digits[-_TAIL_DIGITS:] or written.strip()


class _OfAccount(Protocol):
    @property
    def account_id(self) -> int: ...


class _Expiring(Protocol):
    @property
    def expires_at(self) -> datetime | None: ...


_Row = TypeVar("_Row", bound=_OfAccount)


def _by_account(rows: Iterable[_Row]) -> dict[int, tuple[_Row, ...]]:
    found: dict[int, list[_Row]] = {}
    for row in rows:
        found.setdefault(row.account_id, []).append(row)
    return {account_id: tuple(of_account) for account_id, of_account in found.items()}


def _by_phone(contacts: Iterable[Contact]) -> dict[tuple[int, str], tuple[Contact, ...]]:
    found: dict[tuple[int, str], list[Contact]] = {}
    for contact in contacts:
        for phone in contact.phones:
            found.setdefault((contact.account_id, phone), []).append(contact)
    return {key: tuple(of_phone) for key, of_phone in found.items()}


def _with_telephony(users: Iterable[User]) -> dict[int, tuple[int, ...]]:
    of_account = _by_account(user for user in users if user.telephony)
    return {account_id: tuple(sorted(user.id for user in found)) for account_id, found in of_account.items()}


def _in_do_not_disturb(states: Iterable[AgentState]) -> dict[int, frozenset[int]]:
    of_account = _by_account(state for state in states if state.do_not_disturb)
    return {account_id: frozenset(state.user_id for state in found) for account_id, found in of_account.items()}


def _by_value(
    routes: Iterable[Route],
) -> dict[tuple[int, Literal["user", "diversion"], str], tuple[Route, ...]]:
    found: dict[tuple[int, Literal["user", "diversion"], str], list[Route]] = {}
    for route in sorted(routes, key=lambda route: route.id):
        key = route.value.strip() if route.match == "user" else number_tail(route.value)
        found.setdefault((route.account_id, route.match, key), []).append(route)
    return {key: tuple(routes) for key, routes in found.items()}


def _by_name(
    extensions: Iterable[Extension], sip_accounts: Iterable[SipAccount]
) -> dict[tuple[int, str], tuple[Line, ...]]:
    found: dict[tuple[int, str], list[Line]] = {}
    for extension in extensions:
        _file(found, extension, 0, (extension.number, extension.short))
    for sip_account in sip_accounts:
        if sip_account.active:
            _file(found, sip_account, 2, (sip_account.sip, sip_account.username, sip_account.number))
    return {key: tuple(sorted(lines, key=lambda line: (line.order, line.row.id))) for key, lines in found.items()}


def _file(
    found: dict[tuple[int, str], list[Line]],
    row: Extension | SipAccount,
    first_order: int,
    names: tuple[str | None, ...],
) -> None:
    for order, name in enumerate(names, first_order):
        if name and name.strip():
            found.setdefault((row.account_id, name.strip()), []).append(Line(order, row))


def _is_valid(token: _Expiring, now: datetime) -> bool:
    return token.expires_at is None or token.expires_at > now

"""The write side of the directory: tenants, people, channels, and the secrets they are named by.

Secrets are made here and handed out once; what stays is a hash and, for channels' keys, a sealed copy.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import asyncpg
import phonenumbers

from services.routing.errors import Invalid, NotFound
from services.routing.urls import KEY_KINDS
from shared import mapping as mappings
from shared.clock import now
from shared.db.queries import Queries
from shared.directory import KeyKind
from shared.secrets import Sealer, hash_token, new_token

_SQL: Final = Queries.load(Path(__file__).parent / "sql" / "queries.sql")
_KEY_PREFIX: Final[Mapping[KeyKind, str]] = {"key": "ck", "crm_token": "crm"}


@dataclass(frozen=True, kw_only=True)
class NewChannel:
    """What a channel is made of; the rest has defaults in the database."""

    account_id: int
    provider: str
    name: str
    number: str | None = None
    department_id: int | None = None
    location_id: int | None = None
    time_zone: str = "UTC"
    country: str = "PL"
    enabled: bool = True
    mapping: Mapping[str, Any] | None = None


class Key(NamedTuple):
    """A channel's key in the clear; `valid_until` None is the current one."""

    kind: KeyKind
    key: str
    valid_until: datetime | None


class Issued(NamedTuple):
    """A new secret, shown this once, and the id of its row."""

    id: int
    secret: str


class Store:
    """Writes to the directory over one connection; each call is one transaction, or part of the caller's."""

    def __init__(self, conn: asyncpg.Connection[asyncpg.Record], sealer: Sealer) -> None:
        self._conn = conn
        self._sealer = sealer

    # --- accounts and people

    async def create_account(self, name: str) -> int:
        """A new account, with the channel `manual` for the calls that people write down; returns its id."""
        async with self._writing():
            account_id = int(await self._conn.fetchval(_SQL.insert_account, name))
            await self._insert_channel(NewChannel(account_id=account_id, provider="manual", name="Manual"))
        return account_id

    async def list_accounts(self) -> list[dict[str, Any]]:
        """All accounts by id, with how many users and channels they have."""
        return [dict(row) for row in await self._conn.fetch(_SQL.list_accounts)]

    async def create_location(
        self, account_id: int, name: str, time_zone: str, hours: Mapping[str, Any] | None = None
    ) -> int:
        """A new location; returns its id."""
        _check_time_zone(time_zone)
        return await self._insert(_SQL.insert_location, account_id, name, time_zone, hours and json.dumps(hours))

    async def create_department(self, account_id: int, name: str) -> int:
        """A new department; returns its id."""
        return await self._insert(_SQL.insert_department, account_id, name)

    async def create_user(
        self,
        account_id: int,
        name: str,
        *,
        email: str | None = None,
        role: Literal["admin", "agent"] = "agent",
        telephony: bool = True,
        location_ids: Sequence[int] = (),
    ) -> int:
        """A new user; returns his id."""
        async with self._writing():
            user_id = int(await self._conn.fetchval(_SQL.insert_user, account_id, name, email, role, telephony))
            await self._conn.execute(_SQL.insert_user_locations, account_id, user_id, location_ids)
        return user_id

    async def create_group(self, account_id: int, name: str, user_ids: Sequence[int]) -> int:
        """A new group; returns its id."""
        async with self._writing():
            group_id = int(await self._conn.fetchval(_SQL.insert_group, account_id, name))
            await self._conn.execute(_SQL.insert_group_members, account_id, group_id, user_ids)
        return group_id

    # --- channels

    async def create_channel(self, new: NewChannel) -> Issued:
        """A new channel and its key. Raises `Invalid`."""
        if new.provider not in KEY_KINDS:
            raise Invalid(f"unknown provider {new.provider}; known are {', '.join(KEY_KINDS)}")
        async with self._writing():
            channel_id = await self._insert_channel(new)
            key = await self._insert_key(new.account_id, channel_id, KEY_KINDS[new.provider])
        return Issued(channel_id, key)

    async def list_channels(self, account_id: int | None = None) -> list[dict[str, Any]]:
        """Channels by id, of one account or of all."""
        return [dict(row) for row in await self._conn.fetch(_SQL.list_channels, account_id, None)]

    async def channel(self, channel_id: int) -> dict[str, Any]:
        """One channel. Raises `NotFound`."""
        row = await self._conn.fetchrow(_SQL.list_channels, None, channel_id)
        if row is None:
            raise NotFound(f"no channel {channel_id}")
        return dict(row)

    async def channel_keys(self, channel_id: int) -> list[Key]:
        """The live keys of a channel in the clear, the current one first. Raises `SealError`."""
        rows = await self._conn.fetch(_SQL.channel_keys, channel_id)
        return [
            Key(row["kind"], self._sealer.open(row["key_sealed"], _place(channel_id, row["kind"])), row["valid_until"])
            for row in rows
        ]

    async def rotate_channel_key(self, channel_id: int, keep: timedelta) -> str:
        """A new key; the one before stays good for `keep`, an older one ends now. Raises `NotFound`, `Invalid`."""
        async with self._writing():
            row = await self._conn.fetchrow(_SQL.lock_channel, channel_id)
            if row is None:
                raise NotFound(f"no channel {channel_id}")
            if row["provider"] not in KEY_KINDS:
                raise Invalid(f"a {row['provider']} channel has no key")
            kind = KEY_KINDS[row["provider"]]
            await self._conn.execute(_SQL.drop_old_channel_key, channel_id, kind)
            await self._conn.execute(_SQL.retire_channel_key, channel_id, kind, now() + keep)
            return await self._insert_key(row["account_id"], channel_id, kind)

    async def set_channel_enabled(self, channel_id: int, enabled: bool) -> None:
        """Switch a channel on or off. Raises `NotFound`."""
        if await self._conn.fetchval(_SQL.set_channel_enabled, channel_id, enabled) is None:
            raise NotFound(f"no channel {channel_id}")

    async def channel_mapping(self, channel_id: int) -> dict[str, Any] | None:
        """A channel's mapping, None where it has none. Raises `NotFound`."""
        row = await self._conn.fetchrow(_SQL.channel_mapping, channel_id)
        if row is None:
            raise NotFound(f"no channel {channel_id}")
        return None if row["mapping"] is None else dict(json.loads(row["mapping"]))

    async def set_channel_mapping(self, channel_id: int, mapping: Mapping[str, Any] | None) -> None:
        """Give a channel a mapping, or take it away. Raises `NotFound`, `Invalid`."""
        async with self._writing():
            row = await self._conn.fetchrow(_SQL.lock_channel, channel_id)
            if row is None:
                raise NotFound(f"no channel {channel_id}")
            _check_mapping(row["provider"], mapping)
            text = None if mapping is None else json.dumps(mapping)
            await self._conn.execute(_SQL.set_channel_mapping, channel_id, text)

    async def set_channel_trust_clock(self, channel_id: int, trusted: bool) -> None:
        """Say whether the provider's clock may order the events of a channel. Raises `NotFound`."""
        if await self._conn.fetchval(_SQL.set_channel_trust_clock, channel_id, trusted) is None:
            raise NotFound(f"no channel {channel_id}")

    # --- what a PBX calls people

    async def create_pbx_user(self, account_id: int, channel_id: int, pbx_user_id: str, user_id: int) -> int:
        """Map a PBX user of a channel to a user; returns the row's id."""
        return await self._insert(_SQL.insert_pbx_user, account_id, channel_id, pbx_user_id, user_id)

    async def create_extension(
        self,
        account_id: int,
        number: str,
        *,
        kind: Literal["phone", "queue", "conference", "ivr"] = "phone",
        short: str | None = None,
        user_id: int | None = None,
        channel_id: int | None = None,
    ) -> int:
        """A new extension; returns its id."""
        return await self._insert(_SQL.insert_extension, account_id, kind, number, short, user_id, channel_id)

    async def create_sip_account(
        self,
        account_id: int,
        name: str,
        *,
        sip: str | None = None,
        channel_id: int | None = None,
        username: str | None = None,
        password: str | None = None,
        number: str | None = None,
        user_id: int | None = None,
    ) -> int:
        """A new SIP account, its password sealed; returns its id."""
        async with self._writing():
            sip_id = int(await self._conn.fetchval(_SQL.next_sip_account_id))
            sealed = None if password is None else self._sealer.seal(password, f"sip_accounts/{sip_id}/password")
            row = (sip_id, account_id, name, sip, channel_id, username, sealed, "sip", number, True, user_id)
            await self._conn.execute(_SQL.insert_sip_account, *row)
        return sip_id

    async def create_route(
        self,
        account_id: int,
        match: Literal["user", "diversion"],
        value: str,
        *,
        channel_id: int | None = None,
        user_ids: Sequence[int] = (),
        group_ids: Sequence[int] = (),
        location_ids: Sequence[int] = (),
    ) -> int:
        """A new route; returns its id."""
        async with self._writing():
            route_id = int(await self._conn.fetchval(_SQL.insert_route, account_id, channel_id, match, value))
            await self._conn.execute(_SQL.insert_route_users, account_id, route_id, user_ids)
            await self._conn.execute(_SQL.insert_route_groups, account_id, route_id, group_ids)
            await self._conn.execute(_SQL.insert_route_locations, account_id, route_id, location_ids)
        return route_id

    # --- tokens

    async def create_token(
        self,
        account_id: int,
        name: str,
        *,
        kind: Literal["api", "partner_user"] = "api",
        scopes: Sequence[str] = (),
        user_id: int | None = None,
        expires_at: datetime | None = None,
    ) -> Issued:
        """A new API token, of the account or of one of its users."""
        token = new_token("cb" if kind == "api" else "pu")
        row = (account_id, kind, name, hash_token(token), list(scopes), user_id, expires_at)
        return Issued(await self._insert(_SQL.insert_token, *row), token)

    async def list_tokens(self, account_id: int | None = None) -> list[dict[str, Any]]:
        """Tokens by id, revoked ones too, of one account or of all."""
        return [dict(row) for row in await self._conn.fetch(_SQL.list_tokens, account_id)]

    async def revoke_token(self, token_id: int) -> None:
        """End a token; twice is once. Raises `NotFound`."""
        if await self._conn.fetchval(_SQL.revoke_token, token_id) is None:
            raise NotFound(f"no token {token_id}")

    async def create_partner(self, name: str, account_ids: Sequence[int]) -> int:
        """A PBX vendor's application, entitled to accounts; returns its id."""
        async with self._writing():
            partner_id = int(await self._conn.fetchval(_SQL.insert_partner, name))
            for account_id in account_ids:
                await self._conn.execute(_SQL.insert_entitlement, partner_id, account_id, None)
        return partner_id

    async def list_partners(self) -> list[dict[str, Any]]:
        """Partners by id, with the ids of their live tokens and their entitlements: "1", or "1/4" for one channel."""
        return [dict(row) for row in await self._conn.fetch(_SQL.list_partners)]

    async def entitle_partner(self, partner_id: int, account_id: int, channel_id: int | None = None) -> None:
        """Let a partner act for an account's partner channels, or for one of them; twice is once.

        Raises `NotFound`, `Invalid`.
        """
        async with self._writing():
            await self._check_partner(partner_id)
            if channel_id is not None and not await self._conn.fetchval(
                _SQL.is_partner_channel, account_id, channel_id
            ):
                raise Invalid(f"account {account_id} has no partner channel {channel_id}")
            await self._conn.execute(_SQL.insert_entitlement, partner_id, account_id, channel_id)

    async def withdraw_partner(self, partner_id: int, account_id: int, channel_id: int | None = None) -> None:
        """Take back what `entitle_partner` gave in the same words. Raises `NotFound`."""
        if await self._conn.fetchval(_SQL.delete_entitlement, partner_id, account_id, channel_id) is None:
            raise NotFound("the partner has no such entitlement")

    async def issue_partner_token(self, partner_id: int, expires_at: datetime | None = None) -> Issued:
        """One more token of a partner. Raises `NotFound`."""
        token = new_token("pt")
        async with self._writing():
            await self._check_partner(partner_id)
            row = (partner_id, hash_token(token), expires_at)
            return Issued(int(await self._conn.fetchval(_SQL.insert_partner_token, *row)), token)

    async def revoke_partner_token(self, partner_id: int, token_id: int) -> None:
        """End one of a partner's tokens; twice is once. Raises `NotFound`."""
        if await self._conn.fetchval(_SQL.revoke_partner_token, partner_id, token_id) is None:
            raise NotFound(f"partner {partner_id} has no token {token_id}")

    async def revoke_partner_tokens(self, partner_id: int) -> None:
        """End all of a partner's tokens. Raises `NotFound`."""
        async with self._writing():
            await self._check_partner(partner_id)
            await self._conn.execute(_SQL.revoke_partner_tokens, partner_id)

    async def rotate_partner_token(self, partner_id: int) -> Issued:
        """A new token of a partner; its others end now."""
        token = new_token("pt")
        async with self._writing():
            await self._conn.execute(_SQL.revoke_partner_tokens, partner_id)
            row_id = int(await self._conn.fetchval(_SQL.insert_partner_token, partner_id, hash_token(token), None))
        return Issued(row_id, token)

    async def create_oauth_client(self, account_id: int, user_id: int, client_id: str) -> Issued:
        """A new OAuth client of a user, and its secret."""
        secret = new_token("cs")
        return Issued(
            await self._insert(_SQL.insert_oauth_client, account_id, user_id, client_id, hash_token(secret)), secret
        )

    async def reset_oauth_secret(self, client_id: str) -> Issued:
        """A new secret of an OAuth client; the old one ends now. Raises `NotFound`."""
        secret = new_token("cs")
        row_id = await self._conn.fetchval(_SQL.set_oauth_secret, client_id, hash_token(secret))
        if row_id is None:
            raise NotFound(f"no OAuth client {client_id}")
        return Issued(int(row_id), secret)

    # ---

    async def _check_partner(self, partner_id: int) -> None:
        if not await self._conn.fetchval(_SQL.has_partner, partner_id):
            raise NotFound(f"no partner {partner_id}")

    async def _insert_channel(self, new: NewChannel) -> int:
        _check_time_zone(new.time_zone)
        if new.country not in phonenumbers.SUPPORTED_REGIONS:
            raise Invalid(f"no such country: {new.country} (two letters, as in PL)")
        _check_mapping(new.provider, new.mapping)
        mapping = None if new.mapping is None else json.dumps(new.mapping)
        return await self._insert(
            _SQL.insert_channel,
            new.account_id,
            new.provider,
            new.name,
            new.number,
            new.department_id,
            new.location_id,
            new.time_zone,
            new.country,
            new.enabled,
            mapping,
        )

    async def _insert_key(self, account_id: int, channel_id: int, kind: KeyKind) -> str:
        key = new_token(_KEY_PREFIX[kind])
        sealed = self._sealer.seal(key, _place(channel_id, kind))
        await self._conn.execute(_SQL.insert_channel_key, account_id, channel_id, kind, hash_token(key), sealed)
        return key

    async def _insert(self, statement: str, *values: object) -> int:
        async with self._writing():
            return int(await self._conn.fetchval(statement, *values))

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[None]:
        """A transaction; what a constraint refuses is raised as `Invalid`."""
        try:
            async with self._conn.transaction():
                yield
        except asyncpg.ForeignKeyViolationError as error:
            raise Invalid(_missed(error)) from None
        except asyncpg.UniqueViolationError as error:
            raise Invalid(f"there is already such a row in {error.table_name}") from None
        except asyncpg.CheckViolationError as error:
            raise Invalid(_unfit(error)) from None


def _missed(error: asyncpg.ForeignKeyViolationError) -> str:
    """What a foreign key did not find: "user" of users_account_id_user_id_fkey's kin."""
    what = (error.constraint_name or "").removesuffix("_fkey").removesuffix("_id").rpartition("_")[2]
    return "there is no such account" if what == "account" else f"the account has no such {what}"


def _unfit(error: asyncpg.CheckViolationError) -> str:
    """What a check refused: "name" of accounts_name_check."""
    constraint = error.constraint_name or ""
    what = constraint.removeprefix(f"{error.table_name}_").removesuffix("_check").replace("_", " ")
    return f"not a valid {what} ({constraint})"


def _place(channel_id: int, kind: KeyKind) -> str:
    return f"channel_keys/{channel_id}/{kind}"


def _check_time_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid(f"unknown time zone {name}; a name like Europe/Warsaw is needed") from None


def _check_mapping(provider: str, mapping: Mapping[str, Any] | None) -> None:
    if mapping is None:
        return
    if provider not in mappings.PROVIDERS:
        raise Invalid(f"a {provider} channel takes no mapping")
    try:
        mappings.Mapping.read(mapping)
    except mappings.InvalidMapping as error:
        raise Invalid(f"the mapping can't be used: {error}") from None

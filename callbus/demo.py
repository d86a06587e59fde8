"""The demo account: made once in an empty database, described again at every start. `python -m callbus.demo` prints it.

What the database keeps as a hash only (tokens, client secrets) is known from the demo.json of an earlier start; one
that is not known there, or no longer good, is issued anew and the old one ends. Channels' keys are sealed and shown
again.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import asyncpg

from callbus.cli.environment import Environment
from services.routing.store import Issued, NewChannel, Store
from services.routing.urls import KEY_KINDS, webhook_url
from shared.db.queries import Queries
from shared.secrets import Sealer, hash_token

Demo = dict[str, Any]

_SQL: Final = Queries.load(Path(__file__).with_name("demo.sql"))
_NAME: Final = "Demo: Salon Aurora"
_OTHER_NAME: Final = "Demo: another account"
_PARTNER: Final = "Demo partner"
_OTHER_PARTNER: Final = "Demo partner without this account"
_TIME_ZONE: Final = "Europe/Warsaw"
_NUMBER: Final = "+48221234567"
_SPA_NUMBER: Final = "+48220000900"


async def provision(environment: Mapping[str, str]) -> Demo:
    """Return the demo account as demo.json describes it; empty where the database serves others and has none.

    `environment` holds an administrator's CALLBUS_* variables; CALLBUS_DEMO_FILE names the demo.json of the last start,
    where there was one. Raises `CallbusError`, and what asyncpg raises.
    """
    settings = Environment(environment)
    sealer = Sealer.from_file(Path(settings.get("CALLBUS_MASTER_KEY_FILE")))
    conn = await asyncpg.connect(settings.get("CALLBUS_POSTGRES_DSN"), timeout=10, command_timeout=30)
    try:
        async with conn.transaction():
            # Of two starts at once on one database the second finds what the first has made.
            await conn.execute(_SQL.lock)
            store = Store(conn, sealer)
            if await conn.fetchval(_SQL.is_empty):
                await _create(store)
                await conn.execute(_SQL.enable_partner_channels)
            return await _Description(conn, store, settings.base_url, _last(environment)).write()
    finally:
        await conn.close(timeout=5)


def _last(environment: Mapping[str, str]) -> Demo:
    """The demo.json of the last start; empty where it is gone or torn."""
    try:
        text = Path(environment.get("CALLBUS_DEMO_FILE", "")).read_text(encoding="utf-8")
        last = json.loads(text)
    except (OSError, ValueError):
        return {}
    return last if isinstance(last, dict) else {}


# --- making it


class _Made(NamedTuple):
    """Ids that the next steps need."""

    account_id: int
    user_ids: list[int]
    location_ids: list[int]
    department_id: int


async def _create(store: Store) -> None:
    made = await _create_people(store)
    await _create_channels(store, made)
    first, second, third, _ = made.user_ids
    salon, spa = made.location_ids
    await store.create_route(made.account_id, "user", "101", user_ids=[first], location_ids=[salon])
    await store.create_route(made.account_id, "diversion", _SPA_NUMBER, user_ids=[second, third], location_ids=[spa])
    await store.create_partner(_PARTNER, [made.account_id])
    await store.create_partner(_OTHER_PARTNER, [])
    await store.create_oauth_client(made.account_id, first, "demo-admin")
    await store.create_oauth_client(made.account_id, second, "demo-user-2")
    await _create_other(store)


async def _create_people(store: Store) -> _Made:
    account_id = await store.create_account(_NAME)
    locations = [await store.create_location(account_id, name, _TIME_ZONE) for name in ("Salon Centrum", "Spa Mokotów")]
    department_id = await store.create_department(account_id, "Reception")
    users = [
        await store.create_user(account_id, "Anna Nowak", role="admin", location_ids=locations[:1]),
        await store.create_user(account_id, "Piotr Zieliński", location_ids=locations[1:]),
        await store.create_user(account_id, "Maria Wójcik", location_ids=locations[1:]),
        await store.create_user(account_id, "Jan Kowalski", telephony=False),
    ]
    await store.create_group(account_id, "Front desk", users[:2])
    return _Made(account_id, users, locations, department_id)


async def _create_channels(store: Store, made: _Made) -> None:
    ids = {}
    for provider in KEY_KINDS:
        new = NewChannel(
            account_id=made.account_id,
            provider=provider,
            name=f"Demo {provider.replace('_', ' ')}",
            number=_NUMBER,
            department_id=made.department_id,
            time_zone=_TIME_ZONE,
        )
        ids[provider] = (await store.create_channel(new)).id
    for user_id, short in zip(made.user_ids, ("101", "102", "103"), strict=False):
        await store.create_pbx_user(made.account_id, ids["channel_key"], short, user_id)
        await store.create_extension(made.account_id, f"0001*{short}", short=short, user_id=user_id)
        await store.create_sip_account(
            made.account_id, f"Phone {short}", sip=short, channel_id=ids["supervoip"], number=short, user_id=user_id
        )


async def _create_other(store: Store) -> None:
    account_id = await store.create_account(_OTHER_NAME)
    await store.create_user(account_id, "Other Agent")
    await store.create_channel(
        NewChannel(account_id=account_id, provider="channel_key", name="Other channel key", time_zone=_TIME_ZONE)
    )


# --- describing it


class _Description:
    """demo.json, written from the database and from what the last demo.json still knows."""

    def __init__(self, conn: asyncpg.Connection[asyncpg.Record], store: Store, base_url: str, last: Demo) -> None:
        self._conn = conn
        self._store = store
        self._base_url = base_url
        self._last = last
        self._reissued: list[str] = []

    async def write(self) -> Demo:
        """The whole; empty where there is no demo account."""
        accounts = {
            row["name"]: row["account_id"] for row in await self._conn.fetch(_SQL.accounts, [_NAME, _OTHER_NAME])
        }
        if set(accounts) != {_NAME, _OTHER_NAME}:
            return {}
        had_demo_before = bool(await self._conn.fetchval(_SQL.has_tokens, accounts[_NAME]))
        channels = await self._channels(accounts[_NAME])
        demo = {
            "base_url": self._base_url,
            "account": {
                "id": accounts[_NAME],
                "api_token": await self._api_token(accounts[_NAME], "demo account", ("account", "api_token")),
                "crm_token": channels["partner"]["key"],
            },
            "other_account": await self._other(accounts[_OTHER_NAME]),
            "partner": await self._partner(accounts[_NAME]),
            "locations": await self._rows(_SQL.locations, accounts[_NAME]),
            "departments": await self._rows(_SQL.departments, accounts[_NAME]),
            "groups": await self._rows(_SQL.groups, accounts[_NAME]),
            "users": await self._users(accounts[_NAME], ("users",)),
            "channels": channels,
            "routes": await self._rows(_SQL.routes, accounts[_NAME]),
            "uapi": await self._oauth("demo-admin", "uapi"),
            "uapi_user": await self._oauth("demo-user-2", "uapi_user"),
        }
        if had_demo_before and self._reissued:
            names = ", ".join(self._reissued)
            print(f"callbus: the last demo.json is gone or not of this database; issued anew: {names}", file=sys.stderr)
        return demo

    async def _channels(self, account_id: int) -> dict[str, Demo]:
        found = {}
        for row in await self._store.list_channels(account_id):
            provider = row["provider"]
            if provider in KEY_KINDS and provider not in found:
                key = (await self._store.channel_keys(row["channel_id"]))[0].key
                url = webhook_url(self._base_url, provider, key)
                found[provider] = {"id": row["channel_id"], "key": key, "url": url}
        return found

    async def _users(self, account_id: int, path: tuple[str, ...]) -> list[Demo]:
        users = await self._rows(_SQL.users, account_id)
        for number, user in enumerate(users):
            user["api_token"] = await self._api_token(
                account_id, f"demo user {user['id']}", (*path, number, "api_token"), user["id"]
            )
        return users

    async def _other(self, account_id: int) -> Demo:
        return {
            "id": account_id,
            "api_token": await self._api_token(account_id, "demo account", ("other_account", "api_token")),
            "users": await self._users(account_id, ("other_account", "users")),
            "channels": await self._channels(account_id),
        }

    async def _partner(self, account_id: int) -> Demo:
        names = {
            row["name"]: row["partner_id"] for row in await self._conn.fetch(_SQL.partners, [_PARTNER, _OTHER_PARTNER])
        }
        first_user = (await self._rows(_SQL.users, account_id))[0]["id"]
        return {
            "token": await self._partner_token(names[_PARTNER], "token"),
            "other_token": await self._partner_token(names[_OTHER_PARTNER], "other_token"),
            "user_token": await self._api_token(
                account_id, "demo partner user", ("partner", "user_token"), first_user, kind="partner_user"
            ),
        }

    async def _api_token(
        self, account_id: int, name: str, path: tuple[str | int, ...], user_id: int | None = None, kind: Any = "api"
    ) -> str:
        async def issue() -> Issued:
            await self._conn.execute(_SQL.revoke_tokens, account_id, name)
            return await self._store.create_token(account_id, name, user_id=user_id, kind=kind)

        return await self._secret(path, _SQL.token_is_good, (account_id, name), issue)

    async def _partner_token(self, partner_id: int, name: str) -> str:
        async def issue() -> Issued:
            return await self._store.rotate_partner_token(partner_id)

        return await self._secret(("partner", name), _SQL.partner_token_is_good, (partner_id,), issue)

    async def _oauth(self, client_id: str, name: str) -> Demo:
        async def issue() -> Issued:
            return await self._store.reset_oauth_secret(client_id)

        secret = await self._secret((name, "client_secret"), _SQL.oauth_secret_is_good, (client_id,), issue)
        return {"client_id": client_id, "client_secret": secret}

    async def _secret(
        self,
        path: tuple[str | int, ...],
        is_good: str,
        owner: tuple[object, ...],
        issue: Callable[[], Awaitable[Issued]],
    ) -> str:
        """The secret at `path` of the last demo.json where it is still `owner`'s, else a new one."""
        known = _at(self._last, path)
        if isinstance(known, str) and await self._conn.fetchval(is_good, hash_token(known), *owner):
            return known
        self._reissued.append(".".join(map(str, path)))
        return (await issue()).secret

    async def _rows(self, statement: str, account_id: int) -> list[Demo]:
        return [dict(row) for row in await self._conn.fetch(statement, account_id)]


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def main() -> None:
    """Make the account where the database is empty, and print demo.json, as the environment's administrator."""
    values = Environment.read(os.environ, Path.cwd()).values
    print(json.dumps(asyncio.run(provision(values)), ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()

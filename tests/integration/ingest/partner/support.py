"""A chain with a partner channel, and a partner that speaks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import aiohttp

from services.routing.store import NewChannel, Store
from shared.call import Call
from shared.events import Event
from tests.integration.ingest.support import take

PATH = "/voip/integration"
ACCEPTED = {"success": True, "data": None, "meta": {"message": "Accepted"}}
ACCEPT = "application/vnd.api.v2+json"
PHONE = "+15550100123"
DIVERSION = "+15550100900"

Answer = tuple[int, dict[str, Any]]


class Clock:
    """Stands where it was put."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 2, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def after(self, seconds: float) -> datetime:
        """Return the moment so long after the beginning."""
        return datetime(2026, 3, 2, 9, tzinfo=UTC) + timedelta(seconds=seconds)


class Chain(NamedTuple):
    """An account with one partner channel, new and so not enabled."""

    account: int
    channel: int
    crm_token: str


class Partner:
    """Speaks to a chain as a PBX vendor's application does."""

    def __init__(self, client: aiohttp.ClientSession, token: str, chain: Chain) -> None:
        self.client = client
        self.token = token
        self.chain = chain

    async def send(
        self, body: Any, *, path: str = PATH, headers: dict[str, str] | None = None, method: str = "POST"
    ) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        """Send a body, as it is where it is bytes or brings them; return status, answer and headers."""
        sent = {"Authorization": f"Bearer {self.token}", "Accept": ACCEPT, "Content-Type": "application/json"}
        how: dict[str, Any] = {"data": body} if isinstance(body, bytes | AsyncIterator) else {"json": body}
        async with self.client.request(method, path, headers={**sent, **(headers or {})}, **how) as answer:
            assert answer.content_type == "application/json"
            return answer.status, await answer.json(), answer.headers

    async def say(self, command: str, type_: str, **fields: Any) -> Answer:
        """Send a command for the chain; a field that is None is left out."""
        body = {"command": command, "type": type_, "crm_token": self.chain.crm_token, **fields}
        status, answer, _ = await self.send({name: value for name, value in body.items() if value is not None})
        return status, answer

    async def enable(self) -> None:
        assert await self.say("setup", "enable") == (202, ACCEPTED)

    async def ring(self, **fields: Any) -> Answer:
        return await self.say("event", **{"type_": "incoming", "phone": PHONE, "diversion": DIVERSION, **fields})

    async def report(self, **fields: Any) -> Answer:
        return await self.say("history", **{"type_": "incoming", "phone": PHONE, "diversion": DIVERSION, **fields})


async def add_chain(store: Store, name: str = "Chain", **channel: Any) -> Chain:
    account = await store.create_account(name)
    issued = await store.create_channel(
        NewChannel(**{"account_id": account, "provider": "partner", "name": name, "country": "US", **channel})
    )
    return Chain(account, issued.id, issued.secret)


async def calls(amqp_url: str) -> list[Call]:
    """Return the calls that the published events make, by their first event."""
    told: dict[Any, list[Event]] = {}
    for event in await take(amqp_url, "history.calls"):
        told.setdefault(event.subject, []).append(event)
    return [Call.of(events) for events in told.values()]

"""A chain, and a partner that is entitled to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from services.ingest.settings import Settings
from tests.integration.ingest.partner.support import Chain, Clock, Partner, add_chain
from tests.integration.ingest.support import running
from tests.support.directory import writing


@pytest.fixture
async def chain(database_dsn: str, dsn: str) -> Chain:
    """A new chain, and so not enabled."""
    async with writing(database_dsn) as store:
        return await add_chain(store)


@pytest.fixture
async def token(database_dsn: str, chain: Chain) -> str:
    """The token of a partner that is entitled to the chain."""
    async with writing(database_dsn) as store:
        return (await store.issue_partner_token(await store.create_partner("Vendor", [chain.account]))).secret


@pytest.fixture
async def partner(client: aiohttp.ClientSession, chain: Chain, token: str) -> Partner:
    """A partner whose chain is enabled."""
    partner = Partner(client, token, chain)
    await partner.enable()
    return partner


@pytest.fixture
async def replica(partner: Partner, configured: Settings, tmp_path: Path) -> AsyncIterator[Partner]:
    """The same partner, at another ingest on the same broker and database."""
    (tmp_path / "other").mkdir()
    async with running(configured.model_copy(update={"data_dir": tmp_path / "other"})) as client:
        yield Partner(client, partner.token, partner.chain)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that requests are received by; it stands still."""
    clock = Clock()
    monkeypatch.setattr("shared.clock.now", clock)
    return clock

"""A PBX vendor's application is set up by hand, to the point where ingest knows it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from callbus.cli import run
from shared.db.migrations import migrate
from shared.directory import Channel, Partner
from shared.secrets import Sealer
from tests.support.directory import connected, reading


class Callbus:
    """Runs `callbus` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    async def json(self, *arguments: str) -> Any:
        status, out, err = await self._run(*arguments, "--json")
        assert (status, err) == (0, "")
        return json.loads(out)

    async def refused(self, *arguments: str) -> str:
        """Return the one line of an error."""
        status, out, err = await self._run(*arguments)
        assert (status, out) == (1, "")
        return err.strip()

    async def _run(self, *arguments: str) -> tuple[int, str, str]:
        self._capsys.readouterr()
        with capture_logs():  # a reader's, which runs beside it
            status = await asyncio.to_thread(run, list(arguments))
        out, err = self._capsys.readouterr()
        return status, out, err


@pytest.fixture
async def callbus(
    database_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callbus:
    (tmp_path / "master.key").write_text(Sealer.new_key())
    monkeypatch.setenv("CALLBUS_POSTGRES_DSN", database_dsn)
    monkeypatch.setenv("CALLBUS_MASTER_KEY_FILE", str(tmp_path / "master.key"))
    monkeypatch.setenv("CALLBUS_BASE_URL", "https://bus.example")
    await migrate(database_dsn, ["routing"])
    return Callbus(capsys)


async def test_a_partner_is_made_entitled_given_a_token_and_stopped(callbus: Callbus, database_dsn: str) -> None:
    account = str((await callbus.json("accounts", "create", "Chain"))["id"])
    create = ("channels", "create", "--account", account, "--provider", "partner", "--name")
    channel, other = [await callbus.json(*create, name) for name in ("First", "Second")]
    partner = str((await callbus.json("partners", "create", "Vendor"))["id"])
    first = await callbus.json("partners", "token", partner)
    second = await callbus.json("partners", "token", partner, "--days", "1")
    for _ in range(2):
        await callbus.json("partners", "entitle", partner, "--account", account, "--channel", str(channel["id"]))

    assert channel["url"] == "https://bus.example/voip/integration"
    shown = await callbus.json("channels", "show", str(channel["id"]), "--key")
    assert (shown["crm_token"], shown["url"]) == (channel["crm_token"], channel["url"])
    assert "crm_token" not in await callbus.json("channels", "show", str(channel["id"]))
    listed = await callbus.json("partners", "list")
    assert listed == [
        {
            "id": int(partner),
            "name": "Vendor",
            "tokens": [first["token_id"], second["token_id"]],
            "entitlements": [f"{account}/{channel['id']}"],
        }
    ]

    async def known(token: dict[str, Any]) -> Partner | None:
        return await reader.partner_by_token(token["token"])

    async def allowed() -> list[bool]:
        found = (await reader.refresh()).partners[int(partner)]
        return [found.may_use(reader.snapshot.channels[each["id"]]) for each in (channel, other)]

    async with reading(database_dsn) as reader:
        await reader.wait_loaded()
        assert isinstance(await reader.channel_by_key(channel["crm_token"], "crm_token"), Channel)
        assert (await known(first), await known(second)) != (None, None)
        assert await allowed() == [True, False]
        await callbus.json("partners", "entitle", partner, "--account", account)
        assert await allowed() == [True, True]
        await callbus.json("partners", "withdraw", partner, "--account", account)
        assert await allowed() == [True, False]
        await callbus.json("partners", "revoke", partner, "--token", str(first["token_id"]))
        await reader.refresh()
        assert (await known(first), await known(second) is None) == (None, False)
        await callbus.json("partners", "revoke", partner)
        await reader.refresh()
        assert (await known(first), await known(second)) == (None, None)
    assert (await callbus.json("partners", "list"))[0]["tokens"] == []


async def test_what_does_not_exist_is_told_in_a_line(callbus: Callbus, database_dsn: str) -> None:
    account = str((await callbus.json("accounts", "create", "Chain"))["id"])
    partner = str((await callbus.json("partners", "create", "Vendor"))["id"])
    async with connected(database_dsn) as connection:
        manual = await connection.fetchval("SELECT channel_id FROM directory.channels")

    assert await callbus.refused("partners", "token", "99") == "callbus: no partner 99"
    assert await callbus.refused("partners", "revoke", "99") == "callbus: no partner 99"
    assert await callbus.refused("partners", "revoke", partner, "--token", "99") == (
        f"callbus: partner {partner} has no token 99"
    )
    assert await callbus.refused("partners", "entitle", "99", "--account", account) == "callbus: no partner 99"
    assert "no such account" in await callbus.refused("partners", "entitle", partner, "--account", "99")
    assert await callbus.refused("partners", "entitle", partner, "--account", account, "--channel", str(manual)) == (
        f"callbus: account {account} has no partner channel {manual}"
    )
    assert await callbus.refused("partners", "withdraw", partner, "--account", account) == (
        "callbus: the partner has no such entitlement"
    )

"""The demo account: made in an empty database only, and its secrets outlive every restart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from callbus import demo
from shared.secrets import Sealer
from tests.support.directory import connected, migrate, reading

KINDS = {"channel_key", "telecube", "supervoip", "voipnow", "datera", "generic", "partner"}


class LocalRun:
    """Provisions as the local run does: demo.json is handed back at the next start."""

    def __init__(self, directory: Path, dsn: str) -> None:
        self.file = directory / "demo.json"
        (directory / "master.key").write_text(Sealer.new_key())
        self._environment = {
            "CALLBUS_POSTGRES_DSN": dsn,
            "CALLBUS_MASTER_KEY_FILE": str(directory / "master.key"),
            "CALLBUS_BASE_URL": "http://127.0.0.1:8080",
            "CALLBUS_DEMO_FILE": str(self.file),
        }

    async def start(self) -> dict[str, Any]:
        made = await demo.provision(self._environment)
        self.file.write_text(json.dumps(made))
        return made


@pytest.fixture
async def run(tmp_path: Path, database_dsn: str) -> LocalRun:
    await migrate(database_dsn, ("routing", "ingest"))
    return LocalRun(tmp_path, database_dsn)


async def test_the_demo_account_is_whole_and_its_secrets_work(run: LocalRun, database_dsn: str) -> None:
    made = await run.start()
    assert set(made["channels"]) == KINDS
    assert [(user["telephony"], user["extension"], user["pbx_user_id"]) for user in made["users"]] == [
        (True, "0001*101", "101"),
        (True, "0001*102", "102"),
        (True, "0001*103", "103"),
        (False, None, None),
    ]
    first, second, third, _ = (user["id"] for user in made["users"])
    centre, spa = (location["id"] for location in made["locations"])
    assert made["groups"] == [{"id": made["groups"][0]["id"], "user_ids": [first, second]}]
    assert made["routes"] == [
        {"match": "user", "value": "101", "user_ids": [first], "location_ids": [centre]},
        {"match": "diversion", "value": "+48220000900", "user_ids": [second, third], "location_ids": [spa]},
    ]
    assert made["account"]["crm_token"] == made["channels"]["partner"]["key"]
    async with reading(database_dsn) as reader:
        await reader.wait_loaded()
        for kind, channel in made["channels"].items():
            found = await reader.channel_by_key(channel["key"], "crm_token" if kind == "partner" else "key")
            assert found is not None
            assert (found.id, found.provider, found.enabled) == (channel["id"], kind, True)
        for user in [*made["users"], *made["other_account"]["users"]]:
            token = await reader.find_token(user["api_token"])
            assert token is not None
            assert token.user_id == user["id"]
        partner_channel = reader.snapshot.channels[made["channels"]["partner"]["id"]]
        entitled = [await reader.partner_by_token(made["partner"][name]) for name in ("token", "other_token")]
        assert [partner.may_use(partner_channel) for partner in entitled if partner] == [True, False]
        user_token = await reader.find_token(made["partner"]["user_token"])
        assert user_token is not None
        assert user_token.kind == "partner_user"
        admin = reader.snapshot.oauth_clients[made["uapi"]["client_id"]].user_id
        assert reader.snapshot.users[admin].role == "admin"
        assert reader.snapshot.oauth_clients[made["uapi_user"]["client_id"]].user_id == second
        assert len(reader.snapshot.sip_accounts_of[made["account"]["id"]]) == 3
    async with connected(database_dsn) as conn:
        enabled = await conn.fetch("SELECT account_id, channel_id FROM ingest.integrations WHERE enabled")
        assert [tuple(row) for row in enabled] == [(made["account"]["id"], made["channels"]["partner"]["id"])]


async def test_a_second_start_gives_the_same(run: LocalRun, capsys: pytest.CaptureFixture[str]) -> None:
    made = await run.start()
    assert await run.start() == made
    assert capsys.readouterr().err == ""


async def test_a_lost_demo_file_is_told_and_its_tokens_are_issued_anew(
    run: LocalRun, database_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = await run.start()
    run.file.unlink()
    after = await run.start()
    assert "account.api_token" in capsys.readouterr().err
    assert after["channels"] == before["channels"]
    async with reading(database_dsn) as reader:
        await reader.wait_loaded()
        assert await reader.find_token(before["account"]["api_token"]) is None
        assert await reader.find_token(after["account"]["api_token"]) is not None
        assert await reader.partner_by_token(before["partner"]["token"]) is None
        assert await reader.partner_by_token(after["partner"]["token"]) is not None


async def test_one_missing_token_alone_is_issued_anew(run: LocalRun) -> None:
    before = await run.start()
    kept = json.loads(run.file.read_text())
    del kept["users"][1]["api_token"]
    run.file.write_text(json.dumps(kept))
    after = await run.start()
    assert after["users"][1]["api_token"] != before["users"][1]["api_token"]
    after["users"][1]["api_token"] = before["users"][1]["api_token"]
    assert after == before


async def test_a_database_that_serves_others_gets_no_demo_account(run: LocalRun, database_dsn: str) -> None:
    async with connected(database_dsn) as conn:
        await conn.execute("INSERT INTO directory.accounts (name) VALUES ('A customer')")
        assert await run.start() == {}
        assert await conn.fetchval("SELECT count(*) FROM directory.accounts") == 1

"""`callbus journal` against a running ingest whose broker is away, and the operators' API behind it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from callbus.cli import run
from services.ingest.journal.files import JournalFile
from tests.integration.ingest.support import KEY, add_account, eventually, ingest_dsn, running, settings, status

OPERATORS = "a token of the operators"
NOWHERE = "amqp://guest:guest@127.0.0.1:1/"
CALL = {"status": "callend", "callid": "a call", "numberA": "220000101", "disposition": "BUSY"}


async def test_what_waits_and_what_was_set_aside_is_listed(
    database_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    token, folder = tmp_path / "operator.token", tmp_path / "journal" / "events"
    token.write_text(OPERATORS)
    dsn = await ingest_dsn(database_dsn)
    await add_account(database_dsn)
    monkeypatch.setenv("CALLBUS_OPERATOR_TOKEN_FILE", str(token))

    async def journal(*arguments: str) -> str:
        capsys.readouterr()
        with capture_logs():
            assert await asyncio.to_thread(run, ["journal", *arguments]) == 0
        return capsys.readouterr().out

    async def rows() -> list[dict[str, Any]]:
        return list(json.loads(await journal("--json")))

    configured = settings(NOWHERE, dsn, tmp_path, operator_token_file=token)
    async with running(configured, until_ready=False) as client:
        monkeypatch.setenv("CALLBUS_INGEST_URL", str(client._base_url))
        assert await journal() == "The journal is empty.\n"
        await eventually(lambda: status(client, f"/hooks/supervoip/{KEY}", CALL), 200)
        of_another = JournalFile.create(folder)
        for name in ("1-strange.journal", "2-old.damaged", "3-old-kept.refused"):
            (folder / name).touch()
        listed = await rows()
        table = await journal()
        async with client.get("/api/v1/admin/journal") as answer:
            unauthorized = answer.status
    of_another.release()

    assert unauthorized == 401
    (waiting,) = [row for row in listed if row["state"] == "waiting"]
    assert waiting["journal"] == "events"
    assert waiting["bytes"] > waiting["forwarded_bytes"]
    assert {(row["state"], row["name"]) for row in listed if row is not waiting} == {
        ("of another", of_another.path.name),
        ("of another", "1-strange.journal"),  # until it is looked at, within half a minute
        ("damaged", "2-old.damaged"),
        ("refused", "3-old-kept.refused"),
    }
    assert [line.split()[1] for line in table.splitlines()].count("damaged") == 1


async def test_a_file_that_is_none_of_ours_is_said_to_be_so(database_dsn: str, tmp_path: Path) -> None:
    token, folder = tmp_path / "operator.token", tmp_path / "journal" / "reports"
    token.write_text(OPERATORS)
    folder.mkdir(parents=True)
    (folder / "1-strange.journal").write_bytes(b"strange")
    configured = settings(NOWHERE, await ingest_dsn(database_dsn), tmp_path, operator_token_file=token)
    async with running(configured, until_ready=False) as client:

        async def not_adopted() -> list[list[str]]:
            headers = {"Authorization": f"Bearer {OPERATORS}"}
            async with client.get("/api/v1/admin/journal", headers=headers) as answer:
                return [journal["not_adopted"] for journal in (await answer.json())["items"]]

        await eventually(not_adopted, [[], ["1-strange.journal"]])

"""What a token can be narrowed to."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from callbus.cli import run
from shared.db.migrations import migrate
from shared.directory import SCOPES
from shared.secrets import Sealer
from tests.support.directory import connected


async def test_a_token_has_the_scopes_it_was_given(
    database_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "master.key"
    key.write_text(Sealer.new_key())
    monkeypatch.setenv("CALLBUS_POSTGRES_DSN", database_dsn)
    monkeypatch.setenv("CALLBUS_MASTER_KEY_FILE", str(key))
    await migrate(database_dsn, ["routing"])
    capsys.readouterr()  # its log
    async with connected(database_dsn) as connection:
        await connection.execute("INSERT INTO directory.accounts (account_id, name) VALUES (1, 'Salon')")
        for scopes in ([], ["calls:read"]):
            narrowing = [word for scope in scopes for word in ("--scope", scope)]
            create = ["tokens", "create", "--account", "1", "--name", "script", *narrowing, "--json"]
            assert await asyncio.to_thread(run, create) == 0
            id_ = json.loads(capsys.readouterr().out)["id"]
            assert await connection.fetchval("SELECT scopes FROM directory.tokens WHERE token_id = $1", id_) == scopes


def test_an_unknown_scope_is_refused_and_help_says_what_each_allows(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        run(["tokens", "create", "--account", "1", "--name", "script", "--scope", "calls:red"])
    assert refused.value.code == 2
    assert "invalid choice: 'calls:red'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run(["tokens", "create", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    for scope, what in SCOPES.items():
        assert f"{scope} (to {what})" in said

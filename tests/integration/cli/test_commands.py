"""The command line, as a process of its own against real servers."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from callbus.cli import run
from shared.bus.connection import Broker
from shared.bus.dead import DeadLetters
from shared.bus.deadletter import dead_message
from shared.bus.messages import Delivery
from shared.clock import now
from shared.secrets import Sealer
from tests.support.directory import connected, reading

ROOT = Path(__file__).parents[3]


class Callbus:
    """Runs `callbus` in a directory without a local run: in this process, which is quick, or in one of its own."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._directory = directory
        self._capsys = capsys

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "callbus", *arguments],
            cwd=self._directory,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit status, stdout, stderr."""
        self._capsys.readouterr()
        status = await asyncio.to_thread(_run, arguments)
        out, err = self._capsys.readouterr()
        return status, out, err

    async def text(self, *arguments: str) -> str:
        status, out, err = await self.run(*arguments)
        assert (status, err) == (0, "")
        return out

    async def json(self, *arguments: str) -> Any:
        return json.loads(await self.text(*arguments, "--json"))


def _run(arguments: Sequence[str]) -> int:
    try:
        with capture_logs():  # which the program itself silences in main()
            return run(arguments)
    except SystemExit as usage:  # argparse's way
        return int(usage.code or 0)


@pytest.fixture
def callbus(
    tmp_path: Path, database_dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callbus:
    passwords = tmp_path / "passwords"
    passwords.mkdir()
    for folder in (ROOT / "services").glob("*/__init__.py"):
        (passwords / f"{folder.parent.name}.password").write_text(f"password of {folder.parent.name}\n")
    (tmp_path / "master.key").write_text(Sealer.new_key())
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CALLBUS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CALLBUS_POSTGRES_DSN", database_dsn)
    monkeypatch.setenv("CALLBUS_MASTER_KEY_FILE", str(tmp_path / "master.key"))
    monkeypatch.setenv("CALLBUS_ROLE_PASSWORDS_DIR", str(passwords))
    monkeypatch.setenv("CALLBUS_BASE_URL", "https://bus.example")
    return Callbus(tmp_path, capsys)


async def test_a_tenant_is_set_up_from_migrate_to_a_working_key_and_token(callbus: Callbus, database_dsn: str) -> None:
    first, second = (callbus.start("migrate", "--json") for _ in range(2))
    outputs = [await asyncio.to_thread(process.communicate, timeout=60) for process in (first, second)]
    assert [process.returncode for process in (first, second)] == [0, 0], outputs
    assert sorted(bool(json.loads(out)) for out, _ in outputs) == [False, True]
    assert "up to date" in await callbus.text("migrate")

    account = (await callbus.json("accounts", "create", "Salon"))["id"]
    assert "Salon" in await callbus.text("accounts", "list")
    channel = await callbus.json(
        "channels", "create", "--account", str(account), "--provider", "supervoip", "--name", "W"
    )
    assert channel["url"] == f"https://bus.example/hooks/supervoip/{channel['key']}"
    token = await callbus.json("tokens", "create", "--account", str(account), "--name", "script", "--days", "1")

    number = str(channel["id"])
    assert (await callbus.json("channels", "show", number, "--key"))["key"] == channel["key"]
    rotated = await callbus.json("channels", "rotate", number)
    assert (await callbus.json("channels", "show", number, "--key"))["old_key"] == channel["key"]
    await callbus.text("channels", "disable", number)
    for listing in (("channels", "show", number), ("channels", "list"), ("tokens", "list"), ("accounts", "list")):
        shown = await callbus.text(*listing)
        assert not any(secret in shown for secret in (channel["key"], rotated["key"], token["token"]))

    async with reading(database_dsn) as reader:
        async with asyncio.timeout(20):
            await reader.wait_loaded()
        found = await reader.channel_by_key(rotated["key"])
        assert found is not None
        assert (found.id, found.enabled) == (channel["id"], False)
        assert await reader.find_token(token["token"]) is not None
        await callbus.text("tokens", "revoke", str(token["id"]))
    async with connected(database_dsn) as conn:
        assert await conn.fetchval("SELECT revoked_at IS NOT NULL FROM directory.tokens")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["accounts"], 2, "required"),
        (["channels", "create", "--account", "1", "--provider", "pbx", "--name", "x"], 2, "invalid choice"),
        (["accounts", "list"], 1, "run 'callbus migrate'"),
        (["dead", "list", "history"], 2, "CALLBUS_AMQP_URL is not set"),
        (["channels", "mapping", "--check", "no.json"], 1, "no.json: No such file or directory"),
    ],
)
async def test_an_error_is_told_in_one_line(callbus: Callbus, arguments: list[str], status: int, said: str) -> None:
    done, out, err = await callbus.run(*arguments)
    assert (done, out) == (status, "")
    last = err.splitlines()[-1]
    assert last.startswith("callbus")
    assert said in last
    assert "Traceback" not in err


async def test_a_server_that_is_not_there_is_told(callbus: Callbus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBUS_AMQP_URL", "amqp://127.0.0.1:1/")
    monkeypatch.setenv("CALLBUS_POSTGRES_DSN", "postgresql://127.0.0.1:1/callbus")
    for arguments in (("dead", "list", "history"), ("accounts", "list")):
        status, _, err = await callbus.run(*arguments)
        assert (status, err.count("\n")) == (1, 1)
        assert err.startswith("callbus: nothing answers there; is it running? ")


async def test_what_the_directory_does_not_take_is_named(callbus: Callbus) -> None:
    await asyncio.to_thread(callbus.start("migrate").communicate, timeout=60)
    channel = ("channels", "create", "--provider", "supervoip", "--account")
    account = str((await callbus.json("accounts", "create", "Salon"))["id"])
    for arguments, said in (
        (("accounts", "create", ""), "not a valid name (accounts_name_check)"),
        ((*channel, "99", "--name", "x"), "there is no such account"),
        ((*channel, account, "--name", ""), "not a valid name (channels_name_check)"),
        ((*channel, account, "--name", "x", "--location", "9"), "the account has no such location"),
    ):
        assert await callbus.run(*arguments) == (1, "", f"callbus: {said}\n")


async def test_a_missing_password_file_stops_the_migration_before_it_begins(callbus: Callbus, tmp_path: Path) -> None:
    (tmp_path / "passwords" / "history.password").unlink()
    status, _, err = await callbus.run("migrate")
    assert status == 1
    assert "password of history" in err


async def test_dead_letters_are_listed_shown_replayed_and_dropped(
    callbus: Callbus, amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLBUS_AMQP_URL", amqp_url)
    migration = callbus.start("migrate")
    out, err = await asyncio.to_thread(migration.communicate, timeout=60)
    assert (migration.returncode, err) == (0, "")
    assert "topology was declared" in out
    assert "No dead letters" in await callbus.text("dead", "list", "history")
    async with Broker(amqp_url, name="test") as broker:
        await broker.until_ready()
        for name in ("a", "b", "c"):
            await broker.publisher().publish([dead(name)])
    assert [row["message_id"] for row in await callbus.json("dead", "list", "history")] == ["a", "b", "c"]
    assert "history.calls" in await callbus.text("dead", "list", "history")
    assert (await callbus.json("dead", "show", "history", "b"))["body"] == "body of b"
    assert await callbus.json("dead", "replay", "history", "b") == {"replayed": 1}
    assert await callbus.json("dead", "drop", "history", "--all") == {"dropped": 2}
    assert await DeadLetters(amqp_url, "history").list() == ()
    status, _, err = await callbus.run("dead", "show", "history", "b")
    assert (status, err) == (1, "callbus: no dead letter b of history\n")


def dead(name: str) -> Any:
    delivery = Delivery(
        body=f"body of {name}".encode(),
        message_id=name,
        routing_key="call.ringing.v1.00",
        redelivered=False,
        delivery_count=0,
        headers={},
        exchange="calls",
        content_type="application/json",
        tag=1,
    )
    return dead_message(delivery, "history.dead", "history.calls", reason="test", error=ValueError("x"), now=now())

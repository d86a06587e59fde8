"""`callbus requests` against running services: ingest refuses, history keeps, an operator lists, shows and applies."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import asyncpg
import pytest
from structlog.testing import capture_logs

from callbus.cli import run
from services.history.app import create
from services.history.settings import Settings as HistorySettings
from services.ingest.app import build
from services.ingest.settings import Settings as IngestSettings
from shared.db.migrations import migrate
from shared.http import serving
from tests.integration.ingest.support import KEY, Ids, add_account, eventually, status

OPERATORS = "a token of the operators"
PASSWORD = "not-a-secret"
HOOK = f"/hooks/generic/{KEY}"
LEARNT = '{"fields": {"event": "event", "call": "call"}, "words": {"event": {"przychodzi": "ringing"}}}'


@dataclass
class Running:
    """Both services on free ports, and the command line beside them."""

    ingest: aiohttp.ClientSession
    channel: int
    database: asyncpg.Connection[Any]
    capsys: pytest.CaptureFixture[str]

    async def callbus(self, *arguments: str) -> tuple[int, str, str]:
        self.capsys.readouterr()
        code = await asyncio.to_thread(_run, ["requests", *arguments])
        out, err = self.capsys.readouterr()
        return code, out, err

    async def json(self, *arguments: str) -> Any:
        code, out, err = await self.callbus(*arguments, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)

    async def send(self, id_: str, body: dict[str, Any], path: str = HOOK) -> int:
        async with self.ingest.post(path, json=body, headers={"X-Request-Id": id_}) as answer:
            return answer.status

    async def kept(self, count: int) -> list[dict[str, Any]]:
        """Return everything that is listed, once it is so many."""

        async def counted() -> object:
            return len(await self.json("list"))

        await eventually(counted, count)
        return list(await self.json("list"))

    async def learn(self) -> None:
        await self.database.execute(
            "UPDATE directory.channels SET mapping = $2 WHERE channel_id = $1", self.channel, LEARNT
        )
        # The directory is read when the next event of the channel is understood.
        dry = {"event": "przychodzi", "call": "dry"}

        async def understood() -> object:
            async with self.ingest.post(f"{HOOK}?dry_run=1", json=dry) as answer:
                return len((await answer.json()).get("events", ()))

        await eventually(understood, 1)


def _run(arguments: Sequence[str]) -> int:
    try:
        with capture_logs():
            return run(arguments)
    except SystemExit as usage:
        return int(usage.code or 0)


@pytest.fixture
async def running(
    amqp_url: str,
    database_dsn: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> AsyncIterator[Running]:
    (tmp_path / "operator.token").write_text(OPERATORS)
    services = ("ingest", "history")
    await migrate(database_dsn, ["routing", *services], passwords=dict.fromkeys(services, PASSWORD))
    ids = await _generic_channel(database_dsn)
    common = {"amqp_url": amqp_url, "operator_token_file": tmp_path / "operator.token"}
    ingest = IngestSettings.model_validate(
        {
            **common,
            "postgres_dsn": _dsn(database_dsn, "ingest"),
            "data_dir": tmp_path,
            "journal_dir": tmp_path / "journal",
            "recordings_url": tmp_path.as_uri(),
        }
    )
    history = HistorySettings.model_validate(
        {**common, "postgres_dsn": _dsn(database_dsn, "history"), "recordings_url": tmp_path.as_uri()}
    )
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CALLBUS_")]:
        monkeypatch.delenv(name)
    database = await asyncpg.connect(database_dsn)
    async with (
        serving(build(ingest), ingest) as ingest_port,
        serving(create(history), history) as history_port,
        aiohttp.ClientSession(f"http://127.0.0.1:{ingest_port}") as client,
        aiohttp.ClientSession(f"http://127.0.0.1:{history_port}") as other,
    ):
        monkeypatch.setenv("CALLBUS_INGEST_URL", f"http://127.0.0.1:{ingest_port}")
        monkeypatch.setenv("CALLBUS_HISTORY_URL", f"http://127.0.0.1:{history_port}")
        monkeypatch.setenv("CALLBUS_OPERATOR_TOKEN_FILE", str(tmp_path / "operator.token"))
        for session in (client, other):
            await eventually(lambda session=session: status(session, "/readyz"), 200)  # type: ignore[misc]
        yield Running(client, ids.channel, database, capsys)
    await database.close()


async def _generic_channel(database_dsn: str) -> Ids:
    ids = await add_account(database_dsn)
    connection = await asyncpg.connect(database_dsn)
    await connection.execute("UPDATE directory.channels SET provider = 'generic' WHERE channel_id = $1", ids.channel)
    await connection.close()
    return ids


def _dsn(database_dsn: str, service: str) -> str:
    url = urlsplit(database_dsn)
    return urlunsplit(url._replace(netloc=f"{url.path[1:]}_{service}:{PASSWORD}@{url.hostname}:{url.port}"))


async def test_requests_are_listed_and_shown(running: Running) -> None:
    assert await running.send("nobodys-1", {}, "/hooks/generic/wrong") == 404
    assert await running.send("refused-1", {"event": "ringing"}) == 422
    assert await running.send("unknown-1", {"event": "przychodzi", "call": "a1", "token": "hunter2"}) == 200
    everything = await running.kept(3)

    assert sorted((item["id"], item["outcome"]) for item in everything) == [
        ("nobodys-1", "refused"),
        ("refused-1", "refused"),
        ("unknown-1", "unrecognised"),
    ]
    assert [item["id"] for item in await running.json("list", "--account", "0")] == ["nobodys-1"]
    assert [item["id"] for item in await running.json("list", "--outcome", "unrecognised")] == ["unknown-1"]
    assert len(await running.json("list", "--channel", str(running.channel), "--provider", "generic")) == 2
    assert [item["id"] for item in await running.json("list", "--limit", "2")] == [item["id"] for item in everything][
        :2
    ]
    assert await running.json("list", "--channel", "999") == []
    assert (await running.callbus("list", "--channel", "999"))[1] == "No such requests.\n"

    code, text, _ = await running.callbus("list")
    assert code == 0
    assert "unknown event: 'przychodzi'" in text
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ  ", line) for line in text.splitlines()[1:])
    shown = await running.json("show", "unknown-1")
    assert (shown["body"], shown["account_id"]) == (
        '{"event": "przychodzi", "call": "a1", "token": "f52fbd32"}',
        everything[0]["account_id"],
    )
    code, text, _ = await running.callbus("show", "unknown-1")
    assert (code, "przychodzi" in text, "hunter2" in text) == (0, True, False)
    assert re.search(r'^headers: +\{".*"User-Agent": ', text, re.MULTILINE)


async def test_unknown_words_are_applied_once_the_mapping_knows_them(running: Running) -> None:
    for number in range(3):
        assert await running.send(f"unknown-{number}", {"event": "przychodzi", "call": f"a{number}"}) == 200
    assert await running.send("unknown-9", {"event": "co innego", "call": "a9"}) == 200
    await running.kept(4)

    assert await running.json("apply", "--unrecognised", "--channel", "999") == []
    first = await running.json("apply", "--unrecognised")
    assert {(row["applied"], "still not recognised" in row["why"]) for row in first} == {(False, True)}

    await running.learn()
    (named,) = await running.json("apply", "unknown-0")
    assert (named["id"], named["applied"], named["events"], named["why"]) == ("unknown-0", True, 1, None)
    assert await running.json("apply", "unknown-0") == []
    assert (await running.callbus("apply", "unknown-0"))[:2] == (0, "Nothing is left to apply.\n")
    rest = await running.json("apply", "--unrecognised", "--channel", str(running.channel))
    assert {row["id"]: row["applied"] for row in rest} == {"unknown-1": True, "unknown-2": True, "unknown-9": False}

    assert [item["id"] for item in await running.json("list", "--outcome", "unrecognised")] == ["unknown-9"]
    applied = await running.json("list", "--outcome", "accepted")
    assert {item["id"] for item in applied} == {"unknown-0", "unknown-1", "unknown-2"}

    async def calls() -> object:
        return await running.database.fetchval("SELECT count(*) FROM history.calls WHERE state = 'ringing'")

    await eventually(calls, 3)


async def test_all_requests_with_an_id_are_applied(running: Running) -> None:
    for number in range(3):
        assert await running.send("trace-0001", {"event": "przychodzi", "call": f"a{number}"}) == 200
    await running.kept(3)
    await running.learn()

    rows = await running.json("apply", "trace-0001")
    assert [(row["id"], row["applied"]) for row in rows] == [("trace-0001", True)] * 3


async def test_what_can_not_be_applied_is_told_and_the_command_fails(running: Running) -> None:
    assert await running.send("nobodys-1", {}, "/hooks/generic/wrong") == 404
    assert (
        await running.send("long-0001", {"event": "przychodzi", "call": "a1", **dict.fromkeys("xyz", "n" * 9000)})
        == 200
    )
    await running.kept(2)
    await running.learn()

    code, out, err = await running.callbus("apply", "nobodys-1", "long-0001")
    assert (code, err) == (1, "callbus: 2 of 2 could not be applied\n")
    assert "it came with no good key" in out
    assert "only the first part of the body was kept" in out
    code, out, err = await running.callbus("apply", "long-0001", "no-such-1")
    assert (code, out) == (1, "")
    assert "no request no-such-1" in err


async def test_errors_are_told_in_one_line(running: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert (await running.callbus("apply"))[0] == 2
    assert (await running.callbus("apply", "--unrecognised", "an-id"))[0] == 2
    code, _, err = await running.callbus("show", "no/such")
    assert (code, err) == (1, "callbus: history answers 404: no request with this id is known\n")
    (tmp_path / "other.token").write_text("a token of somebody else")
    monkeypatch.setenv("CALLBUS_OPERATOR_TOKEN_FILE", str(tmp_path / "other.token"))
    code, _, err = await running.callbus("list")
    assert (code, err) == (1, "callbus: history answers 401: the operators' token is needed\n")
    (tmp_path / "other.token").write_text("short")
    assert (await running.callbus("list"))[0] == 1
    monkeypatch.setenv("CALLBUS_OPERATOR_TOKEN_FILE", str(tmp_path / "operator.token"))
    monkeypatch.setenv("CALLBUS_HISTORY_URL", "http://127.0.0.1:1")
    code, _, err = await running.callbus("list")
    assert (code, err.startswith("callbus: history does not answer at http://127.0.0.1:1"), err.count("\n")) == (
        1,
        True,
        1,
    )
    monkeypatch.delenv("CALLBUS_HISTORY_URL")
    assert (await running.callbus("list"))[0] == 2

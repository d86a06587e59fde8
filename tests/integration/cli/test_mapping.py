"""Mapping files and clocks of channels, from the command line to the directory that ingest reads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from callbus.cli import run
from shared.db.migrations import migrate
from shared.secrets import Sealer
from tests.support.directory import connected, reading

GOOD = {"fields": {"event": "e", "call": "c"}, "words": {"event": {"dzwoni": "ringing"}}, "defaults": {"to": "Łódź"}}


class Done(NamedTuple):
    status: int
    out: str
    err: str


Callbus = Callable[..., Awaitable[Done]]


@pytest.fixture
async def callbus(
    database_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callbus:
    key = tmp_path / "master.key"
    key.write_text(Sealer.new_key())
    monkeypatch.setenv("CALLBUS_POSTGRES_DSN", database_dsn)
    monkeypatch.setenv("CALLBUS_MASTER_KEY_FILE", str(key))
    await migrate(database_dsn, ["routing"])
    async with connected(database_dsn) as connection:
        await connection.execute("INSERT INTO directory.accounts (account_id, name) VALUES (1, 'Salon')")

    async def call(*arguments: object) -> Done:
        capsys.readouterr()
        status = await asyncio.to_thread(run, [str(argument) for argument in arguments])
        return Done(status, *capsys.readouterr())

    return call


def written(path: Path, mapping: object) -> Path:
    path.write_text(json.dumps(mapping), encoding="utf-8")
    return path


async def create(callbus: Callbus, provider: str, *more: object) -> Done:
    return await callbus("channels", "create", "--account", 1, "--provider", provider, "--name", "x", "--json", *more)


async def test_a_mapping_is_created_shown_replaced_and_taken_away(
    callbus: Callbus, tmp_path: Path, database_dsn: str
) -> None:
    file = written(tmp_path / "good.json", GOOD)
    channel = json.loads((await create(callbus, "datera", "--mapping", file)).out)["id"]

    assert json.loads((await callbus("channels", "mapping", channel)).out) == GOOD
    other = written(tmp_path / "other.json", {**GOOD, "ends": "leg"})
    assert json.loads((await callbus("channels", "mapping", channel, "--set", other, "--json")).out) == {
        "id": channel,
        "mapping": {**GOOD, "ends": "leg"},
    }
    async with reading(database_dsn) as reader:
        async with asyncio.timeout(20):
            await reader.wait_loaded()
        assert reader.snapshot.channels[channel].mapping == {**GOOD, "ends": "leg"}
    assert "mapping: -" in (await callbus("channels", "mapping", channel, "--none")).out


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"fields": {"call": "c"}}, "the mapping can't be used: fields.event or defaults.event is needed"),
        ([], "is not a JSON object"),
        ({**GOOD, "defaults": {"to": "\0"}}, "defaults.to: has a character that can't be shown"),
    ],
)
async def test_a_wrong_mapping_is_refused_wherever_it_is_given(
    callbus: Callbus, tmp_path: Path, mapping: Any, said: str
) -> None:
    file = written(tmp_path / "wrong.json", mapping)
    channel = json.loads((await create(callbus, "generic")).out)["id"]

    refusals = [
        await create(callbus, "generic", "--mapping", file),
        await callbus("channels", "mapping", channel, "--set", file),
        await callbus("channels", "mapping", "--check", file),
    ]

    assert [(done.status, done.out) for done in refusals] == [(1, "")] * 3
    assert all(said in done.err and len(done.err.splitlines()) == 1 for done in refusals)
    assert "mapping: -" in (await callbus("channels", "mapping", channel)).out


async def test_a_file_is_checked_without_a_database(
    callbus: Callbus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CALLBUS_MASTER_KEY_FILE")
    file = written(tmp_path / "good.json", GOOD)

    assert (await callbus("channels", "mapping", "--check", file)).status == 0
    assert (await callbus("channels", "mapping", "--check", tmp_path / "none.json")).status == 1
    assert "the id of a channel is needed" in (await callbus("channels", "mapping")).err


async def test_only_generic_and_datera_channels_take_one(callbus: Callbus, tmp_path: Path) -> None:
    file = written(tmp_path / "good.json", GOOD)
    channel = json.loads((await create(callbus, "supervoip")).out)["id"]

    for done in (
        await create(callbus, "supervoip", "--mapping", file),
        await callbus("channels", "mapping", channel, "--set", file),
    ):
        assert (done.status, done.err) == (1, "callbus: a supervoip channel takes no mapping\n")
    assert (await callbus("channels", "mapping", 99, "--set", file)).err == "callbus: no channel 99\n"
    assert (await callbus("channels", "mapping", 99)).err == "callbus: no channel 99\n"


async def test_a_clock_is_distrusted_and_trusted_again(callbus: Callbus) -> None:
    channel = json.loads((await create(callbus, "generic")).out)["id"]

    for word, trusted in (("distrusted", False), ("trusted", True)):
        await callbus("channels", "clock", channel, word)
        assert json.loads((await callbus("channels", "show", channel, "--json")).out)["trust_clock"] is trusted
    assert (await callbus("channels", "clock", 99, "trusted")).err == "callbus: no channel 99\n"

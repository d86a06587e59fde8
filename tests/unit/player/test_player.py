"""What `make demo` sends, and what it says where it can't."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from callbus.player import __main__ as program
from callbus.player.play import Player
from callbus.player.story import BEGAN, Step, Story


class Session:
    """Keeps what is posted instead of sending it."""

    def __init__(self) -> None:
        self.posted: list[dict[str, Any]] = []

    @asynccontextmanager
    async def post(self, _url: str, **request: Any) -> Any:
        self.posted.append(request)
        yield self

    status = 200

    async def text(self) -> str:
        return ""


async def test_a_call_is_dated_when_its_story_begins_however_late_that_is() -> None:
    steps = (Step(0, "rings", "/", json={"phone": "1"}), Step(1, "the record", "/", json={"date": BEGAN}, times=2))
    session, told, made = Session(), [], datetime.now(UTC)
    player = Player(session, speed=10, told=lambda *said: told.append(said[2:]))  # type: ignore[arg-type]
    await player.play([(20.0, Story("partner", "x", "1", steps, None))])
    first, second = (datetime.fromisoformat(request["json"]["date"]) for request in session.posted[1:])
    assert first == second
    assert timedelta(seconds=0.9) < first - made < timedelta(seconds=2.1)
    assert told == [(200, False), (200, False), (200, True)]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--file", "nothing.json"], 1, "describes no running system; start one: make run"),
        (["--file", "stopped.json"], 1, "nothing answers at http://127.0.0.1:1, which stopped.json names"),
        (["--calls", "0"], 2, "from 1 on"),
        (["--speed", "0"], 2, "more than 0"),
        (["--speed", "nan"], 2, "more than 0"),
    ],
)
def test_what_is_wrong_is_told_at_once(
    arguments: Sequence[str],
    status: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("stopped.json").write_text('{"base_url": "http://127.0.0.1:1", "channels": {"supervoip": {"url": "/"}}}')
    monkeypatch.setattr(sys, "argv", ["player", *arguments, *(["--calls", "1"] if status == 1 else [])])
    try:
        ended = program.main()
    except SystemExit as usage:
        ended = int(usage.code or 0)
    assert (ended, said in capsys.readouterr().err) == (status, True)

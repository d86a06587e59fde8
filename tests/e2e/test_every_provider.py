"""A call of every kind, of every provider, posted at the edge: history says what happened, told once or twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from callbus.local.system import System
from callbus.player.play import Player
from callbus.player.stories import STORIES, tone
from callbus.player.story import Cast, Story

DEADLINE_SECONDS = 60.0
# Faster than on telephones, and slow enough for one request to come after the other.
SPEED = 200.0


async def get(session: aiohttp.ClientSession, system: System, path: str) -> Any:
    headers = {"Authorization": f"Bearer {system.demo['account']['api_token']}"}
    async with session.get(system.base_url + path, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def told(session: aiohttp.ClientSession, system: System, stories: Iterable[Story]) -> dict[str, dict[str, Any]]:
    """Return the calls of `stories` by their keys, once all are as the stories end."""
    wanted = {story.call_key: story.outcome for story in stories}
    found: dict[str, dict[str, Any]] = {}
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while {key: call["outcome"] for key, call in found.items()} != wanted:
                await asyncio.sleep(0.2)
                items = (await get(session, system, "/api/v1/calls?limit=500"))["items"]
                found = {item["call_key"]: item for item in items if item["call_key"] in wanted}
    except TimeoutError:
        wrong = {key: (outcome, found.get(key, {}).get("outcome")) for key, outcome in wanted.items()}
        raise AssertionError(f"wanted, found: { ({k: v for k, v in wrong.items() if v[0] != v[1]}) }") from None
    return found


@pytest.mark.parametrize("repeated", [1, 2])
async def test_every_story_ends_in_history_as_it_was_told(
    system: System, session: aiohttp.ClientSession, repeated: int
) -> None:
    cast = Cast(system.demo, seed=repeated)
    stories = [make(cast) for make in STORIES]
    often = [
        replace(story, steps=tuple(replace(step, times=step.times * repeated) for step in story.steps))
        for story in stories
    ]

    await Player(session, speed=SPEED).play((0.0, story) for story in often)

    calls = await told(session, system, stories)
    assert {key: call["provider"] for key, call in calls.items()} == {s.call_key: s.provider for s in stories}
    assert {key: call["answered_by"] for key, call in calls.items()} == {s.call_key: s.answered_by for s in stories}
    assert all(call["from"]["e164"].startswith("+48") for call in calls.values())


async def test_a_recording_that_was_uploaded_is_played_back_byte_for_byte(
    system: System, session: aiohttp.ClientSession
) -> None:
    cast = Cast(system.demo, seed=3)
    story = next(make for make in STORIES if make.__name__ == "channel_key_recorded")(cast)
    await Player(session, speed=SPEED).play([(0.0, story)])
    call = (await told(session, system, [story]))[story.call_key]

    whole = await get(session, system, f"/api/v1/calls/{call['uid']}")
    url = f"{system.base_url}/api/v1/calls/{call['uid']}/recording"
    headers = {"Authorization": f"Bearer {system.demo['account']['api_token']}"}
    async with session.get(url, headers=headers) as answer:
        by_token = (answer.status, answer.content_type, await answer.read())
    async with session.get(whole["recordings"][0]["url"]) as answer:
        by_link = (answer.status, await answer.read())
    async with session.get(url, headers={**headers, "Range": "bytes=100-199"}) as answer:
        part = (answer.status, await answer.read())

    assert by_token == (200, "audio/wav", tone(0.5))
    assert by_link == (200, tone(0.5))
    assert part == (206, tone(0.5)[100:200])
    assert whole["ticket_number"]
    assert whole["comments"] == ["Wants an appointment on Friday"]

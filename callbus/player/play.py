"""Sends the stories' requests at their times."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from xml.sax.saxutils import escape

import aiohttp

from callbus.player.story import BEGAN, Step, Story

_AT_ONCE: Final = 50
_TRIES: Final = 10
_RETRIED: Final = frozenset({429, 502, 503, 504})


class Refused(Exception):
    """The system did not take a request that it should have taken."""


class Player:
    """Plays stories, several at once.

    `told` is called with every request's story, step, status, and whether it repeats the one before.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        speed: float = 1.0,
        told: Callable[[Story, Step, int, bool], None] = lambda *_: None,
    ) -> None:
        self._session = session
        self._speed = speed
        self._told = told
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    async def play(self, stories: Iterable[tuple[float, Story]]) -> None:
        """Play each story, beginning so many seconds after now. Raises `Refused` at the first that is not taken."""
        tasks = [asyncio.create_task(self._story(begins_at, story)) for begins_at, story in stories]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _story(self, begins_at: float, story: Story) -> None:
        clock = asyncio.get_running_loop().time
        start = clock() + begins_at / self._speed
        async with self._at_once:
            began = ""
            for step in story.steps:
                await asyncio.sleep(max(0.0, start + step.at / self._speed - clock()))
                began = began or datetime.now(UTC).isoformat(timespec="seconds")
                dated = _dated(step, began)
                for time in range(step.times):
                    self._told(story, step, await self._send(story, dated), time > 0)

    async def _send(self, story: Story, step: Step) -> int:
        """Return the status. What is refused for a moment is sent again, as a provider's own retry would."""
        status, text = 0, ""
        for attempt in range(_TRIES):
            try:
                async with self._session.post(step.url, **_request(step)) as answer:
                    status, text = answer.status, await answer.text()
            except (aiohttp.ClientError, TimeoutError) as error:
                status, text = 0, str(error) or type(error).__name__
            if 200 <= status < 300:
                return status
            if status and status not in _RETRIED:
                break
            await asyncio.sleep(min(0.2 * 2**attempt, 5))
        raise Refused(f"{story.provider}, {step.says}: {status or 'no answer'} {text[:300]}")


def _dated(step: Step, began: str) -> Step:
    if step.json is None:
        return step
    return replace(step, json={name: began if value is BEGAN else value for name, value in step.json.items()})


def _request(step: Step) -> dict[str, Any]:
    request: dict[str, Any] = {"headers": dict(step.headers)}
    if step.json is not None:
        request["json"] = dict(step.json)
    elif step.xml is not None:
        fields = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in step.xml.items())
        request["data"] = f"<call>{fields}</call>"
        request["headers"]["Content-Type"] = "text/xml"
    elif step.multipart is not None:
        form = aiohttp.FormData(default_to_multipart=True)
        for name, value in step.multipart:
            form.add_field(name, value)
        if step.file is not None:
            form.add_field(
                step.file.field, step.file.content, filename=step.file.name, content_type=step.file.content_type
            )
        request["data"] = form
    elif step.form is not None:
        request["data"] = {name: str(value) for name, value in step.form.items()}
    elif step.query is not None:
        request["params"] = {name: str(value) for name, value in step.query.items()}
    return request


@asynccontextmanager
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that waits for an answer as long as a patient provider."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as client:
        yield client

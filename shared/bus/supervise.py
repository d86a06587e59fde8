"""Waiting for whatever ends first, and the reason why a connection ended."""

import asyncio
from collections.abc import Awaitable
from typing import Any, Never

from shared.bus.wire import Channel, Connection


class Lost(Exception):
    """A connection, channel or consumer has ended; its text says why."""


async def race(*contenders: Awaitable[Any]) -> None:
    """Wait for the first of `contenders` to end, cancel the others and see them end; raise what the first raised."""
    tasks = [asyncio.ensure_future(contender) for contender in contenders]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if task in done:
            task.result()


async def together(*contenders: Awaitable[None]) -> None:
    """Wait until all of `contenders` have ended; the first error cancels the others and is raised."""
    tasks = [asyncio.ensure_future(contender) for contender in contenders]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def until_closed(resource: Connection | Channel) -> Never:
    """Raise `Lost` when `resource` is closed by whomever."""
    closing = resource.closing
    try:
        # Not awaited: aiormq may end it with a CancelledError that is not ours.
        await asyncio.wait({closing})
    finally:
        if not closing.done():
            closing.cancel()
    error = None if closing.cancelled() else closing.exception()
    if isinstance(resource, Connection) and resource.is_connection_was_stuck:
        raise Lost("no frame from the broker for two heartbeats")
    raise Lost(describe(error)) from error


def describe(error: BaseException | None) -> str:
    """Return what went wrong in one line, for logs and readiness."""
    if error is None:
        return "closed"
    text = " ".join(str(error).split())
    return text if isinstance(error, Lost) and text else f"{type(error).__name__}: {text}".removesuffix(": ")

"""Waiting for whatever ends first, and the reason why a connection ended."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Collection, Iterable
from contextlib import asynccontextmanager
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
        await _ended(tasks)
    _raise_first(task for task in tasks if task in done)


async def together(*contenders: Awaitable[None]) -> None:
    """Wait until all of `contenders` have ended; the first error cancels the others and is raised."""
    tasks = [asyncio.ensure_future(contender) for contender in contenders]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        await _ended(tasks)
    _raise_first(done)


def _raise_first(ended: Iterable[asyncio.Future[Any]]) -> None:
    for task in ended:
        if task.cancelled():  # not by us, and it must not look as if we were cancelled
            raise Lost("something cancelled a part of it")
        task.result()


@asynccontextmanager
async def deadline(seconds: float, what: str) -> AsyncIterator[None]:
    """Raise `Lost`, saying `what` was not done, when the block takes longer than `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise Lost(f"{what} took more than {seconds:g} s") from error


async def _ended(tasks: Collection[asyncio.Future[Any]]) -> None:
    """Cancel `tasks` until all have ended.

    Once is not enough: a channel of aiormq that closes at that moment turns the cancellation into an error of its
    own, and then suppresses that.
    """
    pending: Collection[asyncio.Future[Any]] = tasks
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=1.0)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # read, so that asyncio does not report it as never retrieved


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

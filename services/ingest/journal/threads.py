"""Work that is seen to end, also by whoever is cancelled while he waits for it.

A thread can't be stopped, and it works with descriptors that its caller closes on the way out: after that, their
numbers may be those of other files.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


async def in_thread(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """As `asyncio.to_thread`, to the end."""
    return await to_the_end(asyncio.to_thread(work, *args, **kwargs))


async def to_the_end(work: Coroutine[Any, Any, R]) -> R:
    """Return what `work` returns. A cancellation is raised once it has ended."""
    running = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        if not running.cancelled():
            running.exception()  # read, so that asyncio does not report it: nobody waits for it any more
        raise

"""Work beside the requests that is done again and again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Never

import structlog

from shared.errors import Transient

log: Final = structlog.get_logger(__name__)


async def repeat(name: str, seconds: float, work: Callable[[], Awaitable[object]]) -> Never:
    """Do `work` and again so many seconds after each end, until cancelled.

    Whatever goes wrong is no reason to end the service: the next time may do better. It is logged when it begins and
    when it is over.
    """
    failing = False
    while True:
        try:
            await work()
        except Exception as error:
            if not failing:
                more: dict[str, Any] = {} if isinstance(error, Transient) else {"exc_info": error}
                log.warning("chore_fails", chore=name, reason=str(error) or type(error).__name__, **more)
            failing = True
        else:
            if failing:
                log.info("chore_succeeds_again", chore=name)
            failing = False
        await asyncio.sleep(seconds)

"""An upload that never ends, for a test to kill: `python -m … <url of the store>`."""

import asyncio
import sys
from collections.abc import AsyncIterator

from shared.recordings import Recordings


async def stalling() -> AsyncIterator[bytes]:
    for _ in range(20):
        yield bytes(60_000)
    print("halfway", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(Recordings.open(sys.argv[1]).receive(stalling(), 2**30))

"""A process that writes to the journal, forwards it, and says each id that it was told is written; to be killed."""

import asyncio
import os
import sys
from pathlib import Path

from services.ingest.journal import Journal
from shared.bus import Broker
from tests.integration.ingest.journal_support import LIMIT, MESSAGES


async def main(folder: str, amqp_url: str, start: int, pipe: int) -> None:
    async with Broker(amqp_url, name="journal test") as broker:
        journal = Journal(Path(folder), broker.publisher(), limit_bytes=LIMIT)
        task = asyncio.create_task(journal.run())
        for message in MESSAGES[start : start + 100]:
            await journal.append([message])
            os.write(pipe, message.message_id.encode() + b"\n")
        await task


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))

"""A consumer in a process of its own, for tests that kill it.

Every message handled adds its body to the file `handled`. The body `kill` ends the process at once. Notes of suspects
are files, one byte per note.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

from shared.bus import Broker, Delivery
from tests.integration.bus.support import PATIENT, QUEUE, QUICK


class FileSuspects:
    """Notes that survive the process: the size of a file is their number."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def _path(self, message_id: str) -> Path:
        return self._directory / hashlib.sha256(message_id.encode()).hexdigest()

    async def note(self, message_id: str) -> int:
        path = self._path(message_id)
        with path.open("ab") as notes:
            notes.write(b".")
        return path.stat().st_size

    async def clear(self, message_id: str) -> None:
        self._path(message_id).unlink(missing_ok=True)


async def main(url: str, directory: Path) -> None:
    notes = directory / "notes"
    notes.mkdir(exist_ok=True)

    async def handle(batch: Sequence[Delivery]) -> None:
        (directory / "started").touch()
        if any(delivery.body == b"kill" for delivery in batch):
            os._exit(9)
        await asyncio.sleep(0.01)  # long enough for a kill from outside to meet one in hand
        with (directory / "handled").open("ab") as handled:
            handled.write(b"".join(delivery.body + b"\n" for delivery in batch))

    broker = Broker(url, name="victim", timings=QUICK)
    broker.consume(QUEUE, handle, prefetch=100, batch_size=20, suspects=FileSuspects(notes), patience=PATIENT)
    await broker.run()


def consume(url: str, directory: Path) -> None:
    """Run until killed, without a word: its log would be taken for the test's."""
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        asyncio.run(main(url, directory))

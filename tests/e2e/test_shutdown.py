"""SIGTERM while calls come in: nothing accepted is lost, and nothing is left running."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

from callbus.local import processes
from callbus.local.system import System
from tests.e2e.reckoning import Tell, settled
from tests.support.load import Provider, play_calls


def of_directory(directory: Path) -> list[str]:
    """Return the command lines of processes that have `directory` in their command or environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                command, environment = ((entry / name).read_bytes() for name in ("cmdline", "environ"))
                if os.fsencode(directory) in command + environment:
                    found.append(command.replace(b"\0", b" ").decode())
    return found


async def test_a_shutdown_under_load_loses_nothing_and_leaves_nothing(
    system: System, provider: Provider, tell: Tell
) -> None:
    programs = [pid for state in system.states() for pid in processes.tree(state.pid)]
    load = asyncio.create_task(play_calls(provider, asyncio.Event(), name="shutdown"))
    try:
        await provider.more_accepted(200)
        await asyncio.to_thread(system.stop)
    finally:
        load.cancel()
        await asyncio.gather(load, return_exceptions=True)
    assert [pid for pid in programs if processes.alive(pid)] == []
    assert of_directory(system.directory) == []

    await asyncio.to_thread(system.start)
    reckoning = await settled(system.postgres_dsn, provider.ledger, "shutdown")
    tell(f"shut down under load: {provider.ledger}; {reckoning}")
    assert reckoning.lost(provider.ledger) == set()
    assert reckoning.doubled() == set()

"""`make clean`: stops what runs in this checkout and removes its data."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

from callbus.local import locks, processes
from callbus.local.parts import CHECKOUT
from callbus.local.supervisor import programs_lock


def clean(directory: Path) -> None:
    """Ask a run in `directory` to stop, wait until its last program has ended, then delete the directory."""
    lock = directory / "lock"
    if lock.exists():
        with lock.open("r+") as held:
            launcher = int(held.read() or 0)
            if not locks.take(held.fileno()):
                processes.send([launcher], signal.SIGTERM)
            processes.wait_until(lambda: locks.take(held.fileno()), 240, f"the run in {directory} to stop")
            programs = programs_lock(directory)
            processes.wait_until(lambda: locks.is_free(programs), 240, f"the programs in {directory} to end")
            shutil.rmtree(directory)
    elif directory.exists():
        shutil.rmtree(directory)


if __name__ == "__main__":
    clean(CHECKOUT / ".run")

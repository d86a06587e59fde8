"""`make clean`: stops what runs in this checkout and removes its data."""

from __future__ import annotations

import fcntl
import shutil
import signal
from pathlib import Path

from callbus.local import processes
from callbus.local.parts import CHECKOUT


def clean(directory: Path) -> None:
    """Ask a run in `directory` to stop, wait until its last program has ended, then delete the directory."""
    lock = directory / "lock"
    if lock.exists():
        with lock.open("r+") as held:
            launcher = int(held.read() or 0)
            if not _free(held.fileno()):
                processes.send([launcher], signal.SIGTERM)
            processes.wait_until(lambda: _free(held.fileno()), 240, f"the run in {directory} to stop")
            shutil.rmtree(directory)
    elif directory.exists():
        shutil.rmtree(directory)


def _free(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


if __name__ == "__main__":
    clean(CHECKOUT / ".run")

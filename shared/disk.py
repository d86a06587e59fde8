"""What is written to a local disk is there after a power cut, the names of files and folders too. All of it blocks."""

import os
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Make a private folder where there is none; it and all above it that is new are durable. Raises `OSError`."""
    new = [each for each in (folder, *folder.parents) if not each.exists()]
    if new:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for each in new:
        sync(each.parent)


def sync(path: Path) -> None:
    """Make a file's content durable, or the names in a folder. Raises `OSError`."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""Locks on files (flock): each lasts as long as any process has it open, and ends with them, however they end."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def take(descriptor: int) -> bool:
    """Lock an open file for this process and its children alone; False when somebody else has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_free(file: Path) -> bool:
    """Tell whether nobody holds `file`, shared or alone; a file that is missing is free."""
    try:
        descriptor = os.open(file, os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        return take(descriptor)
    finally:
        os.close(descriptor)


def holding(file: Path) -> tuple[str, ...]:
    """The start of a command line that makes the rest hold `file` together with others of its kind."""
    return ("flock", "--shared", "--no-fork", str(file))

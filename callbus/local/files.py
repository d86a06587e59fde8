"""Small private files: passwords, keys, tokens."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner may read; it appears whole or not at all."""
    temporary = file.with_name(f".{file.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    temporary.replace(file)


def secret(file: Path, generate: Callable[[], str]) -> str:
    """Return the secret kept in `file` (0600), generated and written the first time."""
    if not file.exists():
        write_private(file, generate() + "\n")
    return file.read_text().strip()

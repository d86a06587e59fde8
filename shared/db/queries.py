"""SQL kept in files, by name."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

_NAME = re.compile(r"^-- name: *(\w+)[ \t]*$", re.MULTILINE)


class Queries(Mapping[str, str]):
    """Statements of one SQL file: `queries.insert_call` is the text under `-- name: insert_call`.

    Comments stay in the text, so they are seen in `pg_stat_activity` and in the server's log.
    """

    def __init__(self, statements: Mapping[str, str]) -> None:
        self._statements = dict(statements)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read `path`. Raises `ValueError` on a name given twice, an empty statement, or SQL before the first name."""
        return cls(_parse(path.read_text(encoding="utf-8"), path.name))

    def __getattr__(self, name: str) -> str:
        try:
            return self._statements[name]
        except KeyError:
            raise AttributeError(f"no statement named {name}") from None

    def __getitem__(self, name: str) -> str:
        return self._statements[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._statements)

    def __len__(self) -> int:
        return len(self._statements)


def _parse(text: str, where: str) -> dict[str, str]:
    head, *parts = _NAME.split(text)
    if _without_comments(head):
        raise ValueError(f"{where}: SQL before the first '-- name:'")
    statements: dict[str, str] = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        if name in statements:
            raise ValueError(f"{where}: {name} is there twice")
        if not _without_comments(body):
            raise ValueError(f"{where}: {name} is empty")
        statements[name] = body.strip()
    return statements


def _without_comments(sql: str) -> str:
    return "".join(line for line in sql.splitlines() if not line.lstrip().startswith("--")).strip()

"""What commands print: tables and plain lines for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TextIO


class Output(NamedTuple):
    """Where a command's result goes, and in which form."""

    stream: TextIO
    as_json: bool

    def one(self, row: Mapping[str, Any]) -> None:
        """Print one thing: `name: value` lines, or an object."""
        if self.as_json:
            self._json(row)
            return
        width = max(map(len, row), default=0)
        for name, value in row.items():
            print(f"{name + ':':<{width + 1}} {_text(value)}", file=self.stream)

    def many(self, rows: Sequence[Mapping[str, Any]], nothing: str) -> None:
        """Print a table, or an array; `nothing` is what people read when there are no rows."""
        if self.as_json:
            self._json(rows)
            return
        if not rows:
            print(nothing, file=self.stream)
            return
        lines = [[name.upper() for name in rows[0]]] + [[_text(value) for value in row.values()] for row in rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        for line in lines:
            text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            print(text.rstrip(), file=self.stream)

    def _json(self, value: object) -> None:
        print(json.dumps(value, indent=1, ensure_ascii=False, default=_plain), file=self.stream)


def _text(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.strftime("%Y-%m-%d %H:%M:%SZ")
        case list() | tuple():
            return ",".join(map(_text, value)) or "-"
        case dict():
            return json.dumps(value, ensure_ascii=False, default=_plain)
    return str(value)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)

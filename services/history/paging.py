"""Lists by cursor: where a page begins, how long it is, and where the next one does."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import orjson
from aiohttp import web

from services.history.asking import Query

T = TypeVar("T")

_LIMIT: Final = 50
_MOST: Final = 500


def read_limit(query: Query) -> int:
    """Return how many items a page has."""
    return min(query.integer("limit") or _LIMIT, _MOST)


def read_cursor(query: Query, read: Callable[[list[str]], T]) -> T | None:
    """Return the place behind which the page begins, None for the first page.

    `read` makes it of the parts that `page` was given, as text. For what it never gave it raises `ValueError` or
    `OverflowError`.
    """
    text = query.text("cursor")
    if text is None:
        return None
    try:
        return read(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii").split(" "))
    except (ValueError, OverflowError):
        query.wrong("cursor", "is not one that we gave")
        return None


def read_number(text: str) -> int:
    """Return a number from 1 on as a column holds it. Raises `ValueError`."""
    number = int(text)
    if not 0 < number < 2**63:
        raise ValueError("no number of ours")
    return number


def read_time(text: str) -> datetime:
    """Return a moment as a column holds it. Raises `ValueError`, `OverflowError`."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("no time of ours")
    return at.astimezone(UTC)


def page(
    rows: Sequence[T], limit: int, item: Callable[[T], Mapping[str, Any]], place: Callable[[T], Sequence[object]]
) -> web.Response:
    """Return one page; `place` says where a row stands in the list's order, in parts that have no spaces."""
    following = None
    if len(rows) == limit:
        text = " ".join(map(str, place(rows[-1])))
        following = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    return as_json({"items": [item(row) for row in rows], "next": following})


def as_json(value: object, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return `value` as an answer."""
    return web.Response(body=orjson.dumps(value), content_type="application/json", headers=headers)

"""Which bytes of a file a request wants: one range, as RFC 9110 writes it. Pure."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_ONE_RANGE: Final = re.compile(r"bytes=[ \t]*([0-9]{0,100})-([0-9]{0,100})[ \t]*", re.IGNORECASE)


class Span(NamedTuple):
    """The bytes from `start` up to, not including, `end`."""

    start: int
    end: int


class Unsatisfiable(ValueError):
    """The file has no byte of the range."""


def wanted_span(header: str | None, size: int) -> Span | None:
    """Return what a Range header asks of a file of `size` bytes; None: the whole file.

    What is not understood counts as not sent (RFC 9110, 14.2), and so do several ranges at once: no player needs them.
    Raises `Unsatisfiable`.
    """
    asked = _ONE_RANGE.fullmatch(header or "")
    if asked is None or not any(asked.groups()):
        return None
    first, last = asked.groups()
    if not first:
        span = Span(max(0, size - int(last)), size)
    elif last and int(last) < int(first):
        return None
    else:
        span = Span(int(first), min(size, int(last) + 1) if last else size)
    if span.start >= span.end:
        raise Unsatisfiable("the file has no byte of this range")
    return span

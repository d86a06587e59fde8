"""Whether a location works at a moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final

from shared import clock
from shared.directory.model import Location

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES: Final = 24 * 60


def is_open(location: Location, at: datetime) -> bool:
    """Whether `at` lies in the location's working hours, by the clock on its wall.

    An interval holds its start and not its end. One that ends before or when it starts goes on after midnight and
    belongs to the day on which it starts. An interval that can't be read counts as none.
    """
    if location.hours is None:
        return True
    local = at.astimezone(clock.zone(location.time_zone))
    minute, today = local.hour * 60 + local.minute, local.weekday()
    return _holds(location.hours.get(_DAYS[today], ()), minute) or _holds(
        location.hours.get(_DAYS[today - 1], ()), minute + _DAY_MINUTES
    )


def _holds(intervals: Iterable[Sequence[str]], minute: int) -> bool:
    """Whether `minute`, counted from the midnight on which the intervals' day began, lies in one of them."""
    for interval in intervals:
        if len(interval) != 2:
            continue
        start, end = _minute(interval[0]), _minute(interval[1])
        if start is not None and end is not None:
            if end <= start:
                end += _DAY_MINUTES
            if start <= minute < end:
                return True
    return False


@lru_cache(maxsize=2000)
def _minute(written: str) -> int | None:
    """Return "09:30" as 570; None where it is no time of day up to "24:00"."""
    hour, _, minute = written.partition(":")
    try:
        found = int(hour) * 60 + int(minute)
    except ValueError:
        return None
    return found if 0 <= int(minute) < 60 and 0 <= found <= _DAY_MINUTES else None

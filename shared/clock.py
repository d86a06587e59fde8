"""The wall clock, in one place, so that a test or a replay can stand in front of it; and other walls' clocks."""

from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo


def now() -> datetime:
    """Return this moment, aware, in UTC."""
    return datetime.now(UTC)


@lru_cache(maxsize=1000)
def zone(name: str) -> tzinfo:
    """Return the time zone of this name, such as Europe/Warsaw; UTC where there is none."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # no such zone: KeyError's subclass
        return UTC

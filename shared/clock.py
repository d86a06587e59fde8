"""The wall clock, in one place, so that a test or a replay can stand in front of it."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return this moment, aware, in UTC."""
    return datetime.now(UTC)

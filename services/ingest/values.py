"""Values as providers write them, to ours. Pure; what can't be understood is None, never an error."""

import math
import re
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from shared.events import Party
from shared.phone import to_e164

_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)
_UNIX = re.compile(r"\d{9,10}(?:\.\d{1,9})?")
_UNIX_MILLISECONDS = re.compile(r"\d{12,13}")
_LONGEST_SECONDS: Final = 10**9


def party(raw: str | None, country: str) -> Party | None:
    """Return a number as written and in E.164; None where there is none. A space in front was a "+"."""
    if raw is None or not raw.strip():
        return None
    if raw[0] == " " and raw[1:2].isdigit():
        raw = "+" + raw[1:]
    return Party(raw=raw, e164=to_e164(raw, country))


def seconds(text: str | None) -> float | None:
    """Return a length of time in seconds."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and 0 <= value <= _LONGEST_SECONDS else None


def moment(text: str | None, time_zone: str) -> datetime | None:
    """Return a time in UTC: Unix seconds or milliseconds, or a date with time, local to `time_zone` unless it says."""
    text = (text or "").strip()
    try:
        if _UNIX.fullmatch(text):
            found = datetime.fromtimestamp(float(text), UTC)
        elif _UNIX_MILLISECONDS.fullmatch(text):
            found = datetime.fromtimestamp(int(text) / 1000, UTC)
        else:
            found = datetime.fromisoformat(text)
            found = (found if found.tzinfo else found.replace(tzinfo=_zone(time_zone))).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if _EARLIEST <= found < _LATEST else None


@lru_cache(maxsize=1000)
def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # no such zone: KeyError's subclass
        return UTC

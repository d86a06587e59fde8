"""Values as providers write them, to ours. Pure; what can't be understood is None, never an error."""

import math
import re
from datetime import UTC, datetime
from typing import Final

from shared import clock
from shared.events import Party
from shared.phone import to_e164

_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)
_UNIX = re.compile(r"\d{9,10}(?:\.\d{1,9})?")
_UNIX_MILLISECONDS = re.compile(r"\d{12,13}")
_LONGEST_SECONDS: Final = 10**9
_LONGEST_TIME: Final = 64
_CLOCK = re.compile(r"(?:(\d{1,4}):)?(\d{1,4}):([0-5]?\d)", re.ASCII)
_UNIT_SECONDS: Final = {"seconds": 1.0, "milliseconds": 0.001, "minutes": 60.0}


def party(raw: str | None, country: str) -> Party | None:
    """Return a number as written and in E.164; None where there is none. A space in front was a "+"."""
    if raw is None or not raw.strip():
        return None
    if raw[0] == " " and raw[1:2].isdigit():
        raw = "+" + raw[1:]
    return Party(raw=raw, e164=to_e164(raw, country))


def seconds(text: str | None, unit: str = "seconds") -> float | None:
    """Return a length of time in seconds. `unit` is `seconds`, `milliseconds`, `minutes`, or `clock` (1:02:03)."""
    if unit == "clock":
        return _clock(text or "")
    try:
        value = float(text or "") * _UNIT_SECONDS[unit]
    except ValueError:
        return None
    return value if math.isfinite(value) and 0 <= value <= _LONGEST_SECONDS else None


def _clock(text: str) -> float | None:
    found = _CLOCK.fullmatch(text.strip())
    return None if found is None else 3600.0 * int(found[1] or 0) + 60.0 * int(found[2]) + int(found[3])


def moment(text: str | None, time_zone: str, written: str = "any") -> datetime | None:
    """Return a time in UTC, local to `time_zone` unless it says.

    `written` is `unix` (seconds), `unix_ms`, `iso`, `any` of them, or a pattern of `datetime.strptime`.
    """
    text = (text or "").strip()
    if len(text) > _LONGEST_TIME:
        return None
    try:
        found = _read_moment(text, written)
        found = (found if found.tzinfo else found.replace(tzinfo=clock.zone(time_zone))).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if _EARLIEST <= found < _LATEST else None


def _read_moment(text: str, written: str) -> datetime:
    if "%" in written:
        return datetime.strptime(text, written)  # noqa: DTZ007 - the caller knows the zone
    if written in ("unix", "any") and _UNIX.fullmatch(text):
        return datetime.fromtimestamp(float(text), UTC)
    if written in ("unix_ms", "any") and _UNIX_MILLISECONDS.fullmatch(text):
        return datetime.fromtimestamp(int(text) / 1000, UTC)
    if written in ("iso", "any"):
        return datetime.fromisoformat(text)
    raise ValueError("no such time")

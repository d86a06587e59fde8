"""What more than one API tells of a stored call, or asks of it, in the same way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from services.history.reading import Row
from shared.directory import Channel
from shared.phone import to_e164

_UNANSWERED: Final = frozenset({"busy", "missed", "canceled", "failed"})


class Number(NamedTuple):
    """One end of a call, as far as it was told."""

    raw: str | None
    e164: str | None
    name: str | None


def customer(row: Row) -> Number:
    """Return the end outside: who is called in an outgoing call, else who calls."""
    end = "to" if row["direction"] == "outgoing" else "from"
    return Number(row[f"{end}_raw"], row[f"{end}_e164"], row[f"{end}_name"])


def duration(row: Row) -> int | None:
    """Whole seconds: as told, else the talked time; 0 where nobody answered, None where nobody can say (yet).

    Never from start to end: providers whose notifications come late, or once, would make a duration of the delay.
    """
    for told in (row["duration_seconds"], row["talk_seconds"]):
        if told is not None:
            return round(float(told))
    return 0 if row["outcome"] in _UNANSWERED else None


def spellings(number: str, channels: Iterable[Channel]) -> list[str]:
    """Return `number` as it may be stored: as given, and in E.164 as each country of the account reads it."""
    countries = [None, *dict.fromkeys(channel.country for channel in channels)]
    read = [to_e164(number, country) for country in countries]
    digits = "".join(filter(str.isdecimal, number))
    return list(dict.fromkeys([number.strip(), digits, f"+{digits}", *filter(None, read)]))

"""Reading what a request names: the call in its path, and query parameters, of which every wrong one is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TypeVar, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from aiohttp import web

from shared.http import FieldError, problem

T = TypeVar("T")

_BIGGEST = 2**63 - 1
_LONGEST = 1000


class Query:
    """The parameters of one request. Absent and empty ones are None; `finish` raises 422 if any was wrong."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._parameters = parameters
        self._errors: list[FieldError] = []

    def text(self, name: str) -> str | None:
        """Return a parameter as it is."""
        return self._read(name, _text)

    def integer(self, name: str, *, least: int = 1, most: int = _BIGGEST) -> int | None:
        """Return a whole number."""

        def read(value: str) -> int:
            if not value.isascii() or not value.isdecimal() or len(value) > 19 or not least <= int(value) <= most:
                raise ValueError(
                    f"is not a whole number from {least} on"
                    if most == _BIGGEST
                    else f"is not a whole number from {least} to {most}"
                )
            return int(value)

        return self._read(name, read)

    def one_of(self, name: str, words: Mapping[str, T]) -> T | None:
        """Return what a word stands for; its case does not matter."""
        return self._read(name, lambda value: _meaning(value, words))

    def several(self, name: str, words: Mapping[str, T]) -> list[T] | None:
        """Return what several words stand for: of `name`, `name[]` and `name[0]`, each any number of times."""
        spelling = re.compile(re.escape(name) + r"(\[[0-9]{0,9}\])?")
        given = [value for key, value in self._parameters.items() if value.strip() and spelling.fullmatch(key)]
        try:
            return [_meaning(value, words) for value in given] or None
        except ValueError as error:
            self.wrong(name, str(error))
            return None

    def moment(self, name: str, zone: tzinfo, *, end: bool = False) -> datetime | None:
        """Return a date (its first moment in `zone`) or a time; with `end` the first moment after it."""

        def read(value: str) -> datetime:
            try:
                # A "+" that was not encoded came through as a space.
                at = datetime.fromisoformat(value.strip().replace(" ", "+") if "T" in value else value)
            except ValueError:
                raise ValueError("is not a date (2026-03-02) or time (2026-03-02T10:15:04+01:00)") from None
            step = timedelta(days=1) if len(value.strip()) <= len("2026-03-02") else timedelta(microseconds=1)
            try:
                at = at.replace(tzinfo=at.tzinfo or zone)
                return (at + step if end else at).astimezone(UTC)
            except OverflowError:
                raise ValueError("is out of range") from None

        return self._read(name, read)

    def required(self, name: str, value: T | None) -> T:
        """Return `value`, which was read from `name`. Where that was impossible it is None, until `finish` raises."""
        if not (self._parameters.get(name) or "").strip():
            self.wrong(name, "is required")
        return cast(T, value)

    def wrong(self, name: str, detail: str) -> None:
        """Note that a parameter is wrong."""
        self._errors.append(FieldError(name, detail))

    def finish(self) -> None:
        """Raise `Problem` 422 if anything was wrong."""
        if self._errors:
            raise problem(422, detail="some parameters are wrong", errors=self._errors)

    def _read(self, name: str, read: Callable[[str], T]) -> T | None:
        value = self._parameters.get(name)
        if value is None or not value.strip():
            return None
        try:
            return read(value)
        except ValueError as error:
            self.wrong(name, str(error))
            return None


def uid_in(request: web.Request) -> UUID:
    """Return the call that the path names. Raises `Problem` 404 where it can be none."""
    try:
        return UUID(request.match_info["uid"])
    except ValueError:
        raise problem(404, detail="there is no such call") from None


def zone_named(name: str) -> tzinfo:
    """Return a time zone; one that nobody knows (any more) is UTC."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        return UTC


def _meaning(value: str, words: Mapping[str, T]) -> T:
    for word, meaning in words.items():
        if value.casefold() == word.casefold():
            return meaning
    raise ValueError(f"is not one of {', '.join(words)}")


def _text(value: str) -> str:
    if len(value) > _LONGEST:
        raise ValueError(f"is longer than {_LONGEST} characters")
    if "\0" in value:
        raise ValueError("holds a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("is not text") from None
    return value

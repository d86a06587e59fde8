"""Working hours by the clock on the wall of the place: midnight, summer time, days without any."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.directory import Location
from shared.routing import decide
from tests.unit.routing.world import SALON, SALON_LINE, call, world

OFFICE = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
BAR = {"fri": [["22:00", "02:00"]], "sat": [["12:00", "14:00"], ["20:00", "24:00"]], "sun": []}


def is_open(hours: Any, at: str, time_zone: str = "Europe/Warsaw") -> bool:
    """Whether a call at `at` (UTC) to a place with these hours goes to everyone, and not to the fallback."""
    place = Location(id=SALON, account_id=1, name="Salon", time_zone=time_zone, hours=hours)
    when = datetime.fromisoformat(at).replace(tzinfo=UTC)
    return "closed" not in decide(call(SALON_LINE), world(locations=(place,)), when).sentence


@pytest.mark.parametrize(
    ("hours", "at", "expected"),
    [
        (None, "2026-03-01T03:00", True),  # always open
        ({}, "2026-03-02T12:00", False),  # never
        (OFFICE, "2026-03-02T07:59:59", False),  # a Monday in winter: nine is 08:00 UTC
        (OFFICE, "2026-03-02T08:00", True),
        (OFFICE, "2026-03-02T15:59:59", True),
        (OFFICE, "2026-03-02T16:00", False),
        (OFFICE, "2026-02-28T12:00", False),  # a Saturday
        (BAR, "2026-03-06T21:00", True),  # Friday 22:00 there
        (BAR, "2026-03-06T23:30", True),  # Saturday 00:30: Friday's night
        (BAR, "2026-03-07T01:00", False),  # Saturday 02:00
        (BAR, "2026-03-07T12:00", True),  # between the two of Saturday
        (BAR, "2026-03-07T15:00", False),
        (BAR, "2026-03-07T22:59", True),  # until midnight
        (BAR, "2026-03-07T23:00", False),  # Sunday is empty
        ({"sun": [["22:00", "06:00"]]}, "2026-03-02T04:59", True),  # Monday before six: Sunday's night
        ({"sun": [["22:00", "06:00"]]}, "2026-03-02T05:00", False),
        ({"mon": [["00:00", "24:00"]]}, "2026-03-02T22:59", True),
        ({"mon": [["00:00", "00:00"]]}, "2026-03-02T12:00", True),  # all day
        ({"mon": [["9:00", "17:30"]]}, "2026-03-02T16:29", True),
    ],
)
def test_hours(hours: Any, at: str, expected: bool) -> None:
    assert is_open(hours, at) is expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-03-27T07:30", False),  # Friday before the change: 08:30 there
        ("2026-03-30T07:30", True),  # Monday after it: 09:30
        ("2026-10-23T07:30", True),  # Friday before the change back: 09:30
        ("2026-10-26T07:30", False),  # Monday after it: 08:30
    ],
)
def test_nine_is_nine_in_summer_and_in_winter(at: str, expected: bool) -> None:
    assert is_open(OFFICE, at) is expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-10-24T23:59", False),  # 01:59 there
        ("2026-10-25T00:30", True),  # 02:30, for the first time
        ("2026-10-25T01:30", True),  # 02:30 again
        ("2026-10-25T02:00", False),  # 03:00
        ("2026-03-29T00:59", False),  # 01:59, and then it is 03:00: there is no 02:30 that night
        ("2026-03-29T01:00", False),
    ],
)
def test_the_hour_that_comes_twice_or_never(at: str, expected: bool) -> None:
    assert is_open({"sun": [["02:00", "03:00"]]}, at) is expected


@pytest.mark.parametrize(
    ("time_zone", "expected"),
    [("America/New_York", False), ("Asia/Tokyo", False), ("Europe/London", True), ("No/Such", True), ("", True)],
)
def test_each_place_has_its_own_clock(time_zone: str, expected: bool) -> None:
    assert is_open(OFFICE, "2026-03-02T12:00", time_zone) is expected


@given(st.lists(st.lists(st.text(st.sampled_from("0123456789:-a "), max_size=6), max_size=3), max_size=3))
def test_hours_that_cannot_be_read_are_none(intervals: list[list[str]]) -> None:
    assert is_open({"mon": intervals}, "2026-03-02T12:00") in (True, False)


@pytest.mark.parametrize(
    "interval", [["9", "17"], ["09:00"], ["09:00", "25:00"], ["09:60", "17:00"], ["-1:00", "17:00"]]
)
def test_an_interval_that_cannot_be_read_counts_as_none(interval: list[str]) -> None:
    assert not is_open({"mon": [interval]}, "2026-03-02T12:00")

"""How query parameters are read."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from yarl import URL

from services.history.asking import Query, zone_named
from shared.http import FieldError, Problem

WARSAW = ZoneInfo("Europe/Warsaw")


@pytest.mark.parametrize(
    ("text", "end", "moment"),
    [
        ("2026-03-02", False, datetime(2026, 3, 1, 23, tzinfo=UTC)),
        ("2026-03-02", True, datetime(2026, 3, 2, 23, tzinfo=UTC)),
        ("2026-03-29", True, datetime(2026, 3, 29, 22, tzinfo=UTC)),  # a day of 23 hours there
        ("2026-03-02T10:15:04+01:00", False, datetime(2026, 3, 2, 9, 15, 4, tzinfo=UTC)),
        ("2026-03-02T10:15:04 01:00", False, datetime(2026, 3, 2, 9, 15, 4, tzinfo=UTC)),
        ("2026-03-02T10:15:04", False, datetime(2026, 3, 2, 9, 15, 4, tzinfo=UTC)),
        ("2026-03-02 10:15", False, datetime(2026, 3, 2, 9, 15, tzinfo=UTC)),
        ("2026-03-02T10:15:04Z", True, datetime(2026, 3, 2, 10, 15, 4, 1, tzinfo=UTC)),
    ],
)
def test_a_date_is_a_day_of_the_zone_and_a_time_is_that_moment(text: str, end: bool, moment: datetime) -> None:
    query = Query({"at": text})
    assert query.moment("at", WARSAW, end=end) == moment
    query.finish()


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-13-01", "9999-12-31", "2026-03-02T99:00", "0001-01-01T00:00+09:00"]
)
def test_what_is_no_moment_is_named(text: str) -> None:
    query = Query({"at": text})
    assert query.moment("at", WARSAW, end=True) is None
    with pytest.raises(Problem) as raised:
        query.finish()
    assert [error.field for error in raised.value.errors] == ["at"]


@pytest.mark.parametrize("text", ["0", "-1", "x", "1.5", "٣", "9223372036854775808", "1" * 5000])
def test_what_is_no_number_is_named(text: str) -> None:
    query = Query({"n": text})
    assert query.integer("n") is None
    with pytest.raises(Problem):
        query.finish()


def test_an_empty_parameter_is_an_absent_one() -> None:
    query = Query({"n": " ", "q": ""})
    assert query.integer("n") is None
    assert query.text("q") is None
    query.finish()


@pytest.mark.parametrize(
    "text", ["types=a&types=B", "types[]=a&types[]=b", "types[0]=a&types[1]=b", "types%5B%5D=a&types=b&types=&type=c"]
)
def test_several_words_may_be_spelled_as_any_client_does(text: str) -> None:
    query = Query(URL(f"/?{text}").query)
    assert query.several("types", {"a": 1, "b": 2, "c": 3}) == [1, 2]
    query.finish()


def test_of_several_words_none_given_is_none_and_a_wrong_one_is_named() -> None:
    query = Query({"other": "a", "types[x]": "a", "types[]": " "})
    assert query.several("types", {"a": 1}) is None
    query.finish()
    query = Query({"types": "a", "types[]": "z"})
    assert query.several("types", {"a": 1}) is None
    with pytest.raises(Problem) as raised:
        query.finish()
    assert raised.value.errors == (FieldError("types", "is not one of a"),)


@pytest.mark.parametrize("parameters", [{}, {"at": " "}])
def test_what_is_needed_and_not_given_is_named(parameters: dict[str, str]) -> None:
    query = Query(parameters)
    query.required("at", query.text("at"))
    with pytest.raises(Problem) as raised:
        query.finish()
    assert raised.value.errors == (FieldError("at", "is required"),)
    given = Query({"at": "x"})
    assert given.required("at", given.text("at")) == "x"
    given.finish()
    wrong = Query({"at": "x"})
    wrong.required("at", wrong.integer("at"))
    with pytest.raises(Problem) as raised:
        wrong.finish()
    assert [error.field for error in raised.value.errors] == ["at"]


@pytest.mark.parametrize("name", ["Nowhere/Town", "", "../etc/passwd", "\0"])
def test_a_zone_that_nobody_knows_is_utc(name: str) -> None:
    assert zone_named(name) is UTC
    assert zone_named("Europe/Warsaw") == WARSAW
